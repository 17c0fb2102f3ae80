package policy

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
)

// pkg is what the Policy knows of one package.
type pkg struct {
	Package       // its Spread may shrink during the run; LoadScope leaves Whole at most
	seq       int // order of AddPackage
	families  []*family
	state     []state // of each item
	pending   int     // items, those put aside included
	units     int     // in flight
	run       binaryRun
	seclusion seclusion
	aside
	replicas replicas // of its binary
	learned
}

// binaryRun is a run of a package's whole binary that has no items.
type binaryRun struct {
	pending bool // it counts in totals.pendingRuns
	due     bool // it becomes pending when nothing else of the package is; from Owe
}

// seclusion is whether what is in doubt of a package is isolated to be last; from Isolate.
type seclusion byte

const (
	beside    seclusion = iota
	toSeclude           // it will be when it is released
	secluded            // nothing of the package runs while there is anything else
)

// single reports whether at most one unit of it may be in flight.
func (k *pkg) single() bool { return k.Spread >= Serial }

// undivided reports whether one unit holds all of it.
func (k *pkg) undivided() bool { return k.Spread >= Whole }

// state is where an item is.
type state byte

const (
	waiting state = iota // pending
	dormant
	flying // in a unit
	gone   // done or withdrawn
)

// AddPackage makes a package runnable. The Policy keeps the Items and Families and does not change
// them.
func (p *Policy) AddPackage(in Package) {
	switch {
	case p.packages[in.ID] != nil:
		bug("package %d added twice", in.ID)
	case p.noMore:
		bug("package %d added after NoMore", in.ID)
	}
	for i, it := range in.Items {
		if it.Family < 0 || it.Family >= max(1, len(in.Families)) {
			bug("item %d of package %d is of family %d", i, in.ID, it.Family)
		}
	}
	if p.cfg.Mode == LoadScope {
		in.Spread = max(in.Spread, Whole)
	}
	k := &pkg{Package: in, seq: p.arrivals, state: make([]state, len(in.Items))}
	p.arrivals++
	k.run.pending = len(in.Items) == 0
	k.expect()
	p.packages[in.ID] = k
	p.sized = p.sized || in.Size > 0
	p.addFamilies(k)
	first := k.first(p.cfg.Mode)
	for i, it := range in.Items {
		if it.Dormant {
			k.state[i] = dormant
			continue
		}
		s := k.family(i)
		p.count(s, i, 1)
		if first[i] {
			s.ahead(i)
		} else {
			s.insert(i, p.cfg.Mode)
		}
	}
	for _, s := range k.families {
		s.sort()
		if p.cfg.Mode != WorkSteal {
			s.spread()
		}
	}
	if k.run.pending {
		p.pendingRuns++
	}
	p.placeAll(k)
}

// first are the items that are given out before all else. A package that is not divided has all of
// them first when one is.
func (k *pkg) first(mode Mode) []bool {
	first := make([]bool, len(k.Items))
	any := false
	for i, it := range k.Items {
		first[i] = it.First && mode != WorkSteal
		any = any || first[i]
	}
	for i := range first {
		first[i] = first[i] || any && k.undivided()
	}
	return first
}

// addFamilies makes the families of a new package.
func (p *Policy) addFamilies(k *pkg) {
	list := k.Families
	if k.single() || len(list) == 0 {
		d, groups := combined(list)
		d.Exclusive = d.Exclusive || k.Spread == Alone
		s := p.addFamily(k, d)
		if p.cfg.Mode == LoadScope && len(groups) == 0 {
			groups = []string{"\x00" + strconv.Itoa(int(k.ID))}
		}
		p.join(s, groups)
		return
	}
	for _, d := range list {
		s := p.addFamily(k, d)
		if d.Group != "" {
			p.join(s, []string{d.Group})
		}
	}
}

func (p *Policy) addFamily(k *pkg, d Demand) *family {
	s := &family{k: k, seq: p.families, demand: d}
	p.families++
	k.families = append(k.families, s)
	return s
}

// family is the one that item i is of.
func (k *pkg) family(i int) *family {
	if len(k.families) == 1 {
		return k.families[0]
	}
	return k.families[k.Items[i].Family]
}

// Serialize makes the package run at most one unit at a time from now on. Units that are in flight
// already go on.
func (p *Policy) Serialize(id PackageID) {
	p.serialize(p.pkg(id))
}

func (p *Policy) serialize(k *pkg) {
	if k.single() {
		return
	}
	k.Spread = Serial
	for _, s := range k.families {
		p.gather(s)
	}
	p.placeAll(k)
}

