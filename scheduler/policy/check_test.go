package policy

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// check compares everything that the Policy keeps twice, and that no item is in two places.
func check(t testing.TB, p *Policy) {
	t.Helper()
	if err := p.inconsistent(); err != "" {
		t.Fatalf("inconsistent: %s", err)
	}
}

func (p *Policy) inconsistent() string {
	pending, owed, running, units := 0, 0, 0, 0
	var left, flight, counted time.Duration
	var blank int
	held := map[PackageID][]int{}
	inFlight := map[PackageID]int{}
	for _, n := range p.nodes {
		if n.unit != nil {
			held[n.unit.Package] = append(held[n.unit.Package], n.unit.Items...)
			inFlight[n.unit.Package]++
			running += len(n.unit.Items)
			units++
			flight += n.work
		}
	}
	for id, k := range p.packages {
		if k.units != inFlight[id] {
			return fmt.Sprintf("package %d counts %d units, nodes have %d", id, k.units, inFlight[id])
		}
		if err := p.misfiled(k, held[id]); err != "" {
			return fmt.Sprintf("package %d %s", id, err)
		}
		pending += k.pending
		if k.runOwed {
			owed++
		}
		for _, s := range k.strands {
			left += s.left
			blank += s.blank
			counted += s.counted
		}
	}
	got := []int{p.pending, p.pendingRuns, p.running, p.units, p.blank, int(p.left), int(p.flight), int(p.sharing.loose)}
	want := []int{pending, owed, running, units, blank, int(left), int(flight), int(counted)}
	if !slices.Equal(got, want) {
		return fmt.Sprintf("counts of pending, owed, running, units, blank, left, flight and loose are %v, want %v", got, want)
	}
	return p.unruly()
}

// misfiled says when an item of the package is not in exactly the one place that its state says, or a strand not where Next looks for it.
func (p *Policy) misfiled(k *pkg, held []int) string {
	places := make([]int, len(k.state)) // bit 0: pending, bit 4: in flight; counted, so that twice shows
	for _, i := range k.doubted {
		places[i]++
	}
	for _, i := range held {
		places[i] += 16
	}
	pending := len(k.doubted)
	for _, s := range k.strands {
		dealt := 0
		for _, n := range p.nodes {
			for _, pc := range n.share.pieces {
				if pc.s == s {
					dealt += len(pc.items)
					for _, i := range pc.items {
						places[i]++
					}
				}
			}
		}
		n := len(s.known) + len(s.fresh) + dealt
		for _, list := range append([][]int{s.known, s.fresh}, s.back...) {
			for _, i := range list {
				places[i]++
				if k.strand(i) != s {
					return fmt.Sprintf("has item %d in a strand that is not its own", i)
				}
			}
		}
		for _, b := range s.back {
			n += len(b)
		}
		if s.dealt != dealt || s.pending != n {
			return fmt.Sprintf("counts %d pending and %d dealt out, has %d and %d", s.pending, s.dealt, n, dealt)
		}
		pending += n
		if err := p.misplaced(k, s); err != "" {
			return err
		}
	}
	for i, at := range k.state {
		want := map[state]int{waiting: 1, flying: 16}[at]
		if places[i] != want {
			return fmt.Sprintf("has item %d, in state %d, in places %#x", i, at, places[i])
		}
	}
	if pending != k.pending {
		return fmt.Sprintf("counts %d pending, has %d", k.pending, pending)
	}
	return ""
}

// misplaced says when a strand is not where Next looks for it.
func (p *Policy) misplaced(k *pkg, s *strand) string {
	owed := k.runOwed && s == k.strands[0]
	startable := (owed || s.pending > s.dealt) && s.awaits == nil && (!k.exclusive || k.units == 0)
	switch {
	case startable != (s.shelf != nil):
		return fmt.Sprintf("is on a shelf: %v, want %v", s.shelf != nil, startable)
	case s.shelf != nil && s.shelf != p.shelfOf(s):
		return "is on another's shelf"
	case s.shelf == nil && s.at != [queues]int{}:
		return "is in a queue and on no shelf"
	case s.awaits != nil && (s.awaits.awaited != s || p.hosts[s.awaits.name] != s.awaits || p.nodes[s.awaits.asked.id] != s.awaits.asked):
		return "awaits a host that does not wait for it"
	case s.group != nil && s.group.bound != nil && p.nodes[s.group.bound.id] != s.group.bound:
		return "belongs to a node that is gone"
	}
	for kind, at := range s.at {
		if at > 0 && s.shelf.queues[kind].heap[at-1] != s {
			return "is not at its index"
		}
	}
	return ""
}

// unruly says when hosts, resources or exclusive units break their rule.
func (p *Policy) unruly() string {
	units, load, used, free := map[string]int{}, map[string]int{}, map[string]int{}, 0
	for _, n := range p.nodes {
		if n.unit == nil {
			continue
		}
		units[n.host.name]++
		load[n.host.name] += n.weight
		if n.class.exclusive != n.host.alone {
			return fmt.Sprintf("unit of package %d (exclusive: %v) on host %q with %d units (alone: %v)",
				n.unit.Package, n.class.exclusive, n.host.name, n.host.units, n.host.alone)
		}
		for _, r := range n.class.resources {
			used[r.Name] += r.Units
		}
	}
	for name, h := range p.hosts {
		if h.units != units[name] || h.load != load[name] || h.alone && h.units != 1 {
			return fmt.Sprintf("host %q counts %d units, its nodes have %d, alone %v", name, h.units, units[name], h.alone)
		}
		if h.free != (h.units == 0 && h.awaited == nil) {
			return fmt.Sprintf("host %q is free: %v", name, h.free)
		}
		if h.free {
			free++
		}
	}
	for name, n := range p.used {
		if used[name] != n {
			return fmt.Sprintf("%d of resource %q are counted, %d are used", n, name, used[name])
		}
	}
	if free != p.freeHosts {
		return fmt.Sprintf("%d free hosts are counted, there are %d", p.freeHosts, free)
	}
	return ""
}
