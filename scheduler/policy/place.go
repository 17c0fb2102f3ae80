package policy

import (
	"slices"
	"time"
)

// place puts the package into the queue that fits its state, after every change of that state.
func (p *Policy) place(k *pkg) {
	if len(k.doubted) > 0 && k.pending() == len(k.doubted) && k.units == 0 {
		k.comeBackAlone()
	}
	p.settle(k)
	if k.idle() && k.units == 0 {
		k.owner = nil
	}
	switch {
	case k.pending() == len(k.doubted) && !k.runOwed, k.exclusive && k.units > 0, k.awaits != nil:
		k.leave()
	case k.Alone:
		p.alone.put(k, k.rankOf(int64(len(k.rest))))
	case k.owner != nil:
		k.owner.scopes.put(k, 0)
	case len(k.again) > 0:
		if k.in != &p.again {
			p.returns++
			p.again.put(k, p.returns)
		}
	case !k.started:
		p.fresh.put(k, k.rankOf(int64(len(k.rest))))
	default:
		p.open.put(k, k.rankOf(int64(k.perNode())))
	}
}

// indivisible is more than any amount of work, in items or nanoseconds, and leaves room for one.
const indivisible = 1 << 62

// rankOf makes the largest amount of work the smallest rank. What cannot be divided comes before all else: it is the first to make the end of a run uneven.
func (k *pkg) rankOf(work int64) int64 {
	if k.exclusive {
		return -work - indivisible
	}
	return -work
}

// perNode is the pending work of a started package for each node that would be at it.
func (k *pkg) perNode() time.Duration { return k.left / time.Duration(k.units+1) }

// comeBackAlone makes the items in doubt the next unit, and the package one that has no two units at once.
func (k *pkg) comeBackAlone() {
	slices.Sort(k.doubted)
	k.again = [][]int{k.doubted}
	k.doubted = nil
	k.exclusive = true
}

// comeBack stores the items of a unit that must run again. Without one item done the unit is halved: at the end
// an item that ends its process before any other can finish is alone.
func (k *pkg) comeBack(out Outcome) {
	items := slices.Clone(out.Requeue)
	slices.Sort(items)
	half := len(items) / 2
	if len(out.Done) > 0 || half == 0 || k.undivided {
		k.again = append(k.again, items)
		return
	}
	k.again = append(k.again, items[:half:half], items[half:])
}
