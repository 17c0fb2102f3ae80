package policy

import "time"

// Next says what an idle node shall run. With false there is nothing for it now: ask again after any call but Next, Expect and NoMore.
// The caller may keep the Items and must not change them. While no unit is in flight and something is
// pending, some node gets a unit.
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
	p.give(n, k, u)
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
	switch {
	case h.waiting != nil && h.units > 0:
		return nil
	case h.waiting != nil:
		return h.waiting
	case n.scopes.len() > 0:
		return n.scopes.top()
	case p.again.len() > 0:
		return p.again.top()
	}
	return p.chooseNew(n)
}

// freeHost reports whether some host runs nothing and waits for nothing: its nodes will ask, and an Alone package can start there at once.
func (p *Policy) freeHost() bool {
	for _, h := range p.hosts {
		if h.units == 0 && h.waiting == nil {
			return true
		}
	}
	return false
}

// chooseNew takes what cannot be divided first, then the package that the node ran last, whose binary is there, then the one
// with the most work for each node that is at it.
func (p *Policy) chooseNew(n *node) *pkg {
	fresh, open := p.fresh.top(), p.open.top()
	switch {
	case fresh != nil && fresh.exclusive:
		return fresh
	case open != nil && open.exclusive:
		return open
	case n.last != nil && n.last.in == &p.open:
		return n.last
	case fresh == nil:
		return open
	case open == nil:
		return fresh
	}
	if time.Duration(len(fresh.rest))*p.itemCost(fresh) > open.perNode() {
		return fresh
	}
	return open
}

// cut takes the next unit of k out of what is pending.
func (p *Policy) cut(k *pkg) Unit {
	batch := &k.rest
	if len(k.again) > 0 {
		batch = &k.again[0]
	}
	n := len(*batch)
	if !k.exclusive {
		if size := p.size(k); n >= size+size/2 { // otherwise the remainder would be a small unit of its own
			n = size
		}
	}
	whole := n == len(k.Names)
	if !whole {
		n = p.fit(k, (*batch)[:n])
	}
	u := Unit{Package: k.ID, Items: (*batch)[:n:n], Whole: whole}
	*batch = (*batch)[n:]
	if len(k.again) > 0 && len(k.again[0]) == 0 {
		k.again = k.again[1:]
	}
	return u
}

// fit is how many of the items a command line holds, at least one.
func (p *Policy) fit(k *pkg, items []int) int {
	bytes := 0
	for i, item := range items {
		bytes += len(k.Names[item]) + 1
		if bytes > p.cfg.MaxBytes && i > 0 {
			return i
		}
	}
	return len(items)
}

// give records that n runs u of k.
func (p *Policy) give(n *node, k *pkg, u Unit) {
	n.unit, n.last = &u, k
	n.host.units++
	if k.Alone {
		n.host.alone, n.host.waiting, k.awaits = true, nil, nil
	} else if p.cfg.Mode == LoadScope {
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