// Isolate makes the package run one unit at a time from now on, with nothing else on its host,
// whatever its items demand. A unit that is in flight already goes on. With last only what is in
// doubt runs so, and waits until there is nothing else that the node could run, so that no host
// drains for it; a package that runs one unit at a time already is isolated as a whole.
func (p *Policy) Isolate(id PackageID, last bool) {
	k := p.pkg(id)
	if last && !k.single() {
		k.seclusion = toSeclude
		return
	}
	p.serialize(k)
	k.seclude(last)
	p.placeAll(k)
}

// seclude has its units run with nothing else on their host, and with last after all else.
func (k *pkg) seclude(last bool) {
	k.seclusion = beside
	if last {
		k.seclusion = secluded
	}
	for _, s := range k.families {
		s.demand.Exclusive = true
		s.class = nil
	}
}

// Wake makes a dormant item pending, also after NoMore and whatever became of the rest of its
// package.
func (p *Policy) Wake(id PackageID, item int) {
	k := p.pkg(id)
	if item < 0 || item >= len(k.state) || k.state[item] != dormant {
		bug("wake of item %d of package %d, which is not dormant", item, id)
	}
	s := k.family(item)
	k.state[item] = waiting
	p.count(s, item, 1)
	s.insert(item, p.cfg.Mode)
	s.sort()
	p.placeAll(k)
}

// Withdraw takes those of the items out of the run that are pending and returns them, ascending.
// Those in flight go on and end in Finish as always.
func (p *Policy) Withdraw(id PackageID, items []int) []int {
	k := p.pkg(id)
	var out []int
	for _, i := range items {
		if i < 0 || i >= len(k.state) {
			bug("withdrawal of item %d of package %d", i, id)
		}
		if k.state[i] == waiting {
			out = append(out, i)
			k.state[i] = gone
		}
	}
	slices.Sort(out)
	p.sweep(k, out)
	return out
}

// Drop withdraws what is pending of a package and returns its items, ascending. What is dormant and
// a unit in flight are not touched; when the unit ends with items in Requeue these are pending
// again, and the caller may Drop again.
func (p *Policy) Drop(id PackageID) []int {
	k := p.pkg(id)
	var out []int
	for i, at := range k.state {
		if at == waiting {
			out = append(out, i)
			k.state[i] = gone
		}
	}
	if k.run.pending {
		p.pendingRuns--
	}
	k.run = binaryRun{}
	p.sweep(k, out)
	return out
}

// sweep forgets items that were pending.
func (p *Policy) sweep(k *pkg, items []int) {
	for _, i := range items {
		if k.parks(i) {
			p.park(k, -1)
		} else {
			p.count(k.family(i), i, -1)
		}
	}
	isGone := func(i int) bool { return k.state[i] == gone }
	k.unpark(isGone)
	for _, s := range k.families {
		p.sharing.filter(s, isGone)
		s.sweep(isGone)
		if k.empty(s) {
			p.unreserve(s)
		}
	}
	p.placeAll(k)
}

// Revoke is Drop for all packages, in the order of AddPackage. Packages with nothing pending are
// left out.
func (p *Policy) Revoke() []Withdrawn {
	var out []Withdrawn
	for _, k := range p.inOrder() {
		if !k.idle() {
			out = append(out, Withdrawn{Package: k.ID, Items: p.Drop(k.ID)})
		}
	}
	return out
}

// inOrder returns the packages in the order of AddPackage.
func (p *Policy) inOrder() []*pkg {
	return slices.SortedFunc(maps.Values(p.packages), func(a, b *pkg) int { return cmp.Compare(a.seq, b.seq) })
}

// Complete reports whether nothing of the package is pending or in flight. A Wake makes it false
// again.
func (p *Policy) Complete(id PackageID) bool {
	k := p.pkg(id)
	return k.idle() && k.units == 0
}

func (p *Policy) pkg(id PackageID) *pkg {
	k := p.packages[id]
	if k == nil {
		bug("unknown package %d", id)
	}
	return k
}

// idle reports whether nothing of the package is pending.
func (k *pkg) idle() bool { return k.pending == 0 && !k.run.pending }

// empty reports whether nothing of the family is pending. A run that is owed is the first family's.
func (k *pkg) empty(s *family) bool {
	ours := func(i int) bool { return k.family(i) == s }
	return !(k.run.pending && s == k.families[0]) && s.pending == 0 && !slices.ContainsFunc(k.waits, ours) &&
		!slices.ContainsFunc(k.retries, func(batch []int) bool { return slices.ContainsFunc(batch, ours) })
}

// pendingOf is what is pending of one family.
func (k *pkg) pendingOf(s *family) []int {
	var out []int
	for i, at := range k.state {
		if at == waiting && k.family(i) == s {
			out = append(out, i)
		}
	}
	return out
}
