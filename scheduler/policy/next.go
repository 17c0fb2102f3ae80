package policy

import (
	"os"
	"time"
)

var order = os.Getenv("XDorder")

// Next says what an idle node shall run. With false there is nothing for it now: ask again after any other call that changes the Policy.
// The caller owns the Items and must not change them.
func (p *Policy) Next(id NodeID) (Unit, bool) {
	n := p.node(id)
	if n.unit != nil {
		bug("next for busy node %q", id)
	}
	k := p.choose(n)
	if k == nil {
		return Unit{}, false
	}
	u := p.cut(k)
	p.give(n, k, &u)
	return u, true
}

// choose returns the package that n runs next, or nil.
func (p *Policy) choose(n *node) *pkg {
	h := n.host
	if h.alone {
		return nil
	}
	if h.waiting == nil && p.alone.len() > 0 && (h.units == 0 || !p.freeHost()) {
		h.waiting = p.alone.top()
		h.waiting.awaits = h
		h.waiting.leave()
	}
	if h.waiting != nil {
		if h.units > 0 {
			return nil
		}
		return h.waiting
	}
	if k := n.scopes.top(); k != nil {
		return k
	}
	if k := p.again.top(); k != nil {
		return k
	}
	return p.chooseNew(n)
}

// chooseNew prefers the package that the node ran last: its binary is there. Otherwise it takes
// the one with the most work for each node that is at it already.
func (p *Policy) chooseNew(n *node) *pkg {
	if order != "B" && n.last != nil && n.last.in == &p.open {
		return n.last
	}
	f, o := p.fresh.top(), p.open.top()
	if f == nil {
		return o
	}
	if order == "" || o == nil {
		return f
	}
	if time.Duration(len(f.rest))*p.general() > time.Duration(-o.rank) {
		return f
	}
	return o
}

// freeHost reports whether some host runs nothing and keeps itself for nothing: its nodes will ask, and an Alone package can start there at once.
func (p *Policy) freeHost() bool {
	for _, h := range p.hosts {
		if h.units == 0 && h.waiting == nil {
			return true
		}
	}
	return false
}

// give records that n runs u of k.
func (p *Policy) give(n *node, k *pkg, u *Unit) {
	n.unit, n.last = u, k
	n.host.units++
	if k.Alone {
		n.host.alone, n.host.waiting, k.awaits = true, nil, nil
	}
	if p.cfg.Mode == LoadScope {
		k.owner = n
	}
	if k.runOwed {
		k.runOwed = false
		p.pendingRuns--
	}
	k.started = true
	k.units++
	p.units++
	p.pending -= len(u.Items)
	p.running += len(u.Items)
	p.place(k)
}
