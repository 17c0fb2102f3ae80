package scheduler

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/scheduler/event"
)

// Bounds of what an event.Running has of the output of a test, or of a process.
const (
	runningLines = 5
	runningBytes = 2 << 10
)

// showRunning tells what the gateways run.
func (c *controller) showRunning() {
	now := time.Now()
	e := event.Running{Time: now}
	for _, n := range c.nodes {
		if n.ready {
			e.Gateways = append(e.Gateways, n.runs(now))
		}
	}
	slices.SortFunc(e.Gateways, func(x, y event.GatewayRuns) int {
		return cmp.Or(cmp.Compare(len(x.Gateway), len(y.Gateway)), cmp.Compare(x.Gateway, y.Gateway))
	})
	c.emit(e)
}

// runs is what the node runs.
func (n *node) runs(now time.Time) event.GatewayRuns {
	g := event.GatewayRuns{Gateway: n.id}
	j := n.job
	if j == nil {
		return g
	}
	g.Package, g.For = j.pkg.shown, now.Sub(j.started)
	for name, it := range j.items {
		if !it.open() {
			continue
		}
		t := event.TestRuns{Test: name, For: it.watch.spent, Waits: it.phase == phaseParked, Output: it.lastLines()}
		if !it.watch.began.IsZero() {
			t.For = it.watch.soFar(now)
		}
		if open := it.openTests(); len(open) > 0 {
			t.Test = open[len(open)-1]
		}
		if i, ok := j.pkg.index[name]; ok && j.division() == nil {
			t.Expected = j.pkg.expected[i]
		}
		g.Tests = append(g.Tests, t)
	}
	slices.SortFunc(g.Tests, func(x, y event.TestRuns) int {
		switch {
		case x.Waits && !y.Waits:
			return 1
		case y.Waits && !x.Waits:
			return -1
		}
		return cmp.Or(cmp.Compare(y.For, x.For), cmp.Compare(x.Test, y.Test))
	})
	if g.More = max(0, len(g.Tests)-event.MostRunning); g.More > 0 {
		g.Tests = g.Tests[:event.MostRunning]
	}
	if len(g.Tests) == 0 {
		g.Output = lastLines("", j.output)
	}
	return g
}

// lastLines are the last lines that the item has printed.
func (it *itemRun) lastLines() string { return lastLines(string(it.recent), it.latest()) }

// appendRecent adds what events print to a text of which the end is wanted.
func appendRecent(text []byte, events []test2json.Event) []byte {
	for _, e := range events {
		if prints(e) {
			text = append(text, e.Output[max(0, len(e.Output)-runningBytes):]...)
		}
	}
	if over := len(text) - runningBytes; over > runningBytes {
		text = append(text[:0], text[over:]...)
	}
	return text
}

// prints reports whether an event has output that is not package testing's word of what begins.
func prints(e test2json.Event) bool {
	return e.Action == test2json.ActionOutput && !strings.HasPrefix(e.Output, "=== ")
}

// lastLines are the last lines of what was printed before and of events.
func lastLines(before string, events []test2json.Event) string {
	var parts []string
	size := 0
	for i := len(events) - 1; i >= 0 && size < runningBytes; i-- {
		if e := events[i]; prints(e) {
			parts = append(parts, e.Output)
			size += len(e.Output)
		}
	}
	slices.Reverse(parts)
	text := before + strings.Join(parts, "")
	if over := len(text) - runningBytes; over > 0 {
		text = strings.ToValidUTF8(text[over:], "")
	}
	for i, lines := len(text)-1, 0; i > 0; i-- {
		if text[i-1] == '\n' {
			if lines++; lines == runningLines {
				return text[i:]
			}
		}
	}
	return text
}
