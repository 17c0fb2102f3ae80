package scheduler

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/gotest/unit"
	"github.com/xdist-go/xdist/scheduler/event"
	"github.com/xdist-go/xdist/scheduler/hosts"
	"github.com/xdist-go/xdist/scheduler/policy"
	"github.com/xdist-go/xdist/xspec"
)

// jobEnd is how a job came to its end, from the process' result or from the loss of its agent.
type jobEnd struct {
	died    bool // in the middle: some item may have been running
	lost    bool // with its agent: nothing is said about what had not begun
	failed  bool
	how     string // "exit status 2", "signal: killed"
	culprit string // the item that the process died of, or ""
	cutOff  string // the item in whose middle the process exited 0, or ""
	retry   bool   // nothing of it counts: all items go back to pending
	unknown bool   // nobody knows what has become of the process: no item is to blame, and what has no verdict goes back to pending
}

// conclude gives each item of n's job that has no verdict one, or sends it back to pending:
//
//   - the culprit of a process that died is a crash;
//   - what had not ended or not begun when a process died in the middle runs again elsewhere. One item gets a
//     verdict each time that happens, so it comes to an end;
//   - what had no verdict when its host fell silent or the connection broke runs again elsewhere, once. The second time somebody is to blame;
//   - what had not begun when the process ended in order, or before any test, is not run: `go test` says nothing about it
//     either, and the package's verdict says the rest.
func (c *controller) conclude(n *node, end jobEnd) policy.Outcome {
	j, p := n.job, n.job.pkg
	if j.division != nil {
		return c.concludeParts(n, end)
	}
	if j.recorded != nil {
		return c.concludeReplayed(n, end)
	}
	var out policy.Outcome
	begun := len(j.items) > 0
	progress := j.rejected
	for _, i := range j.unit.Items {
		progress = progress || p.verdicts[i] != ""
	}
	for _, i := range j.unit.Items {
		name := p.names[i]
		it := j.items[name]
		switch {
		case p.verdicts[i] != "", it != nil && it.aside():
		case end.retry:
			p.sendBack(&out, i) // it has shown nothing
			continue
		case end.died && (name == end.culprit) && !j.stopped:
			c.crash(n, i, it, end.how)
			progress = true
		case name == end.cutOff:
			c.passCutOff(n, i, it)
		case it != nil && it.rounds > 0 && !it.open && (!end.died || it.failed):
			c.book(n, i, it) // fewer rounds than asked for, as after -failfast
			if !it.doubted {
				c.flush(n, it)
			}
		case j.stopped:
			c.cutShort(n, i, it, c.stopped)
		case end.died && (begun || end.lost):
			p.keepRemnant(name, it)
			if end.unknown { // a process that died of one of the items would do so again and again
				p.repeat(i)
			}
			out.Requeue = append(out.Requeue, i)
			continue
		case end.failed:
			c.cutShort(n, i, it, "the process ended before it: "+end.how)
		default:
			c.cutShort(n, i, it, "its process exited 0 without running it")
		}
		elapsed := time.Duration(0)
		if it != nil {
			elapsed = it.elapsed
		}
		if it != nil && it.aside() {
			progress = true
			c.putAside(p, &out, i)
			continue
		}
		out.Done = append(out.Done, policy.ItemTime{Item: i, Elapsed: elapsed})
	}
	if len(out.Requeue) > 0 && !progress && !end.retry && !end.unknown {
		c.blameFirst(n, &out, end)
	}
	c.flushStrangers(n)
	return out
}

// keepRemnant remembers what an attempt has shown that will be made again. After several rounds it is shown from its
// beginning: there is no telling what of the next attempt is said again and what is new.
func (p *pkg) keepRemnant(name string, it *itemRun) {
	if it == nil || len(it.shown) == 0 || it.rounds > 1 || it.rounds == 1 && it.open {
		return
	}
	if p.remnants == nil {
		p.remnants = make(map[string]remnant)
	}
	if r := remnantOf(it.before, it.shown); !r.ended[name] {
		p.remnants[name] = r
	}
}

// flushStrangers passes on what belongs to no item of the package: output that looks like a test.
func (c *controller) flushStrangers(n *node) {
	for name, it := range n.job.items {
		if _, ok := n.job.pkg.index[name]; !ok {
			c.flush(n, it)
		}
	}
}

// passCutOff settles an item in whose middle its process exited 0. `go test` calls it a pass, so it is one, but not a silent one.
func (c *controller) passCutOff(n *node, i int, it *itemRun) {
	p := n.job.pkg
	c.ledger.settle(p, i, event.Pass, it.elapsed, n.id, "")
	c.flush(n, it)
	now, elapsed := time.Now(), it.elapsed.Seconds()
	c.emitFrom(n, test2json.Event{Time: now, Action: test2json.ActionPass, Package: p.shown, Test: p.names[i], Elapsed: &elapsed})
	c.emit(event.Warning{Text: fmt.Sprintf("%s: its process exited 0 before it said how the test ended, as when a test closes its standard output; go test calls that a pass", p.id(i))})
}

