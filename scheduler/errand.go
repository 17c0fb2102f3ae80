package scheduler

import (
	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/gotest/unit"
	"github.com/xdist-go/xdist/history"
	"github.com/xdist-go/xdist/scheduler/attempt"
	"github.com/xdist-go/xdist/scheduler/policy"
)

// errand is what a job is for.
type errand interface {
	// ask says what the process of the job is asked for: tests by name, nil for all, or a part of
	// one.
	ask(j *job) (names []string, part *unit.Part)
	// event takes an event of a test.
	event(c *controller, n *node, e test2json.Event)
	// end takes the end of the process, with nil that of the agent, and returns what becomes of the
	// items.
	end(c *controller, n *node, end jobEnd, r *unit.Result) policy.Outcome
}

// errandOf is what a unit of the policy's is for.
func (c *controller) errandOf(u policy.Unit) errand {
	p := c.pkgs[u.Package]
	if p.counts != nil {
		return p.counts
	}
	if len(u.Items) > 0 {
		if d := p.division(u.Items[0]); d != nil {
			return parts{d}
		}
	}
	return ordinary{}
}

// ordinary is the errand of a unit of the plan, or tests on trial.
type ordinary struct{}

func (ordinary) ask(j *job) (names []string, part *unit.Part) {
	names, j.made = j.pkg.context(j.unit)
	j.untouched = names == nil
	for _, i := range j.unit.Items {
		if t := j.pkg.trials[i]; t != nil && t.number == j.pkg.attempts[i] {
			j.around = max(j.around, t.next.Around)
		}
	}
	return names, nil
}

func (ordinary) event(c *controller, n *node, e test2json.Event) { c.handleTestEvent(n, e) }

func (ordinary) end(c *controller, n *node, end jobEnd, r *unit.Result) policy.Outcome {
	return c.conclude(n, end, r)
}

// parts are parts of a test that is divided.
type parts struct{ *division }

func (d parts) ask(j *job) (names []string, part *unit.Part) {
	return []string{j.pkg.names[d.test]}, d.partOf(j.unit.Items)
}

func (d parts) event(c *controller, n *node, e test2json.Event) { c.handlePartEvent(n, e) }

func (d parts) end(c *controller, n *node, end jobEnd, r *unit.Result) policy.Outcome {
	j, p := n.job, n.job.pkg
	switch {
	case r == nil && len(j.items) == 0 || end.kind == endUnsaid:
	case r != nil && c.collided(n, end):
		c.serialize(p, end.how)
		end.kind = endUnsaid
	case r != nil:
		res := *r
		if j.told == toldQuit && end.died() {
			c.quitParts(n, end)
		} else {
			res = c.judgeParts(n, *r)
		}
		c.showOutput(n)
		covered := j.takeCovered()
		if d.again == j {
			covered.release()
			covered = nil
		}
		p.takeResult(res, covered, false)
	}
	return c.concludeParts(n, end)
}

// recorded is a unit of an earlier run that is replayed.
type recorded struct{ history.UnitRun }

func (u recorded) ask(j *job) (names []string, part *unit.Part) {
	names, part = j.pkg.replayed(j.unit, u.UnitRun)
	if j.untouched = names == nil; j.untouched {
		j.made = attempt.Whole
	}
	return names, part
}

func (recorded) event(c *controller, n *node, e test2json.Event) { c.handleTestEvent(n, e) }

func (u recorded) end(c *controller, n *node, end jobEnd, r *unit.Result) policy.Outcome {
	j, p := n.job, n.job.pkg
	if r == nil {
		c.showOutput(n)
		p.takeResult(unit.Result{Failed: true, ExitCode: -1, Err: end.how}, nil, false)
	} else {
		c.showOutput(n)
		p.takeResult(*r, j.takeCovered(), j.untouched && !p.partial)
	}
	return c.concludeReplayed(n, end)
}

// takeResult adds what the process of a unit came to, its cover profile or nil, and whether it was
// all of the package.
func (p *pkg) takeResult(r unit.Result, covered *profile, all bool) {
	p.vouch(r, all, true)
	p.failed = p.failed || r.Failed
	kept := unit.Result{Failed: r.Failed, Verdict: r.Verdict, Wall: r.Wall}
	if all {
		kept.Coverage = r.Coverage
	}
	switch { // where two differ, the package has none
	case len(p.results) == 0:
		kept.Suffix = r.Suffix
	case p.results[0].Suffix == r.Suffix:
		kept.Suffix = p.results[0].Suffix
	}
	p.results = append(p.results, processEnd{kept, covered, all})
}
