package scheduler

// `go test` runs as many packages at once as there are processors. Where more gateways than that share a host, tests wait longer for the processor, and
// those of one package meet more of other packages' ports, files and addresses. What fails there beside anything else may have failed for it.

// company counts the processes of one host.
type company struct {
	now, most int
}

// enterHost counts a new job of n's on its host, and notes which jobs there are in a crowd by now.
func (c *controller) enterHost(n *node) {
	host, room := n.info.Hostname, n.info.CPUs
	h := c.busy[host]
	if h == nil {
		h = new(company)
		c.busy[host] = h
	}
	h.now++
	record := h.now > h.most
	h.most = max(h.most, h.now)
	if room == 0 || h.most <= room || h.now == 1 {
		return
	}
	n.job.crowded = true
	if h.now > 2 && !record {
		return // the others know
	}
	for _, other := range c.nodes {
		if other.job != nil && other.info.Hostname == host {
			other.job.crowded = true
		}
	}
}

// leaveHost takes n's job off the count.
func (c *controller) leaveHost(n *node) { c.busy[n.info.Hostname].now-- }

// isolate has what is in doubt of the package run again with nothing else on its host. It comes after all that can run beside other things, unless the user waits for
// its verdict, because of --maxfail.
func (c *controller) isolate(p *pkg) {
	if !p.isolated {
		p.isolated = true
		p.target.policy.Isolate(p.num, c.cfg.MaxFail == 0)
	}
}
