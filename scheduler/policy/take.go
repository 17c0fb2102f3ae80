package policy

import "slices"

// Take gives an idle node exactly these items of a package, for a caller that has an order of its
// own, instead of what Next would choose. With false nothing has changed: not all of the items
// wait, or there are none and the binary of the package without items has been given out. The items
// must be of one family; whether its demand is met at the moment is for the caller to know. Not for
// WorkSteal.
func (p *Policy) Take(id NodeID, in PackageID, items []int) (Unit, bool) {
	n, k := p.node(id), p.pkg(in)
	if n.unit != nil {
		bug("take for busy node %q", id)
	}
	if len(items) == 0 {
		if !k.run.pending {
			return Unit{}, false
		}
		u := Unit{Package: in, Whole: true}
		p.give(n, k.families[0], u)
		return u, true
	}
	s := k.family(items[0])
	for _, i := range items {
		if k.state[i] != waiting || k.parks(i) {
			return Unit{}, false
		}
		if k.family(i) != s {
			bug("take of items %v of package %d, which are of several families", items, in)
		}
	}
	u := Unit{Package: in, Items: slices.Sorted(slices.Values(items)), Whole: len(items) == len(k.Items)}
	for _, i := range u.Items {
		k.state[i] = flying
	}
	s.sweep(func(i int) bool { return k.state[i] == flying })
	p.give(n, s, u)
	return u, true
}
