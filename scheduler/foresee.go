package scheduler

import (
	"time"

	"github.com/xdist-go/xdist/scheduler/event"
	"github.com/xdist-go/xdist/scheduler/policy"
)

// foreseeEvery is how often the end of the run is estimated, at most, while no gateway comes: it
// takes a look at all that is pending.
const foreseeEvery = time.Second

// foresee tells when the run will have ended, as far as the plans can say: the last of them counts.
func (c *controller) foresee() {
	now := time.Now()
	if c.stopped != "" || now.Sub(c.foreseen) < foreseeEvery {
		return
	}
	c.foreseen = now
	ran := func(id policy.NodeID) time.Duration {
		if n := c.nodes[string(id)]; n != nil && n.job != nil {
			return now.Sub(n.job.started)
		}
		return 0
	}
	var left time.Duration
	for _, pool := range c.pools {
		if rest, ok := pool.policy.Remaining(ran); ok {
			left = max(left, rest)
		}
	}
	if left > 0 {
		c.emit(event.Estimate{Time: now, Left: left})
	}
}
