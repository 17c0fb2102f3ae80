package scheduler

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/gotest/unit"
	"github.com/xdist-go/xdist/scheduler/attempt"
	"github.com/xdist-go/xdist/scheduler/event"
	"github.com/xdist-go/xdist/scheduler/policy"
	"github.com/xdist-go/xdist/scheduler/wire"
)

// handleReport takes the events of a unit as they come, and its end.
func (c *controller) handleReport(n *node, r wire.Report) {
	if n.refusal != nil {
		return
	}
	if err := c.examine(n, &r); err != nil {
		c.disbelieve(n, err)
		return
	}
	c.fitProfiles()
	if r.Warning != "" {
		n.warnings++
		c.warnOfHost(n.info.Hostname, r.Warning)
	}
	before := n.job.held + n.job.shown
	for _, e := range r.Events {
		c.handleEvent(n, e)
	}
	if err := n.job.fit(); err != nil {
		c.disbelieve(n, err)
		return
	}
	if c.fitNodes(n) {
		return
	}
	c.fit(max(0, n.job.held+n.job.shown-before))
	if r.Result != nil {
		c.result(n, *r.Result)
	} else {
		c.checkMaxFail()
	}
}

// warnOfHost shows what a worker says of its host, unless another one there has said it.
func (c *controller) warnOfHost(host, warning string) {
	text := fmt.Sprintf("host %s: %s", host, warning)
	if !c.warned[text] {
		c.warned[text] = true
		c.emit(event.Warning{Text: text})
	}
}

func (c *controller) handleEvent(n *node, e test2json.Event) {
	j := n.job
	e.Package = j.pkg.shown
	switch {
	case e.Test != "":
		j.errand.event(c, n, e)
	case j.first && !j.withholds():
		c.emitFrom(n, e)
	default:
		j.output = append(j.output, e)
		j.held += weigh(e)
	}
}

// withholds reports whether what an item of the job has said may not count.
func (j *job) withholds() bool {
	for _, it := range j.items {
		if it.fate != fateShown {
			return true
		}
	}
	return false
}

// handleTestEvent takes an event of a test in a process that runs items as they are.
func (c *controller) handleTestEvent(n *node, e test2json.Event) {
	j := n.job
	name := topLevel(e.Test)
	i, known := j.pkg.index[name]
	if known && !j.has(i) {
		c.handleOther(n, i, e)
		return
	}
	if e.Action != test2json.ActionOutput {
		now := event.Progress{Gateway: n.id, Time: e.Time, Action: e.Action, Package: e.Package, Test: e.Test}
		if known && e.Action == test2json.ActionRun && e.Test == name {
			now.Expected = j.pkg.expected[i]
		}
		c.emit(now)
	}
	it := j.items[name]
	if it == nil {
		it = c.newItemRun(j, name, i, known)
		j.items[name] = it
		if known {
			j.begun = append(j.begun, i)
		} else {
			j.strangers += strangerWeight + len(name)
		}
	}
	j.take(it, e)
	c.cfg.Reruns.note(it, e)
	j.pkg.followWhole(e)
	if it.bytes > heldBytes {
		it.streamed = true
		if j.pkg.stage == stageProbing {
			c.split(j.pkg) // too much to hold
		}
	}
	if it.dying && known && it.fate == fateShown && c.triable(j) {
		it.fate = fateHeld
	}
	j.doomed = j.doomed || it.dying
	if e.Action == test2json.ActionFail && known && it.fate == fateShown && !c.certain(n, i, it, it.failing()) {
		it.fate = fateHeld
		it.begun, it.process = j.begun, time.Since(j.started)
	}
	if e.Action == test2json.ActionSkip && e.Test != name && known {
		reason := it.reasonOf(e.Test)
		it.skips = max(it.skips, c.skipOf(j.pkg, e.Test, reason))
		j.pkg.noteSkip(e.Test, reason)
		if it.fate == fateShown && !c.certain(n, i, it, attempt.Lacking) {
			it.fate = fateHeld
		}
	}
	if e.Test == name {
		it.follow(e)
		if e.Action == test2json.ActionRun || e.Action == test2json.ActionCont {
			j.latest = name
		}
		if known && it.ended() && it.fate == fateShown {
			c.itemEnded(n, i, it)
		}
	}
	if (it.fate == fateShown || it.fate == fateAgain) && (it.streamed || !it.open() && (!known || it.ended())) {
		c.flush(n, it)
	}
	if c.replay == nil && it.ended() && (!known || j.pkg.verdicts[i] != "") {
		j.settle(it)
	}
}

