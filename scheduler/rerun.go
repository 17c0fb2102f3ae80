package scheduler

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/gotest/unit"
	"github.com/xdist-go/xdist/scheduler/event"
	"github.com/xdist-go/xdist/scheduler/policy"
)

// A test that fails for good may run again when the user wants that. Unlike a failure in doubt
// (trial.go) each of its attempts is shown, with its run and its terminal event; only the last one
// counts. It comes when all else of the package has ended, with nothing of the package beside it.

// Reruns says which failures run again. The zero value is none. Benchmarks, fuzzing and what is
// profiled never run again. What a failed attempt has covered counts when its process ran other
// tests too, as one process has one profile.
type Reruns struct {
	Max     int            // how often one item may
	Delay   time.Duration  // that has to pass between the end of an attempt and the beginning of the next
	Tests   *regexp.Regexp // only tests whose id (importpath::TestName) it matches; nil is all
	Errors  *regexp.Regexp // only failures of which it matches a line of the output; nil is all
	Crashes bool           // those too in which the process or the agent died by itself, and not only for Config.TestTimeout
}

// setback is what a package keeps of an item whose attempts have failed so far.
type setback struct {
	failures int
	verdict  event.Verdict // of the last one
	gateway  string
	elapsed  time.Duration
	ended    time.Time
}

// aside reports whether the item has come to an end in this job that is no verdict.
func (it *itemRun) aside() bool { return it.fate == fateAside || it.fate == fateAgain }

// note looks for what makes a failure one that runs again.
func (r Reruns) note(it *itemRun, e test2json.Event) {
	if r.Errors != nil && !it.matched && e.Action == test2json.ActionOutput {
		it.matched = r.Errors.MatchString(e.Output)
	}
}

// mayRerun reports whether the failure of item i that n has is to be followed by another attempt.
func (c *controller) mayRerun(n *node, i int, it *itemRun) bool {
	r, p := c.cfg.Reruns, n.job.pkg
	failures := 0
	if had := p.setbacks[i]; had != nil {
		failures = had.failures
	}
	limit := r.Max
	if d := p.items[i].Directives; d != nil && d.Retries != 0 {
		limit = d.Retries
	}
	switch {
	case failures >= limit, c.replay != nil, n.job.stopped(), c.stopped != "", c.cfg.Command.Grain() == gotest.Alone:
		return false
	case r.Tests != nil && !r.Tests.MatchString(gotest.ID(p.path, p.names[i])):
		return false
	}
	return r.Errors == nil || it.matched
}

// setBack notes that an attempt at item i has failed and that there will be another one.
func (c *controller) setBack(n *node, i int, it *itemRun, v event.Verdict) {
	p := n.job.pkg
	if p.setbacks == nil {
		p.setbacks = make(map[int]*setback)
	}
	s := p.setbacks[i]
	if s == nil {
		s = new(setback)
		p.setbacks[i] = s
	}
	s.failures++
	s.verdict, s.gateway, s.elapsed, s.ended = v, n.id, it.elapsed, time.Now()
	it.fate = fateAgain
	delete(p.remnants, p.names[i]) // the next attempt is shown from its beginning
}

// followed reports whether an end of item i with a verdict is to be followed by another attempt.
func (c *controller) followed(n *node, i int, it *itemRun, end jobEnd, v event.Verdict) bool {
	if v == event.Crash {
		if !c.cfg.Reruns.Crashes && n.job.overdue == 0 {
			return false
		}
		if r := c.cfg.Reruns; r.Errors != nil {
			it.matched = it.matched || r.Errors.MatchString(end.how)
		}
	}
	return c.mayRerun(n, i, it)
}

// settleSetback gives an item that will not run again the verdict of its last attempt, which is
// shown already.
func (c *controller) settleSetback(p *pkg, i int) (settled bool) {
	s := p.setbacks[i]
	if s == nil {
		return false
	}
	s.failures-- // it is the one that counts
	c.ledger.settle(p, i, s.verdict, s.elapsed, s.gateway, "")
	p.failed = true
	c.fail()
	return true
}

// settleNotRun books item i as not run, unless an earlier attempt has failed.
func (c *controller) settleNotRun(p *pkg, i int, gateway, reason string) {
	if !c.settleSetback(p, i) {
		c.ledger.settle(p, i, event.NotRun, 0, gateway, reason)
	}
}

// rerunDelay is for how long the process of u has to wait.
func (c *controller) rerunDelay(p *pkg, u policy.Unit) time.Duration {
	var delay time.Duration
	for _, i := range u.Items {
		if s := p.setbacks[i]; s != nil {
			delay = max(delay, time.Until(s.ended.Add(c.cfg.Reruns.Delay)))
		}
		if t := p.trials[i]; t != nil {
			delay = max(delay, time.Until(t.after))
		}
	}
	return delay
}

// failuresOf is how many attempts at item i have failed and did not count.
func (p *pkg) failuresOf(i int) int {
	if s := p.setbacks[i]; s != nil {
		return s.failures
	}
	return 0
}

// asideOnly reports whether every item of the job runs again, as it failed and that is in doubt or
// not the last attempt: its coverage is of nothing that counts. What has passed while its package
// was probed may count later; if the whole runs instead, that has a profile of its own.
func (j *job) asideOnly() bool {
	for _, i := range j.unit.Items {
		if it := j.items[j.pkg.names[i]]; it == nil || !it.aside() {
			return false
		}
		if t := j.pkg.trials[i]; t != nil && t.Tries() == 0 && t.said.verdict == event.Pass && !t.said.lacks {
			return false
		}
	}
	return len(j.unit.Items) > 0
}

// dropClosing takes from the output of a process that was to be the whole of its package what the
// package ends with: there is more to come.
func (j *job) dropClosing(r unit.Result) {
	j.output = slices.DeleteFunc(j.output, func(e test2json.Event) bool {
		line := strings.TrimSuffix(e.Output, "\n")
		return line == "PASS" || line == "FAIL" || line != "" && line == r.Coverage
	})
}
