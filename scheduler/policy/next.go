package policy

import (
	"slices"
	"time"
)

// Next says what an idle node shall run. With false there is nothing for it now: ask again after
// any call but Next, Expect and NoMore. The caller may keep the Items and must not change them.
// While no unit is in flight and something is pending that is not Unservable, some node gets a
// unit.
func (p *Policy) Next(id NodeID) (Unit, bool) {
	n := p.node(id)
	if n.unit != nil {
		bug("next for busy node %q", id)
	}
	c := p.choose(n)
	if c.s == nil {
		return Unit{}, false
	}
	u := p.cut(n, c)
	p.give(n, c.s, u)
	return u, true
}

// Stamp tells when to ask again for a node that Next has had nothing for: as long as the stamp is
// what it was then, and not 0, there is nothing for it, so that of many nodes that wait not each
// has to be asked after each unit.
func (p *Policy) Stamp() uint64 {
	if !p.sized || p.units == 0 || len(p.bounden) > 0 || p.cfg.Mode == WorkSteal {
		return 0
	}
	return uint64(p.changes)<<32 | uint64(p.round)
}

// choice is a family for a node.
type choice struct {
	s     *family
	limit time.Duration // of the cost of an item; 0 is none
}

// choose returns what n runs next, or a choice without a family.
func (p *Policy) choose(n *node) choice {
	h := n.host
	if s := h.awaited; s != nil {
		if h.asked != n || !h.room(p.classify(s)) {
			return choice{}
		}
		p.unreserve(s)
		if s.shelf != nil && p.available(p.classify(s)) {
			return choice{s: s}
		}
	}
	if h.alone {
		return choice{}
	}
	for _, list := range [][]*shelf{n.own, p.bounden} {
		if c, wait := p.chooseOf(n, list); c.s != nil || wait {
			return c
		}
	}
	if !h.room(p.plain.class) {
		return choice{}
	}
	pick := p.pick
	if p.sized && n.store != nil && n.store.link > 0 && p.cfg.Mode != WorkSteal && !p.cfg.InOrder {
		pick = p.pickLocal
	}
	c := pick(n, p.plain)
	if c.s == nil && p.cfg.Mode == WorkSteal {
		c.s = p.ownShare(n)
	}
	return c
}

// chooseOf returns the largest of what n can run of the shelves. When the host must be kept free
// for it, wait is true: n runs nothing then.
func (p *Policy) chooseOf(n *node, list []*shelf) (best choice, wait bool) {
	for _, sh := range list {
		if sh.last && p.elseFor(n) || !n.has(sh.class) || !p.available(sh.class) || !n.host.room(sh.class) && (!sh.large() || p.freeHosts > 0 && n.host.units > 0 && !n.owns(sh)) {
			continue
		}
		if c := p.pick(n, sh); c.s != nil && (best.s == nil || c.s.left > best.s.left) {
			best = c
		}
	}
	if best.s != nil && !n.host.room(p.classify(best.s)) {
		p.reserve(n, best.s)
		return choice{}, true
	}
	return best, false
}

// elseFor reports whether something is pending that n could run at some time, but for what is to be
// last.
func (p *Policy) elseFor(n *node) bool {
	left := func(sh *shelf) bool {
		return !sh.last && n.has(sh.class) && slices.ContainsFunc(sh.queues[:], func(q queue) bool { return len(q.heap) > 0 })
	}
	return left(p.plain) || len(n.share.pieces) > 0 || slices.ContainsFunc(n.own, left) || slices.ContainsFunc(p.bounden, left)
}

// large reports whether the class takes more of a host than one node.
func (c *class) large() bool { return c.exclusive || c.weight > 1 }

func (n *node) owns(sh *shelf) bool { return slices.Contains(n.own, sh) }

// pick chooses from one shelf: what came back, then what lasts longest and cannot be divided, then
// the family that the node ran last, whose binary is there, then the one with the most work.
func (p *Policy) pick(n *node, sh *shelf) choice {
	if s := sh.top(again); s != nil {
		return choice{s: s}
	}
	hard, long := sh.top(firm), sh.top(longestFirst)
	goal := p.goal(n)
	limit := p.limit(n, sh)
	if hard != nil && (limit == 0 || -hard.rank[firm] <= int64(limit)) && (long == nil || hard.rank[firm] <= long.rank[longestFirst] || -long.rank[longestFirst] < int64(goal)) {
		return choice{s: hard}
	}
	last := n.from
	if last != nil && (last.shelf != sh || last.at[mostWork] == 0) {
		last = nil
	}
	if long == nil {
		return choice{}
	}
	if limit > 0 && p.longest(long) > limit {
		return p.pickShort(sh, last, limit)
	}
	if top := p.longest(long); top >= goal {
		if last != nil && p.longest(last) >= top*keepNum/keepDen {
			return choice{s: last}
		}
		return choice{s: long}
	}
	if last != nil && last.left >= goal {
		return choice{s: last}
	}
	return choice{s: sh.top(mostWork)}
}

// pickShort looks for the family with the longest item that lasts at most limit, among a bounded
// number of those with the most work and the last that the node ran.
func (p *Policy) pickShort(sh *shelf, last *family, limit time.Duration) choice {
	const visited = 64
	list := sh.queues[mostWork].heap
	list = slices.Clone(list[:min(visited, len(list))])
	if last != nil {
		list = append(list, last)
	}
	var best choice
	var most time.Duration
	for _, s := range list {
		at := p.shorter(s, limit)
		if at == len(s.known) && len(s.fresh) == 0 && !s.k.run.pending {
			continue
		}
		gain := s.left
		if at > 0 {
			gain = p.expected(s, s.known[min(at, len(s.known)-1)])
		}
		if s == last {
			gain *= 2 // its pages are in memory
		}
		if best.s == nil || gain > most {
			best, most = choice{s, limit}, gain
		}
	}
	return best
}

// give records that n runs u of s.
func (p *Policy) give(n *node, s *family, u Unit) {
	k, h := s.k, n.host
	n.unit, n.from, n.class = &u, s, p.classify(s)
	n.weight = h.weight(n.class)
	n.work = p.workOf(s.k, u.Items)
	p.flight += n.work
	h.units++
	h.load += n.weight
	h.alone = n.class.exclusive
	p.take(n.class, 1)
	p.tally(h)
	p.bring(n, k)
	if k.run.pending {
		k.run.pending = false
		p.pendingRuns--
	}
	for _, i := range u.Items {
		k.state[i] = flying
		p.count(s, i, -1)
	}
	k.units++
	p.units++
	p.running += len(u.Items)
	p.bind(s.group, n)
	p.place(s)
}