// handleOther takes an event of an item that is not in n's unit.
func (c *controller) handleOther(n *node, i int, e test2json.Event) {
	j := n.job
	switch j.made {
	case attempt.Unit, attempt.Bare:
		c.overreach(j.pkg)
	case attempt.Begun:
		j.excused = j.excused || e.Action == test2json.ActionFail
	case attempt.Whole:
		it := j.others[i]
		if it == nil {
			it = &itemRun{want: c.rounds(j.pkg, i)}
			if j.others == nil {
				j.others = make(map[int]*itemRun)
			}
			j.others[i] = it
		}
		j.take(it, e)
		if e.Test == j.pkg.names[i] {
			it.follow(e)
		}
	}
}

// overreach is called when a process runs tests that it was not asked for: a TestMain that sets
// -test.run does that. Only the process that was given a test speaks for it.
func (c *controller) overreach(p *pkg) {
	if p.unruly {
		return
	}
	p.unruly = true
	c.emit(event.Warning{Text: fmt.Sprintf("%s: its processes run tests that they were not asked for, as when TestMain sets -test.run; --dist loadscope runs it in one", p.shown)})
}

// itemEnded books an item by its own events, whose process goes on, or leaves it to the end of
// that.
func (c *controller) itemEnded(n *node, i int, it *itemRun) {
	p := n.job.pkg
	switch had := p.verdicts[i]; {
	case had != "":
		c.revise(n, i, it, had)
	case !(n.job.doomed && c.triable(n.job)) && c.certain(n, i, it, it.end()):
		c.book(n, i, it)
	default:
		it.fate = fateHeld
	}
}

// book settles an item by its own events, or has it run again by Config.Reruns. The verdict counts
// before the event that shows it.
func (c *controller) book(n *node, i int, it *itemRun) {
	p := n.job.pkg
	v := it.verdict
	switch {
	case v == event.Fail && c.mayRerun(n, i, it):
		c.setBack(n, i, it, event.Fail)
		return
	case v != event.Fail && p.setbacks[i] != nil:
		v = event.Flaky
	}
	c.settleItem(n, i, it, v)
}

// settleItem gives an item the verdict that its attempt in n's job came to.
func (c *controller) settleItem(n *node, i int, it *itemRun, v event.Verdict) {
	p := n.job.pkg
	c.ledger.settle(p, i, v, it.elapsed, n.id, "")
	p.note(i, it)
	c.mended(p, i, n.job.made, v)
	c.learnDivision(p, i, v)
	if v == event.Fail {
		p.noteFailure(i, it.text(), n.job, n.job.met != attempt.Package || n.job.made == attempt.Whole)
		c.fail()
	} else if v == event.Skip {
		p.noteSkip(p.names[i], it.text())
	}
}

// revise takes another end of an item that has its verdict: of a later unit of a replay, or of a
// process that says twice how the item ended. The last one of a process counts.
func (c *controller) revise(n *node, i int, it *itemRun, had event.Verdict) {
	p, v := n.job.pkg, it.verdict
	switch {
	case c.replay != nil && v == event.Fail && had != event.Fail && had != event.Crash:
		c.worsenReplayed(n, i, it, event.Fail)
	case c.replay != nil || v == had || had == event.Crash || had == event.Flaky || had == event.NotRun:
	case v == event.Fail:
		c.ledger.replace(p, i, v)
		c.fail()
	default:
		if had == event.Fail {
			c.failures--
		}
		c.ledger.replace(p, i, v)
	}
}

