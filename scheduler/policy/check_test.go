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
	pending, parked, owed, running, units := 0, 0, 0, 0, 0
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
		parked += k.parked
		if k.run.pending {
			owed++
		}
		for _, s := range k.families {
			left += s.left
			blank += s.blank
			counted += s.counted
		}
	}
	got := []int{p.pending, p.parked, p.pendingRuns, p.running, p.units, p.blank, int(p.left), int(p.flight), int(p.sharing.loose)}
	want := []int{pending, parked, owed, running, units, blank, int(left), int(flight), int(counted)}
	if !slices.Equal(got, want) {
		return fmt.Sprintf("counts of pending, parked, owed, running, units, blank, left, flight and loose are %v, want %v", got, want)
	}
	if err := p.misstored(); err != "" {
		return err
	}
	return p.unruly()
}

// misstored says when what is counted of stores and links is not so.
func (p *Policy) misstored() string {
	nodes, flight, load := map[*store]int{}, map[*store]time.Duration{}, map[*store]time.Duration{}
	var links linkSpeeds
	for _, n := range p.nodes {
		links[n.store.class()].nodes++
		nodes[n.store]++
		if n.unit != nil {
			flight[n.store] += n.work
			if n.store != nil && n.store.has[p.packages[n.unit.Package]] == nil && p.packages[n.unit.Package].Size > 0 {
				return fmt.Sprintf("node %s runs package %d, whose binary is neither in its store nor on its way", n.id, n.unit.Package)
			}
		}
	}
	for id, k := range p.packages {
		var left time.Duration
		for _, s := range k.families {
			left += s.held
		}
		if left != k.replicas.left {
			return fmt.Sprintf("package %d counts %v for its replicas, its families %v", id, k.replicas.left, left)
		}
		for _, st := range k.replicas.stores {
			load[st] += k.replicas.part
		}
	}
	for name, st := range p.stores {
		var queue int64
		for k, a := range st.has {
			queue += a.bytes
			if at := slices.Index(k.replicas.stores, st); (at >= 0) != (st.nodes > 0) {
				return fmt.Sprintf("store %s with %d nodes is a holder of package %d: %v", name, st.nodes, k.ID, at >= 0)
			}
			if a.bytes > 0 && (a.to.store != st || a.to.unit == nil || p.nodes[a.to.id] != a.to) {
				return fmt.Sprintf("the binary of package %d is on its way to node %s", k.ID, a.to.id)
			}
		}
		if st.nodes != nodes[st] || st.flight != flight[st] || st.load != load[st] || st.queue != queue {
			return fmt.Sprintf("store %s counts %d nodes, %v in flight, a load of %v and a queue of %d, and has %d, %v, %v and %d",
				name, st.nodes, st.flight, st.load, st.queue, nodes[st], flight[st], load[st], queue)
		}
	}
	for i := range links {
		if links[i].nodes != p.links[i].nodes {
			return fmt.Sprintf("%d nodes have links of class %d, %d are counted", links[i].nodes, i, p.links[i].nodes)
		}
	}
	return ""
}

// misfiled says when an item of the package is not in exactly the one place that its state says, or
// a family not where Next looks for it.
func (p *Policy) misfiled(k *pkg, held []int) string {
	pending := 0
	places := make([]int, len(k.state)) // bit 0: pending, bit 4: in flight; counted, so that twice shows
	for _, i := range slices.Concat(append(k.retries, k.waits)...) {
		places[i]++
		pending++
	}
	if pending != k.parked {
		return fmt.Sprintf("counts %d items put aside and has %d", k.parked, pending)
	}
	for _, i := range held {
		places[i] += 16
	}
	for _, s := range k.families {
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
		lists := [][]int{s.known, s.fresh}
		for _, b := range s.back {
			lists = append(lists, b.items)
		}
		for _, list := range lists {
			for _, i := range list {
				places[i]++
				if k.family(i) != s {
					return fmt.Sprintf("has item %d in a family that is not its own", i)
				}
			}
		}
		for _, b := range s.back {
			n += len(b.items)
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

// misplaced says when a family is not where Next looks for it.
func (p *Policy) misplaced(k *pkg, s *family) string {
	owed := k.run.pending && s == k.families[0]
	startable := (owed || s.pending > s.dealt) && s.awaits == nil && (!k.single() || k.units == 0)
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
