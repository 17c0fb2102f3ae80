package scheduler

import (
	"fmt"
	"time"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/scheduler/wire"
)

// overdueGrace is what a worker has beyond -timeout to end a unit, by the controller's clock: for
// the start of its process, the dump of its goroutines, the end of what that has started, and what
// it says of all this.
const overdueGrace = 5 * time.Minute

// What the clock of a job posts to the loop.
type (
	// orderSent is the order that a node has got, with its binary.
	orderSent struct {
		*node
		order *wire.Order
	}
	// jobOverdue is a job whose time is up.
	jobOverdue struct {
		*node
		*job
	}
)

// clock is for how long a job may take.
type clock struct {
	order     *wire.Order   // it was given
	patience  time.Duration // from when the node has got it
	alarm     *time.Timer   // nil before, and where there is no limit
	prolonged bool          // it has its time once more
}

// stop ends the clock. It may not have started.
func (cl *clock) stop() {
	if cl.alarm != nil {
		cl.alarm.Stop()
	}
}

// awaitEnd starts the clock of a node's job. Workers end their processes themselves. This is for
// one that does not, or never says so: it has come to no end, which is not to be waited for.
func (c *controller) awaitEnd(m orderSent) {
	j := m.node.job
	if j == nil || j.order != m.order || m.order.Timeout <= 0 || c.cfg.Command.Grain() == gotest.Alone {
		return
	}
	j.patience = m.order.Delay + m.order.Timeout + overdueGrace
	j.alarm = time.AfterFunc(j.patience, func() { c.post(jobOverdue{m.node, j}) })
}

// handleOverdue gives up a node whose job has not ended. One that stood still has its time once
// more.
func (c *controller) handleOverdue(m jobOverdue) {
	n, j := m.node, m.job
	switch {
	case n.job != j || j.ended || n.refusal != nil:
	case j.stood && !j.prolonged:
		j.prolonged = true
		j.alarm.Reset(j.patience)
	default:
		c.dismiss(n, fmt.Errorf("its agent has not ended a process of %s within %v, and -timeout is %v", j.pkg.shown, j.patience, c.cfg.Command.Timeout))
	}
}
