package scheduler

import "github.com/xdist-go/xdist/scheduler/attempt"

// `go test` runs as many packages at once as there are processors. Where more gateways than that
// share a host, tests wait longer for the processor, and those of one package meet more of other
// packages' ports, files and addresses. What fails there beside anything else may have failed for
// it.

// crowd counts the processes of one host.
type crowd struct {
	now, most int
}

// enterHost counts a new job of n's on its host, and notes for all there what is beside them.
func (c *controller) enterHost(n *node) {
	host, room := n.info.Hostname, n.info.CPUs
	h := c.busy[host]
	if h == nil {
		h = new(crowd)
		c.busy[host] = h
	}
	h.now++
	h.most = max(h.most, h.now)
	j := n.job
	j.met = attempt.Nothing
	for _, other := range j.pkg.jobs {
		other.met, j.met = attempt.Package, attempt.Package
	}
	if h.now == 1 {
		return
	}
	j.met = min(j.met, attempt.Host)
	// Who wants packages whole wants their failures, too.
	j.over = room > 0 && h.most > room && c.cfg.Dist != DistLoadScope
	if h.now > 2 && !(room > 0 && h.now == h.most && h.now > room) {
		return // the others know
	}
	for _, other := range c.nodes {
		if o := other.job; o != nil && other.info.Hostname == host {
			o.met = min(o.met, attempt.Host)
			o.over = o.over || j.over
		}
	}
}

// leaveHost takes n's job off the count.
func (c *controller) leaveHost(n *node) { c.busy[n.info.Hostname].now-- }

// isolate has what is in doubt of the package run again with nothing else on its host. It comes
// after all that can run beside other things, unless the user waits for its verdict, because of
// --maxfail.
func (c *controller) isolate(p *pkg) {
	if !p.isolated {
		p.isolated = true
		p.pool.policy.Isolate(p.num, c.cfg.MaxFail == 0)
	}
}
