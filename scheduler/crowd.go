package scheduler

import (
	"time"

	"github.com/xdist-go/xdist/scheduler/attempt"
)

// `go test` runs as many packages at once as there are processors. Where more gateways than that
// share a host, tests wait longer for the processor, and those of one package meet more of other
// packages' ports, files and addresses. What fails while that is so may have failed for it.

// crowd counts the processes of one host.
type crowd struct {
	now, room int       // room is how many processors there are, 0 for nobody knows
	ended     time.Time // when there were last more than that
}

// aftermath is for how long a test may still wait for what a crowd has left to do.
const aftermath = time.Second

// since reports whether there were more processes than processors at any time after t.
func (h *crowd) since(t time.Time) bool {
	return h != nil && (h.full() || h.ended.Add(aftermath).After(t))
}

func (h *crowd) full() bool { return h.room > 0 && h.now > h.room }

// enterHost counts a new job of n's on its host, and notes for all there what is beside them.
func (c *controller) enterHost(n *node) {
	host := n.info.Hostname
	h := c.busy[host]
	if h == nil {
		h = new(crowd)
		c.busy[host] = h
	}
	h.now, h.room = h.now+1, n.info.CPUs
	j := n.job
	j.met = attempt.Nothing
	if c.cfg.Dist != DistLoadScope { // who wants packages whole wants their failures, too
		j.host = h
	}
	for _, other := range j.pkg.jobs {
		other.met, j.met = attempt.Package, attempt.Package
	}
	if h.now == 1 {
		return
	}
	j.met = min(j.met, attempt.Host)
	if h.now > 2 {
		return // the others know
	}
	for _, other := range c.nodes {
		if o := other.job; o != nil && other.info.Hostname == host {
			o.met = min(o.met, attempt.Host)
		}
	}
}

// leaveHost takes n's job off the count.
func (c *controller) leaveHost(n *node) {
	h := c.busy[n.info.Hostname]
	if h.full() {
		h.ended = time.Now()
	}
	h.now--
}

// isolate has what is in doubt of the package run again with nothing else on its host. It comes
// after all that can run beside other things, unless the user waits for its verdict, because of
// --maxfail.
func (c *controller) isolate(p *pkg) {
	if !p.isolated {
		p.isolated = true
		p.pool.policy.Isolate(p.num, c.cfg.MaxFail == 0)
	}
}
