package scheduler

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/scheduler/event"
)

// closure is how a run ends, and what it came to so far.
type closure struct {
	stopped     string // why the run ends early, or ""
	ending      bool   // what ran when it stopped was told to end
	interrupted bool
	failures    int   // for Config.MaxFail
	failed      int   // packages
	buildFailed int   // packages
	fatal       error // ends the run: it is xdist's failure and not the suite's
}

// errInterrupted is why what follows the loop has ended.
var errInterrupted = errors.New("interrupted")

// untilInterrupted is the context of what follows the loop. It ends by an interrupt, unless that
// has come before and the loop has heard it: the next one is the caller's.
func (c *controller) untilInterrupted(ctx context.Context) (context.Context, context.CancelFunc) {
	ending, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	if c.interrupted && ctx.Err() != nil {
		return ending, func() { cancel(nil) }
	}
	stop := context.AfterFunc(ctx, func() { cancel(errInterrupted) })
	return ending, func() { stop(); cancel(nil) }
}

// stop ends the run early: nothing more is given out, what runs is ended, what is left is not run.
func (c *controller) stop(reason string) {
	c.revoke(reason)
	c.endJobs(toldStop)
}

// endJobs has all that runs end. Whoever has been told so may have stood still before: that is no
// excuse any more.
func (c *controller) endJobs(way telling) {
	if c.ending {
		return
	}
	c.ending = true
	for _, n := range c.nodes {
		if n.job == nil || !n.ready {
			continue
		}
		n.job.told = way
		n.orders.putEnd(way)
		for _, it := range n.job.items {
			it.suspended = false
		}
	}
}

// revoke ends the run when what runs has ended: nothing more is given out, and what is left is not
// run.
func (c *controller) revoke(reason string) {
	if c.stopped != "" {
		return
	}
	c.stopped = reason
	c.endSource(errors.New(reason))
	c.replay.revoke()
	for _, t := range c.pools {
		t.policy.Revoke()
	}
	c.abandon(reason)
	c.giveUpIdle(nil, reason)
}

// abandon gives up what no node will run: every item of a package that has no unit in flight.
func (c *controller) abandon(reason string) {
	for _, p := range c.pkgs {
		if p.state == pkgClosed || len(p.jobs) > 0 {
			continue
		}
		c.settleRest(p, reason)
		c.close(p)
	}
}

// settleRest books every item of p that has no verdict as not run, which is no pass for the package
// unless the run was stopped. What a test on trial has said counts now.
func (c *controller) settleRest(p *pkg, reason string) {
	for i, v := range p.verdicts {
		if v != "" || c.settleSetback(p, i) {
			continue
		} else if t := p.trials[i]; t != nil && t.said.verdict != "" {
			p.failed = p.failed || t.said.verdict != event.Pass && t.said.verdict != event.Skip
			c.settleSaid(p, i, t)
		} else {
			p.failed = p.failed || c.stopped == ""
			c.ledger.settle(p, i, event.NotRun, 0, "", reason)
		}
	}
}

// fail counts a failure of a test, which may be the one too many. That its package fails is for the
// process to say, whose TestMain can have its own view.
func (c *controller) fail() {
	c.failures++
}

func (c *controller) checkMaxFail() {
	if max := c.cfg.MaxFail; max > 0 && c.failures >= max {
		reason := fmt.Sprintf("stopped after %d failures", c.failures)
		if c.cfg.MaxFailWait {
			c.revoke(reason)
			return
		}
		c.stop(reason)
	}
}

// cutShort books item i, which n was given, as not run. When it had begun its output is shown, with
// a line that says why it did not end and a skip event for each of its tests that has none: readers
// of the stream would call a test without an end a failure.
func (c *controller) cutShort(n *node, i int, it *itemRun, reason string) {
	p := n.job.pkg
	c.settleNotRun(p, i, n.id, reason)
	if it == nil {
		return
	}
	open := it.openTests()
	c.flush(n, it)
	for k := len(open) - 1; k >= 0; k-- {
		e := test2json.Event{Time: time.Now(), Package: p.shown, Test: open[k]}
		if k == 0 {
			e.Action, e.Output = test2json.ActionOutput, fmt.Sprintf("xdist: %s did not come to its end: %s\n", open[k], reason)
			c.emitFrom(n, e)
		}
		zero := 0.0
		e.Action, e.Output, e.Elapsed = test2json.ActionSkip, "", &zero
		c.emitFrom(n, e)
	}
}

// openTests are the tests of the item that have begun and not ended, in the order in which they
// began: the item itself first.
func (it *itemRun) openTests() []string {
	var open []string
	ended := make(map[string]bool)
	held := it.latest()
	for _, e := range held {
		ended[e.Test] = ended[e.Test] || e.Terminal()
	}
	for _, s := range it.shown {
		ended[s.test] = ended[s.test] || s.terminal()
	}
	add := func(test string) {
		if !ended[test] && !it.before.ended[test] {
			ended[test] = true
			open = append(open, test)
		}
	}
	for _, s := range it.shown {
		if s.action == test2json.ActionRun {
			add(s.test)
		}
	}
	for _, e := range held {
		if e.Action == test2json.ActionRun {
			add(e.Test)
		}
	}
	return open
}
