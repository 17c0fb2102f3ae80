package policy

import "slices"

// place puts the package into the queue that fits its state, after every change of that state.
func (p *Policy) place(k *pkg) {
	p.settle(k)
	switch {
	case k.idle(), k.exclusive && k.units > 0, k.awaits != nil:
		k.leave()
	case k.Alone:
		p.alone.put(k, -int64(len(k.rest)))
	case k.owner != nil:
		k.owner.scopes.put(k, 0)
	case len(k.again) > 0:
		if k.in != &p.again {
			p.returns++
			p.again.put(k, p.returns)
		}
	case !k.started:
		p.fresh.put(k, -int64(len(k.rest)))
	default:
		p.open.put(k, -int64(k.left)/int64(k.units+1))
	}
}

// comeBack stores the items of a unit that must run again. Without one item done the unit is halved: at the end
// an item that ends its process before any other can finish is alone.
func (k *pkg) comeBack(out Outcome) {
	items := slices.Clone(out.Requeue)
	slices.Sort(items)
	half := len(items) / 2
	if len(out.Done) > 0 || half == 0 || k.exclusive {
		k.again = append(k.again, items)
		return
	}
	k.again = append(k.again, items[:half:half], items[half:])
}