// rounds is how often one process runs an item. Examples run once whatever -count and -cpu say.
func (c *controller) rounds(p *pkg, i int) int {
	if strings.HasPrefix(p.names[i], "Example") {
		return p.copies[i]
	}
	return c.cfg.Command.Count * c.cfg.Command.CPUs * p.copies[i]
}

// signalHold is how long the death of a process by a signal that ends whole hosts waits for its
// agent to follow.
const signalHold = time.Second

// heldResult is a result whose process died of such a signal, when its agent did not.
type heldResult struct {
	*node
	job    *job
	result unit.Result
}

// result takes the end of a process. A batch system that cancels a job signals test and agent: if
// the agent is gone a moment later it was lost with all that it ran, and no test is to blame.
func (c *controller) result(n *node, r unit.Result) {
	if r.Damaged {
		if c.heal(n, r) {
			return
		}
		r.Damaged = false
	}
	ours := n.job.told != toldNothing || r.TestTimeout > 0 || r.TimedOut || r.Interrupted
	if ours || r.Signal != "killed" && r.Signal != "terminated" {
		c.handleResult(n, r)
		return
	}
	n.job.signalled = true
	held := heldResult{n, n.job, r}
	time.AfterFunc(signalHold, func() { c.post(held) })
}

// handleResult ends a unit: every item of it has a verdict now or goes back to pending.
func (c *controller) handleResult(n *node, r unit.Result) {
	j, p := n.job, n.job.pkg
	if j.told == toldQuit && r.Interrupted {
		j.told = toldStop // it had not begun
	}
	impatient := r.TestTimeout > 0 && j.limits[r.Culprit] && !j.stopped()
	if j.overdue = r.TestTimeout; impatient {
		j.overdue = 0
		r.Signal, r.TimedOut, r.Incomplete, r.Err = "", false, false, "" // our doing, and no news
	}
	end := jobEnd{failed: r.Failed, how: howItEnded(r), culprit: r.Culprit, cutOff: r.Unfinished, changed: len(r.Changed) > 0}
	switch {
	case r.Damaged:
		end.kind = endUnsaid
	case !r.Failed || r.Verdict != "":
	case r.TimedOut && j.stood && r.TestTimeout == 0 && c.replay == nil && len(j.unit.Items) > 0:
		end.kind = endUnsaid // the clock of the binary went on while the run stood still
	case r.TimedOut:
		end.kind = endHung
	default:
		end.kind = endDied
	}
	outcome := j.errand.end(c, n, end, &r)
	outcome.Overhead = r.Wall
	for _, d := range slices.Concat(outcome.Done, outcome.Ran) {
		outcome.Overhead -= d.Elapsed
	}
	outcome.Overhead = max(outcome.Overhead, 0)
	c.release(n, func() { p.pool.policy.Finish(policy.NodeID(n.id), outcome) })
}

// serialize makes p run one process at a time, because two of them get into each other's way.
func (c *controller) serialize(p *pkg, how string) {
	if p.disturbed {
		return
	}
	p.disturbed = true
	p.pool.policy.Serialize(p.num)
	c.emit(event.Warning{Text: fmt.Sprintf("%s: two of its processes cannot run at once (%s); running them one at a time", p.shown, how)})
}

// howItEnded puts the end of a process in words, as os/exec does.
func howItEnded(r unit.Result) string {
	switch {
	case r.Err != "":
		return r.Err
	case r.TestTimeout > 0:
		return fmt.Sprintf("a test of it had been running for %v", r.TestTimeout)
	case r.TimedOut:
		return "timed out"
	case r.Signal != "":
		return "signal: " + r.Signal
	}
	return fmt.Sprintf("exit status %d", r.ExitCode)
}
