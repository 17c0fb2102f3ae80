package scheduler

import (
	"os"
	"time"

	"github.com/xdist-go/xdist/gotest/cover"
	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/scheduler/event"
)

// output is what a run writes.
type output struct {
	reportErr   error         // the first one of the reporter, or of -coverprofile
	profile     *cover.Writer // -coverprofile, or nil
	profileFile *os.File
	table       cover.Table // of the profiles of packages that are not closed
	foreseen    time.Time   // when the end of the run was estimated last
}

// emit hands an event to the reporter.
func (c *controller) emit(e event.Event) {
	c.reportFault(c.cfg.Reporter.Handle(e))
}

// reportFault keeps the first error of a report: one that is not whole must not pass for a green
// one.
func (c *controller) reportFault(err error) {
	if c.reportErr == nil {
		c.reportErr = err
	}
}

// event makes a reporter's event of one in the go test stream.
func (c *controller) event(e test2json.Event) event.Test {
	return event.Test{Event: e, Attempt: 1, Done: c.ledger.settled, Total: c.ledger.collected}
}

// packageEvent is event for one of a package.
func (c *controller) packageEvent(p *pkg, e test2json.Event) event.Test {
	t := c.event(e)
	t.Platform = p.pool.supply.name
	return t
}

func (c *controller) packageOutput(p *pkg, text string) {
	c.emit(c.packageEvent(p, test2json.Event{Time: time.Now(), Action: test2json.ActionOutput, Package: p.shown, Output: text}))
}

// flush passes an item's held events on, without those that an earlier attempt has shown already.
func (c *controller) flush(n *node, it *itemRun) {
	for _, e := range it.events {
		if it.before.has(e) {
			continue
		}
		c.emitFrom(n, e)
		if (it.streamed || c.replay != nil) && e.Action != test2json.ActionOutput {
			n.job.show(it, e)
		}
	}
	if it.streamed {
		it.told = appendOutput(it.told, it.events)
		it.recent = appendRecent(it.recent, it.events)
	}
	n.job.held -= it.weight
	n.job.gone -= it.gone
	it.events, it.weight, it.gone = nil, 0, 0
}

// emitFrom hands an event that came from n to the reporters.
func (c *controller) emitFrom(n *node, e test2json.Event) { c.emit(c.eventFrom(n, e)) }

func (c *controller) eventFrom(n *node, e test2json.Event) event.Test {
	t := c.packageEvent(n.job.pkg, e)
	t.Gateway = n.id
	if i, ok := n.job.pkg.index[topLevel(e.Test)]; ok {
		t.Attempt = n.job.pkg.attempts[i]
		it := n.job.items[topLevel(e.Test)]
		t.Again = it != nil && it.fate == fateAgain && e.Action == test2json.ActionFail
	}
	return t
}

// showOutput passes the held package-level output of n's unit on, unless another unit has shown the
// same.
func (c *controller) showOutput(n *node) {
	if j := n.job; len(j.output) > 0 && (j.first || j.pkg.firstSeen(j.output)) {
		for _, e := range j.output {
			c.emitFrom(n, e)
		}
		j.held -= weighAll(j.output)
		j.output = nil
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
