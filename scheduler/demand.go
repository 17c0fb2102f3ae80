package scheduler

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/scheduler/event"
	"github.com/xdist-go/xdist/scheduler/policy"
	"github.com/xdist-go/xdist/xspec"
)

// demands says for the policy what items ask for: tests that ask for the same are of one family.
func demands(items []gotest.Item) ([]policy.Item, []policy.Demand) {
	out := make([]policy.Item, len(items))
	var families []policy.Demand
	index := make(map[string]int)
	for i, it := range items {
		d := demandOf(it.Directives)
		key := fmt.Sprintf("%q %v %v %q %d", d.Group, d.Exclusive, d.Resources, d.Requires, d.Weight)
		at, ok := index[key]
		if !ok {
			at = len(families)
			index[key] = at
			families = append(families, d)
		}
		out[i] = policy.Item{Name: it.Name, Family: at}
	}
	return out, families
}

func demandOf(d *gotest.Directives) policy.Demand {
	if d == nil {
		return policy.Demand{}
	}
	out := policy.Demand{Group: d.Group, Exclusive: d.Exclusive, Requires: d.Requires, Weight: d.Weight}
	for _, r := range d.Resources {
		out.Resources = append(out.Resources, policy.Resource{Name: r.Name, Units: r.Units, Limit: r.Limit})
	}
	return out
}

// suits reports whether item i can run where a unit of some items does and when: it demands
// nothing, or what one of them does.
func (p *pkg) suits(items []int, i int) bool {
	if p.serial {
		return true // what one of its tests demands, all do
	}
	d := demandOf(p.items[i].Directives)
	return reflect.DeepEqual(d, policy.Demand{}) || slices.ContainsFunc(items, func(k int) bool { return reflect.DeepEqual(d, demandOf(p.items[k].Directives)) })
}

// refuse books as not run what requires labels that no gateway of the pool has, when all that
// were asked for are there. For agents that may still join with labels it waits until there is
// nothing else to do.
func (c *controller) refuse(t *pool) {
	if !t.choosy {
		return
	}
	labelled := func(s xspec.Spec) bool { return s.Listen != "" && len(s.Labels) > 0 }
	if c.listening > 0 && t.policy.Running() > 0 && slices.ContainsFunc(c.cfg.Specs, labelled) {
		return
	}
	for _, n := range c.nodes {
		if !n.ready && (n.pool == t || n.pool == nil) {
			return
		}
	}
	for _, out := range t.policy.Unservable() {
		p := c.pkgs[out.Package]
		for _, i := range t.policy.Withdraw(out.Package, out.Items) {
			if d := p.division(i); d != nil {
				c.undo(p, d, "no gateway has its labels")
				continue
			}
			if t := p.trials[i]; t != nil && t.said.verdict != "" {
				p.failed = true
				c.settleSaid(p, i, t)
				continue
			}
			p.failed = true
			c.ledger.settle(p, i, event.NotRun, 0, "", "no gateway has all labels that it requires: "+p.requires(i))
		}
		if p.open == 0 && len(p.jobs) == 0 && p.state == pkgRunnable {
			c.close(p)
		}
		if p.counts != nil {
			t.policy.Drop(p.num)
			c.endIdle(p, nil, "no gateway has its labels")
		}
	}
}

// requires are the labels of item i, and of those that are tied to it.
func (p *pkg) requires(i int) string {
	var labels []string
	if d := p.items[i].Directives; d != nil {
		labels = d.Requires
		if len(labels) == 0 && d.Group != "" {
			return "those of group " + d.Group
		}
	}
	if len(labels) == 0 {
		return "those of its package"
	}
	return strings.Join(labels, ", ")
}

// timeouts are the limits of those tests of a process that have one of their own; no names are all
// tests.
func (p *pkg) timeouts(names []string) map[string]time.Duration {
	var limits map[string]time.Duration
	for i, it := range p.items {
		d := it.Directives
		if d == nil || d.Timeout == 0 || names != nil && !slices.Contains(names, p.names[i]) {
			continue
		}
		if limits == nil {
			limits = make(map[string]time.Duration)
		}
		limits[p.names[i]] = max(0, d.Timeout)
	}
	return limits
}
