package policy

import "slices"

// aside is what is to run again after other items of its package. It is pending, and in no family's
// lists until it is released.
type aside struct {
	retries [][]int // wait until nothing else is pending but what is in doubt; a batch for each unit that they come from
	waits   []int   // wait until they are all that is left
	parked  int     // how many are in these two
}

// putAside stores what of a unit is to run again later.
func (p *Policy) putAside(k *pkg, out Outcome) {
	aside := slices.Concat(out.Retry, out.Park)
	if len(aside) == 0 {
		return
	}
	for _, i := range aside {
		k.state[i] = waiting
	}
	if len(out.Retry) > 0 {
		k.retries = append(k.retries, slices.Sorted(slices.Values(out.Retry)))
	}
	k.waits = append(k.waits, out.Park...)
	p.park(k, len(aside))
}

// park counts items that were put aside, or that left.
func (p *Policy) park(k *pkg, n int) {
	k.parked += n
	k.pending += n
	p.pending += n
	p.parked += n
}

// parks reports whether a pending item is put aside.
func (k *pkg) parks(item int) bool {
	return slices.Contains(k.waits, item) || slices.ContainsFunc(k.retries, func(batch []int) bool { return slices.Contains(batch, item) })
}

// unpark forgets items that are gone.
func (k *pkg) unpark(isGone func(int) bool) {
	k.waits = slices.DeleteFunc(k.waits, isGone)
	for i := range k.retries {
		k.retries[i] = slices.DeleteFunc(k.retries[i], isGone)
	}
	k.retries = slices.DeleteFunc(k.retries, func(batch []int) bool { return len(batch) == 0 })
}

// release makes what was put aside the next units of its package, when its time has come: the
// retries as they came; what waits for the end of the others one unit of each family, or the run of
// the whole binary that is due, and the package one that has no two units at once.
func (p *Policy) release(k *pkg) {
	if k.parked == 0 && !k.run.due || k.pending > k.parked {
		return
	}
	if len(k.retries) > 0 {
		for _, items := range k.retries {
			p.unparkBatch(k, items)
		}
		k.retries = nil
		return
	}
	if k.units > 0 || k.run.pending {
		return
	}
	k.Spread = max(k.Spread, Serial)
	if k.seclusion == toSeclude {
		k.seclude(true)
	}
	owed := k.run.due && k.parked == 0
	k.run.due = false
	if owed {
		k.run.pending = true
		p.pendingRuns++
		return
	}
	waits := k.waits
	slices.Sort(waits)
	k.waits = nil
	for _, s := range k.families {
		var items []int
		for _, i := range waits {
			if k.family(i) == s {
				items = append(items, i)
			}
		}
		p.unparkBatch(k, items)
	}
}

// Park has what is pending of the package wait until nothing of it is in flight, to run then as
// Outcome.Park does: the named items, or everything where there are none.
func (p *Policy) Park(id PackageID, only ...int) {
	k := p.pkg(id)
	if k.undivided() {
		return
	}
	var items []int
	for _, s := range k.families {
		for _, i := range k.pendingOf(s) {
			if !k.parks(i) && (len(only) == 0 || slices.Contains(only, i)) {
				items = append(items, i)
				p.count(s, i, -1)
			}
		}
	}
	gone := make(map[int]bool, len(items))
	for _, i := range items {
		gone[i] = true
	}
	for _, s := range k.families {
		p.sharing.filter(s, func(i int) bool { return gone[i] })
		s.sweep(func(i int) bool { return gone[i] })
	}
	k.waits = append(k.waits, items...)
	p.park(k, len(items))
	p.placeAll(k)
}

// Owe has the whole binary of the package run once more when nothing of it is pending or in flight.
// Where items wait for that, their unit is that run.
func (p *Policy) Owe(id PackageID) {
	k := p.pkg(id)
	k.run.due = true
	p.placeAll(k)
}

// Owed reports whether the whole binary of the package is to run once more, by Owe or because the
// node that ran it was removed.
func (p *Policy) Owed(id PackageID) bool {
	k := p.pkg(id)
	return k.run.due || k.run.pending
}

// Left is how many items of the package are pending and do not wait for the others to end.
func (p *Policy) Left(id PackageID) int {
	k := p.pkg(id)
	return k.pending - k.parked
}

// unparkBatch gives items of one family back to it, to run together: their processes may have to
// run the same tests around them.
func (p *Policy) unparkBatch(k *pkg, items []int) {
	if len(items) == 0 {
		return
	}
	s := k.family(items[0])
	p.park(k, -len(items))
	for _, i := range items {
		p.count(s, i, 1)
	}
	s.back = append(s.back, batch{items, true})
}
