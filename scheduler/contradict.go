package scheduler

import (
	"fmt"

	"github.com/xdist-go/xdist/gotest/unit"
	"github.com/xdist-go/xdist/scheduler/event"
)

// A process that shows tests in doubt among all of their package is what `go test` runs. So a test that fails or dies there fails, though it has passed in another
// process. In a crowd that may be the crowd's doing: then nothing that such a process says counts, and it runs again with nothing beside it. Because a test may
// say so when those in doubt have passed, they have no verdict before their process has ended.

// contradict is called when item i, which is none of the unit, ends with v in a process of the whole package.
func (c *controller) contradict(n *node, i int, v event.Verdict, how string) {
	j, p := n.job, n.job.pkg
	if had := p.verdicts[i]; had != event.Pass && had != event.Skip {
		return
	}
	if j.rejected = j.rejected || j.provisional && j.crowded; j.rejected {
		c.isolate(p)
		return
	}
	c.ledger.worsen(p, i, v)
	p.noteContext(j, i)
	c.fail(p)
	p.failed = true
	c.packageOutput(p, fmt.Sprintf("xdist: %s %s when it ran with all tests of its package, as go test runs it, and did not with some of them\n", p.names[i], how))
}

// contradictCulprit is contradict for the item that a process of the whole package died of.
func (c *controller) contradictCulprit(n *node, r unit.Result) {
	j := n.job
	if i, ok := j.pkg.index[r.Culprit]; ok && j.entire && !j.has(i) && !j.impatient && !j.stopped && r.Err == "" {
		c.contradict(n, i, event.Crash, fmt.Sprintf("crashed (%s)", howItEnded(r)))
	}
}

// bookDeferred settles what the unit's items have shown in a process that has ended, or has all of them shown once more.
func (c *controller) bookDeferred(n *node) {
	j, p := n.job, n.job.pkg
	if !j.provisional {
		return
	}
	j.provisional = false
	for _, i := range j.unit.Items {
		it, d := j.items[p.names[i]], p.doubts[i]
		switch {
		case j.rejected && d != nil && (it == nil || !it.aside()):
			p.keepRemnant(p.names[i], it)
			d.next = p.attempts[i] + 1
		case !j.rejected && it != nil && it.deferred && !it.aside():
			c.book(n, i, it)
			c.flush(n, it)
		}
	}
}
