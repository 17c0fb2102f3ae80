package policy

import (
	"slices"
	"time"
)

// pkg is what the Policy knows of one package. Its pending items are those in rest, again and doubted.
type pkg struct {
	Package
	seq int // order of AddPackage

	rest      []int   // items no unit has had, ascending
	again     [][]int // batches that came back from a unit, each ascending
	doubted   []int   // wait until they are all that is left
	runOwed   bool    // it has no items and its binary has not run
	started   bool    // a unit of it was given out
	units     int     // in flight
	exclusive bool    // at most one unit in flight
	undivided bool    // one unit holds all of it: Whole, or LoadScope
	owner     *node   // LoadScope: the node that has the scope
	awaits    *host   // Alone: the host that is kept free for it

	in   *queue // where choose looks for it; nil when nothing of it may start now
	at   int    // its index there
	rank int64  // its rank there

	seen  sample
	left  time.Duration // its part of Policy.left
	fresh int           // its part of Policy.freshItems
}

// AddPackage makes a package runnable. The Policy keeps the Names and does not change them.
func (p *Policy) AddPackage(in Package) {
	switch {
	case p.packages[in.ID] != nil:
		bug("package %d added twice", in.ID)
	case p.noMore:
		bug("package %d added after NoMore", in.ID)
	}
	in.Whole = in.Whole || in.Alone
	k := &pkg{Package: in, seq: p.arrivals}
	p.arrivals++
	k.undivided = in.Whole || p.cfg.Mode == LoadScope
	k.exclusive = k.undivided
	k.rest = make([]int, len(in.Names))
	for i := range k.rest {
		k.rest[i] = i
	}
	k.runOwed = len(in.Names) == 0
	p.packages[in.ID] = k
	p.pending += len(k.rest)
	if k.runOwed {
		p.pendingRuns++
	}
	p.place(k)
}

// Serialize makes the package run at most one unit at a time from now on. Units that are in flight already go on.
func (p *Policy) Serialize(id PackageID) {
	k := p.pkg(id)
	k.exclusive = true
	p.place(k)
}

// Drop withdraws what is pending of a package and returns its items, ascending. A unit in flight is not touched; when it ends with items
// in Requeue these are pending again, and the caller may Drop again.
func (p *Policy) Drop(id PackageID) []int {
	k := p.pkg(id)
	items := slices.Concat(slices.Concat(k.again...), k.rest, k.doubted)
	slices.Sort(items)
	p.pending -= len(items)
	if k.runOwed {
		p.pendingRuns--
	}
	k.rest, k.again, k.doubted, k.runOwed = nil, nil, nil, false
	if k.awaits != nil {
		k.awaits.waiting, k.awaits = nil, nil
	}
	p.place(k)
	return items
}

// Revoke is Drop for all packages, in the order of AddPackage. Packages with nothing pending are left out.
func (p *Policy) Revoke() []Withdrawn {
	var out []Withdrawn
	for _, k := range p.packages {
		if k.idle() {
			continue
		}
		out = append(out, Withdrawn{Package: k.ID})
	}
	slices.SortFunc(out, func(a, b Withdrawn) int { return p.pkg(a.Package).seq - p.pkg(b.Package).seq })
	for i := range out {
		out[i].Items = p.Drop(out[i].Package)
	}
	return out
}

// Complete reports whether nothing of the package is pending or in flight.
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
func (k *pkg) idle() bool { return k.pending() == 0 && !k.runOwed }

// pending is the number of items of the package that wait for a node.
func (k *pkg) pending() int {
	n := len(k.rest) + len(k.doubted)
	for _, b := range k.again {
		n += len(b)
	}
	return n
}
