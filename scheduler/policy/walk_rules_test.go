package policy

import "slices"

// demandOf is what the unit demands, and how much of its host it occupies there.
func (w *walker) demandOf(u Unit) Demand {
	in := w.packed[u.Package]
	if len(in.Families) == 0 || w.whole[u.Package] || in.Spread == Serial {
		d, groups := combined(in.Families)
		d.Exclusive = d.Exclusive || in.Spread == Alone
		if len(groups) > 0 {
			d.Group = groups[0]
		}
		return d
	}
	family := 0
	for i, item := range u.Items {
		if i > 0 && in.Items[item].Family != family {
			w.fail("unit %v is of families %d and %d", u, family, in.Items[item].Family)
		}
		family = in.Items[item].Family
	}
	return in.Families[family]
}

// meets checks that the unit gets what it demands.
func (w *walker) meets(id NodeID, u Unit) {
	d, me := w.demandOf(u), w.at[id]
	d.Exclusive = d.Exclusive || w.isolated[u.Package]
	w.lonely[id] = d.Exclusive
	for _, label := range d.Requires {
		if !slices.Contains(me.Labels, label) {
			w.fail("unit %v requires %q, node %s has %v", u, label, id, me.Labels)
		}
	}
	if d.Group != "" {
		if other, ok := w.bound[d.Group]; ok && other != id {
			w.fail("unit %v of group %s goes to %s, not %s", u, d.Group, id, other)
		}
		w.bound[d.Group] = id
	}
	nodes, load, used := 0, 0, map[string]int{}
	for _, n := range w.at {
		if n.Host == me.Host {
			nodes++
		}
	}
	for other, v := range w.held {
		e := w.demandOf(v)
		for _, r := range e.Resources {
			used[r.Name] += max(1, r.Units)
		}
		if w.at[other].Host != me.Host {
			continue
		}
		if d.Exclusive || w.lonely[other] {
			w.fail("units %v and %v, one of them exclusive, are on %s", u, v, me.Host)
		}
		load += w.weights[other]
	}
	w.weights[id] = min(max(1, d.Weight), nodes)
	if load+w.weights[id] > nodes && !d.Exclusive {
		w.fail("unit %v of weight %d goes to %s with %d nodes and a load of %d", u, d.Weight, me.Host, nodes, load)
	}
	for _, r := range d.Resources {
		if n := used[r.Name]; n > 0 && n+max(1, r.Units) > r.Limit {
			w.fail("unit %v takes %d of %s, of which %d are taken", u, r.Units, r.Name, n)
		}
	}
}
