package scheduler

import (
	"slices"
	"strings"
	"time"

	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/gotest/unit"
)

// A process that panics prints why where the test that spoke last stands in the stream, which need
// not be the one that panicked. So from the first line of a panic on what an item says is held, and
// the end of the process gives the text to whom it belongs.

// dies reports whether an item's output is the beginning of a panic, or may be.
func dies(e test2json.Event) bool {
	return e.Action == test2json.ActionOutput && (strings.HasPrefix(e.Output, "panic: ") || strings.HasPrefix(e.Output, "fatal error: "))
}

// givePanic gives the text of a panic to the item that the process died of, and takes it from
// others.
func (c *controller) givePanic(n *node, r *unit.Result) {
	j := n.job
	culprit := j.items[r.Culprit]
	if r.Panic == "" || culprit == nil {
		return
	}
	first, _, _ := strings.Cut(r.Panic, "\n")
	for name, it := range j.items {
		if it != culprit {
			it.dropPanic(name, first)
		}
	}
	if strings.Contains(culprit.text(), first) {
		return
	}
	var lines []test2json.Event
	for line := range strings.Lines(r.Panic) {
		lines = append(lines, test2json.Event{Time: time.Now(), Action: test2json.ActionOutput, Package: j.pkg.shown, Test: r.Culprit, Output: line})
	}
	if i, ok := j.pkg.index[r.Culprit]; ok && j.pkg.verdicts[i] != "" { // it is shown
		if !culprit.dying {
			for _, e := range lines {
				c.emitFrom(n, e)
			}
		}
		return
	}
	at := len(culprit.events)
	for at > 0 && culprit.events[at-1].Action == test2json.ActionFail {
		at--
	}
	culprit.events = append(culprit.events[:at:at], append(lines, culprit.events[at:]...)...)
}

// dropPanic takes the text of a panic from what item name has said last. Before the end of the
// item the line is its own: it has shown what another panic said.
func (it *itemRun) dropPanic(name, first string) {
	for k, e := range slices.Backward(it.events) {
		switch {
		case e.Test == name && e.Terminal():
			return
		case e.Action == test2json.ActionOutput && strings.TrimSuffix(e.Output, "\n") == first:
			it.events = it.events[:k]
			return
		}
	}
}
