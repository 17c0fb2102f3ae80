package scheduler

import (
	"fmt"
	"time"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/gotest/unit"
	"github.com/xdist-go/xdist/scheduler/event"
	"github.com/xdist-go/xdist/scheduler/hosts"
)

// A loss of power can leave a test binary with the right size and the wrong content. Its process
// does not start, or dies before its first test. What such a process was to run goes back to
// pending once the binary is mended: in the store by building it, on another host by sending it.

// mostHeals bounds how often the binary of a package is mended, beside once for each gateway: a
// disk that damages all that is written to it would go on for ever.
const mostHeals = 3

// healed comes from the goroutine that has mended the binary of a package.
type healed struct {
	*pkg
	ready gotest.Ready
	made  bool // it was made again
	err   error
}

// heal holds the result of a process whose binary is damaged, and has that mended. It reports
// whether it does.
func (c *controller) heal(n *node, r unit.Result) bool {
	p := n.job.pkg
	if c.cfg.Mend == nil || p.ready.Host != "" || c.stopped != "" || p.heals >= len(c.nodes)+mostHeals {
		return false
	}
	if n.job.started.Before(p.mended) { // of the binary as it was
		c.handleResult(n, r)
		return true
	}
	p.healing = append(p.healing, heldResult{n, n.job, r})
	if len(p.healing) > 1 {
		return true
	}
	p.heals++
	platform, ready := p.pool.supply.platform, *p.ready
	c.wait.Go(func() {
		ready, made, err := c.cfg.Mend(c.sourceCtx, platform, ready)
		c.post(healed{p, ready, made, err})
	})
	return true
}

// handleHealed ends the jobs that have waited for a binary.
func (c *controller) handleHealed(m healed) {
	p := m.pkg
	waiting := p.healing
	p.healing = nil
	if m.err == nil {
		p.mended = time.Now()
	}
	switch {
	case m.err != nil && c.stopped == "":
		c.emit(event.Warning{Text: m.err.Error()})
	case m.made:
		c.emit(event.Warning{Text: p.shown + ": its test binary was damaged in the store, as after a loss of power; it was built again"})
		p.ready, p.key = &m.ready, m.ready.Digest.Hex()
	}
	for _, held := range waiting {
		if held.node.job != held.job {
			continue // its agent is gone
		}
		if far := c.hosts != nil && !hosts.SharesFiles(held.node.spec); far && !m.made && m.err == nil {
			c.warnOfHost(held.node.info.Hostname, fmt.Sprintf("the test binary of %s is damaged there; sending it again", p.path))
		}
		held.result.Damaged = m.err == nil
		c.handleResult(held.node, held.result)
	}
}