// blameFirst makes the first of the items that would go back a crash: something has to have a verdict, or a test that kills
// every process that it is near to would run for ever.
func (c *controller) blameFirst(n *node, out *policy.Outcome, end jobEnd) {
	i := out.Requeue[0]
	out.Requeue = out.Requeue[1:]
	c.crash(n, i, n.job.items[n.job.pkg.names[i]], end.how)
	out.Done = append(out.Done, policy.ItemTime{Item: i})
}

// flushOpen passes on what an item printed that will not end.
func (c *controller) flushOpen(n *node, it *itemRun) {
	if it != nil {
		c.flush(n, it)
	}
}

// crash settles an item that was running when its process or agent died, and shows it.
func (c *controller) crash(n *node, i int, it *itemRun, how string) {
	c.ledger.settle(n.job.pkg, i, event.Crash, time.Since(n.job.started), n.id, "")
	n.job.pkg.noteContext(n.job, i)
	c.fail(n.job.pkg)
	c.showCrash(n, i, it, how)
}

// showCrash passes on what an item printed, a line that says what happened to its process or agent, and a fail event.
func (c *controller) showCrash(n *node, i int, it *itemRun, how string) {
	p := n.job.pkg
	name := p.names[i]
	now := time.Now()
	if it == nil || !it.open && it.rounds == 0 {
		c.emitFrom(n, test2json.Event{Time: now, Action: test2json.ActionRun, Package: p.shown, Test: name})
	}
	c.flushOpen(n, it)
	for _, e := range crashEvents(n, it, name, how) {
		c.emitFrom(n, e)
	}
}

// crashEvents say how an item ended that could not say it itself.
func crashEvents(n *node, it *itemRun, name, how string) []test2json.Event {
	elapsed := 0.0
	if it != nil {
		elapsed = (it.elapsed + it.watch.soFar(time.Now())).Round(10 * time.Millisecond).Seconds() // as package testing rounds it
	}
	text := fmt.Sprintf("xdist: %s crashed while running on %s: %s\n", name, n.id, how)
	if d := n.job.overdue; d > 0 {
		text = fmt.Sprintf("xdist: %s timed out after %v (--test-timeout)\n", name, d)
	}
	events := []test2json.Event{
		{Action: test2json.ActionOutput, Output: text},
		{Action: test2json.ActionFail, Elapsed: &elapsed},
	}
	for i := range events {
		events[i].Time, events[i].Package, events[i].Test = time.Now(), n.job.pkg.shown, name
	}
	return events
}

// gatewayEnd is how a gateway ended, as far as something hangs on it.
type gatewayEnd int

const (
	endWanted   gatewayEnd = iota // it was told, or left by itself, or may be missing: nothing is wrong
	endOnTheWay                   // what it goes through was lost, and nothing can be opened that way
	endUnfit                      // its host cannot be given what a unit needs: no gateway there would fare better
	endDeath                      // it died, or was killed before it answered: another may live
	endVanished                   // the replacement of one that has worked, whose host cannot be reached any more: nothing is wrong with the spec
	endHopeless                   // it cannot be opened, and the user has to know
)

// endOf tells how n ended, from its error. It counts starts that came to nothing.
func (c *controller) endOf(n *node, err error) gatewayEnd {
	_, unfit := errors.AsType[*hosts.Error](err)
	switch {
	case n.ready && unfit:
		return endUnfit
	case lostOnTheWay(n.spec, err):
		return endOnTheWay
	case err == nil, n.joined():
		return endWanted
	case n.ready:
		return endDeath
	case c.stopped != "", c.cfg.AllowMissing:
		return endWanted
	case !c.hopeless(err):
		return endDeath
	case n.replaces != "":
		return endVanished
	}
	return endHopeless
}

// handleDown takes the loss or the end of a gateway. What it ran is concluded as for a process that died, with the
// gateway's error for a reason, and one that died is replaced. The run ends with one that nobody can open.
func (c *controller) handleDown(n *node, err error) {
	if err == nil && n.job != nil {
		err = fmt.Errorf("the worker ended in the middle of a unit")
	}
	c.forget(n, err)
	end := c.endOf(n, err)
	if n.ready {
		c.removeFromPolicy(n, end, err)
	}
	switch end {
	case endHopeless:
		c.fatal = err
		c.stop(err.Error())
		return
	case endVanished:
		c.emit(event.Warning{Text: fmt.Sprintf("gateway %s is not replaced: its host cannot be reached", n.replaces)})
	}
	if c.stopped != "" {
		return
	}
	if end == endDeath {
		c.replaceDead(n)
	}
	if c.replay != nil {
		c.replay.move(n.id, "") // unless another has them already
	}
	c.dropUnused()
	c.endStranded()
}

