package scheduler

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/history"
	"github.com/xdist-go/xdist/scheduler/event"
	"github.com/xdist-go/xdist/scheduler/hosts"
	"github.com/xdist-go/xdist/scheduler/wire"
)

// When all else has ended, what failed can run again to find out whether xdist is to blame: each test alone, and its whole package in one process, as
// `go test` runs it. The verdicts stay. These processes are the controller's own and none of the policy's: every item has its verdict.

// probe is one such process.
type probe struct {
	pkg   *pkg
	items []int // that the answer is wanted of
	whole bool  // all of the package runs, and not its only item
	found map[string]event.Verdict
}

// noteContext remembers whether item i has failed in a process that ran all of its package.
func (p *pkg) noteContext(j *job, i int) {
	if !j.entire {
		return
	}
	if p.unsplit == nil {
		p.unsplit = make(map[int]bool)
	}
	p.unsplit[i] = true
}

// verification says what became of a failed item in three contexts.
func (c *controller) verification(p *pkg, i int) *event.Verification {
	return &event.Verification{ID: p.id(i), Package: p.path, Test: p.names[i], Platform: p.target.supply.name, Batch: p.verdicts[i], Split: !p.unsplit[i], Key: p.ready.Digest.Hex()}
}

// verify runs the failed items again, where Config.VerifyFailures asks for that, and returns when it knows enough or ctx ends.
func (c *controller) verify(ctx context.Context) {
	probes := c.probes()
	if ctx.Err() != nil || len(probes) == 0 {
		return
	}
	done := ctx.Done()
	var patience <-chan time.Time
	for {
		if patience == nil {
			probes = c.dispatchProbes(probes)
		}
		if !c.probing() {
			break
		}
		select {
		case m := <-c.inbox:
			c.handleWhileProbing(m)
		case <-done:
			done, c.interrupted = nil, true
			patience = time.After(c.cfg.TerminateTimeout)
			for _, n := range c.nodes {
				if n.probe != nil {
					n.assignments <- wire.Assignment{Stop: true} // has room: an order and a stop
				}
			}
		case <-patience:
			c.endNodes(errors.New("its unit did not end in time"))
		}
	}
	c.conclusions()
}

// probes lists what there is to find out.
func (c *controller) probes() []*probe {
	limit := c.cfg.VerifyFailures
	if limit == 0 || c.replay != nil || c.stopped != "" || c.cfg.Command.Grain() == gotest.Alone {
		return nil
	}
	var all []*probe
	failures := 0
	for _, p := range c.pkgs {
		whole := &probe{pkg: p, whole: true}
		for i, v := range p.verdicts {
			if v != event.Fail && v != event.Crash || p.ready == nil {
				continue
			}
			whole.items = append(whole.items, i)
			all = append(all, &probe{pkg: p, items: []int{i}})
			c.verified = append(c.verified, c.verification(p, i))
		}
		if len(whole.items) > 0 {
			all = append(all, whole)
		}
		failures += len(whole.items)
	}
	if limit > 0 && failures > limit {
		c.verified = nil
		return nil
	}
	return all
}

// dispatchProbes gives idle nodes what they can run, and returns the rest.
func (c *controller) dispatchProbes(probes []*probe) []*probe {
	for _, n := range c.nodes {
		if !n.ready || n.probe != nil {
			continue
		}
		k := slices.IndexFunc(probes, func(q *probe) bool { return q.pkg.target == n.target })
		if k < 0 {
			continue
		}
		c.probe(n, probes[k])
		probes = slices.Delete(probes, k, k+1)
	}
	return probes
}

func (c *controller) probe(n *node, q *probe) {
	q.found = make(map[string]event.Verdict)
	n.probe = q
	p := q.pkg
	names := p.named(q.items)
	if q.whole {
		names = p.names
	}
	if q.whole && !p.partial {
		names = nil
	}
	o := c.order(n, p, names, nil)
	n.assignments <- wire.Assignment{Run: o, Digest: p.ready.Digest.Hex(), Host: p.ready.Host} // has room: it was idle
	c.emit(event.UnitStarted{Time: time.Now(), Gateway: n.id, Package: p.shown, Items: len(q.items)})
}

func (c *controller) probing() bool {
	for _, n := range c.nodes {
		if n.probe != nil {
			return true
		}
	}
	return false
}

// handleWhileProbing is handle when all items have their verdict.
func (c *controller) handleWhileProbing(m any) {
	switch m := m.(type) {
	case nodeReport:
		if m.node.probe != nil {
			c.probeReport(m.node, m.report)
		}
	case nodeDown:
		n := m.node
		delete(c.nodes, n.id)
		n.finish()
		if n.probe != nil {
			c.loseProbe(n, m.err)
		}
	case proxyFailed: // what went through it says so
	default:
		c.handle(m)
	}
}

// loseProbe ends a probe whose agent is gone. Of what ran alone it is known who did that, unless the connection was lost.
func (c *controller) loseProbe(n *node, err error) {
	q := n.probe
	reason := ""
	if err != nil {
		reason = err.Error()
	}
	c.emit(event.GatewayDown{Time: time.Now(), Gateway: n.id, Reason: reason})
	var unfit *hosts.Error
	if !q.whole && err != nil && !fateUnknown(err) && !errors.As(err, &unfit) {
		q.found[q.pkg.names[q.items[0]]] = event.Crash
	}
	c.endProbe(n)
}

// probeReport keeps what a probe's process says of the top-level tests. A round that fails outweighs the others.
func (c *controller) probeReport(n *node, r wire.Report) {
	found := n.probe.found
	for _, e := range r.Events {
		switch {
		case e.Test != topLevel(e.Test) || found[e.Test] == event.Fail:
		case e.Action == test2json.ActionPass, e.Action == test2json.ActionFail, e.Action == test2json.ActionSkip:
			found[e.Test] = event.Verdict(e.Action)
		}
	}
	if r.Result == nil {
		return
	}
	if res := *r.Result; res.Culprit != "" && found[res.Culprit] != event.Fail {
		found[res.Culprit] = event.Crash
	}
	c.endProbe(n)
}

func (c *controller) endProbe(n *node) {
	q := n.probe
	n.probe = nil
	c.emit(event.UnitEnded{Time: time.Now(), Gateway: n.id, Package: q.pkg.shown})
	for _, i := range q.items {
		k := slices.IndexFunc(c.verified, func(v *event.Verification) bool { return v.ID == q.pkg.id(i) })
		found := q.found[q.pkg.names[i]]
		if q.whole {
			c.verified[k].Whole = found
		} else {
			c.verified[k].Alone = found
		}
	}
}

// conclusions tells what is to be remembered.
func (c *controller) conclusions() {
	for _, v := range c.verified {
		if v.SplitOnly() {
			c.emit(event.Learned{Lesson: history.Lesson{Platform: v.Platform, Package: v.Package, Kind: history.Serial, Until: v.Key}})
		}
	}
}
