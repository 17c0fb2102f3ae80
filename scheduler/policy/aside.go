package policy

import "slices"

// What is to run again after other items of its package is put aside. It is pending, and in no strand's lists until it is released.

// putAside stores what of a unit is to run again later.
func (p *Policy) putAside(k *pkg, out Outcome) {
	aside := slices.Concat(out.Retry, out.Doubt)
	if len(aside) == 0 {
		return
	}
	for _, i := range aside {
		k.state[i] = waiting
	}
	if len(out.Retry) > 0 {
		k.retries = append(k.retries, slices.Sorted(slices.Values(out.Retry)))
	}
	k.doubted = append(k.doubted, out.Doubt...)
	p.park(k, len(aside))
	p.changes++
}

// park counts items that were put aside, or that left.
func (p *Policy) park(k *pkg, n int) {
	k.parked += n
	k.pending += n
	p.pending += n
}

// parks reports whether a pending item is put aside.
func (k *pkg) parks(item int) bool {
	return slices.Contains(k.doubted, item) || slices.ContainsFunc(k.retries, func(batch []int) bool { return slices.Contains(batch, item) })
}

// unpark forgets items that are gone.
func (k *pkg) unpark(isGone func(int) bool) {
	k.doubted = slices.DeleteFunc(k.doubted, isGone)
	for i := range k.retries {
		k.retries[i] = slices.DeleteFunc(k.retries[i], isGone)
	}
	k.retries = slices.DeleteFunc(k.retries, func(batch []int) bool { return len(batch) == 0 })
}

// release makes what was put aside the next units of its package, when its time has come: the retries as they came; what is in doubt one unit of each strand, and the package
// one that has no two units at once.
func (p *Policy) release(k *pkg) {
	if k.parked == 0 || k.pending > k.parked {
		return
	}
	if len(k.retries) > 0 {
		for _, items := range k.retries {
			p.unparkBatch(k, items)
		}
		k.retries = nil
		return
	}
	if k.units > 0 {
		return
	}
	k.exclusive = true
	if k.secludes {
		k.seclude(true)
	}
	doubted := k.doubted
	slices.Sort(doubted)
	k.doubted = nil
	for _, s := range k.strands {
		var items []int
		for _, i := range doubted {
			if k.strand(i) == s {
				items = append(items, i)
			}
		}
		p.unparkBatch(k, items)
	}
}

// unparkBatch gives items of one strand back to it, to run together: their processes may have to run the same tests around them.
func (p *Policy) unparkBatch(k *pkg, items []int) {
	if len(items) == 0 {
		return
	}
	s := k.strand(items[0])
	p.park(k, -len(items))
	for _, i := range items {
		p.count(s, i, 1)
	}
	s.back = append(s.back, batch{items, true})
}