// forget takes n, which has ended, from the nodes and says so.
func (c *controller) forget(n *node, err error) {
	delete(c.nodes, n.id)
	c.idle = slices.DeleteFunc(c.idle, func(other *node) bool { return other == n })
	c.slots.release(n.id)
	n.finish()
	reason := ""
	if err != nil {
		reason = err.Error()
	}
	c.last = fmt.Sprintf("%s, ended: %s", n.id, reason)
	if n.target != nil {
		n.target.nodes--
		n.target.last = c.last
	}
	c.emit(event.GatewayDown{Time: time.Now(), Gateway: n.id, Reason: reason})
}

// replaceDead opens a gateway in n's place while there is work and --max-worker-restart allows it.
func (c *controller) replaceDead(n *node) {
	if n.target != nil && n.target.policy.Done() || c.restart >= c.cfg.MaxWorkerRestart {
		return
	}
	c.restart++
	if err := c.replace(n); err != nil {
		c.emit(event.Warning{Text: fmt.Sprintf("replace gateway %s: %v", n.id, err)})
	}
}

// failedStarts is how many agents in a row may be killed before they answer. It is bad luck at first, and no luck at some point.
const failedStarts = 10

// hopeless reports whether a gateway that could not be opened ends the run. An agent that was killed is replaced like
// any other; everything else is a mistake in a spec or on a host, which the user has to know of.
func (c *controller) hopeless(err error) bool {
	var (
		start  *gateway.StartError
		lost   *gateway.LostError
		status string
	)
	if errors.As(err, &start) {
		status = start.Status
	} else if errors.As(err, &lost) {
		status = lost.Status
	}
	c.notStarted++
	return !strings.HasPrefix(status, "signal: ") || c.notStarted >= failedStarts
}

// replace opens a gateway like n under a new id: ids are never used again.
func (c *controller) replace(n *node) error {
	spec, err := xspec.Parse(withoutID(n.spec))
	if err != nil {
		return err
	}
	if spec, err = c.cfg.Group.Allocate(spec); err != nil {
		return err
	}
	if c.replay != nil {
		c.replay.move(n.id, spec.ID)
	}
	c.open(spec, n.target).replaces = n.id
	return nil
}

// removeFromPolicy ends what n ran and takes n from its target's policy.
func (c *controller) removeFromPolicy(n *node, end gatewayEnd, err error) {
	j, id, books := n.job, policy.NodeID(n.id), n.target.policy
	if j != nil {
		c.bookDeferred(n)
	}
	how := "its gateway ended: "
	if err != nil {
		how += err.Error()
	}
	switch {
	case j == nil:
		books.RemoveNode(id, nil)
	case end == endUnfit, len(j.items) == 0 && c.mayRetry(j): // nothing is said about the unit
		c.putBack(n)
		for _, i := range j.unit.Items {
			j.pkg.repeat(i)
		}
		c.release(n, func() { books.RemoveNode(id, nil) })
	case fateUnknown(err) && c.mayRetry(j):
		c.putBack(n)
		outcome := c.conclude(n, jobEnd{died: true, lost: true, how: how, unknown: true})
		c.release(n, func() { books.RemoveNode(id, &outcome) })
	default:
		culprit := ""
		if it := j.items[j.latest]; it != nil && it.open && !it.parked {
			culprit = j.latest
		}
		again := c.setBackLost(n, culprit, how)
		c.showOutput(n)
		if !again && j.division == nil { // the whole of a divided test will tell
			j.pkg.failed = true
			j.pkg.results = append(j.pkg.results, unit.Result{Failed: true, ExitCode: -1, Err: how})
		}
		outcome := c.conclude(n, jobEnd{died: true, lost: true, failed: true, how: how, culprit: culprit})
		c.release(n, func() { books.RemoveNode(id, &outcome) })
	}
}

// fateUnknown reports whether a gateway was lost in a way that says nothing about its agent: its host has fallen silent, or the connection broke. That
// is rarely a test's doing.
func fateUnknown(err error) bool {
	lost, ok := errors.AsType[*gateway.LostError](err)
	return ok && lost.Status == ""
}

// mayRetry reports whether a unit whose agent died before any of its tests began may run once more. The second time
// somebody has to be blamed.
func (c *controller) mayRetry(j *job) bool {
	for _, i := range j.unit.Items {
		if j.pkg.attempts[i]-j.pkg.failuresOf(i)-j.pkg.triesOf(i) > 1 {
			return false
		}
	}
	return len(j.unit.Items) > 0 || j.pkg.units <= 1
}
