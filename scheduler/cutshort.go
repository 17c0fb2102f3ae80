package scheduler

import (
	"fmt"
	"time"

	"github.com/xdist-go/xdist/gotest/test2json"
)

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
	for _, e := range it.events {
		ended[e.Test] = ended[e.Test] || e.Terminal()
	}
	for _, e := range it.shown {
		ended[e.Test] = ended[e.Test] || e.Terminal()
	}
	add := func(test string) {
		if !ended[test] && !it.before.ended[test] {
			ended[test] = true
			open = append(open, test)
		}
	}
	for _, events := range [][]test2json.Event{it.shown, it.events} {
		for _, e := range events {
			if e.Action == test2json.ActionRun {
				add(e.Test)
			}
		}
	}
	return open
}
