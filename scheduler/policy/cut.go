package policy

import (
	"slices"
	"sort"
	"time"
)

// cut takes the next unit of the chosen family out of what is pending.
func (p *Policy) cut(n *node, c choice) Unit {
	s, k := c.s, c.s.k
	goal := p.unitGoal(n, k)
	u := Unit{Package: k.ID}
	switch {
	case len(s.back) > 0:
		b := &s.back[0]
		size := len(b.items)
		if !k.single() && !b.together {
			size = p.portion(k, b.items, goal)
		}
		if size < len(k.Items) {
			size = p.fit(k, b.items[:size])
		}
		u.Items, b.items = b.items[:size:size], b.items[size:]
		if len(b.items) == 0 {
			s.back = s.back[1:]
		}
	case len(n.share.pieces) > 0 && n.share.pieces[0].s == s:
		u.Items = p.takeShare(n, goal)
	case k.single() || p.cheap(s, goal) && c.limit == 0:
		u.Items = p.takeAll(s)
	case len(s.fresh) > 0 && (len(s.known) == 0 || p.freshFirst(s)):
		u.Items = s.takeFresh(p.fit(k, s.fresh[:p.portion(k, s.fresh, goal)]))
	default:
		at := 0
		if c.limit > 0 {
			at = p.shorter(s, c.limit)
		}
		if at == len(s.known) {
			at = max(0, at-1)
		}
		size := p.fit(k, s.known[at:at+p.portion(k, s.known[at:], goal)])
		u.Items = s.takeKnown(at, size)
	}
	slices.Sort(u.Items)
	u.Whole = len(u.Items) == len(k.Items) || len(u.Items) == 0
	return u
}

// takeAll takes everything of the family that fits into a command line, which the whole package
// always does.
func (p *Policy) takeAll(s *family) []int {
	items := slices.Concat(s.known, s.fresh)
	slices.Sort(items)
	if len(items) < len(s.k.Items) {
		items = items[:p.fit(s.k, items)]
	}
	for _, i := range items {
		s.k.state[i] = flying
	}
	s.sweep(func(i int) bool { return s.k.state[i] == flying })
	return items
}

// cheap reports whether all that the family has left is no more than a unit and a half: the rest
// would be a small unit of its own.
func (p *Policy) cheap(s *family, goal time.Duration) bool {
	if len(s.fresh)+len(s.known) == 0 {
		return true
	}
	return p.scaled(s.k, s.cost)+time.Duration(s.unknown)*p.guess(s.k, goal) <= goal+goal/2
}

// portion is how many of the items, from the first, make a unit of the given length: all of them
// when the rest would be less than half a unit.
func (p *Policy) portion(k *pkg, items []int, goal time.Duration) int {
	guess := p.guess(k, goal)
	var sum time.Duration
	size := 0
	for i, item := range items {
		cost := guess
		if c := k.Items[item].Cost; c > 0 {
			cost = p.scaled(k, c)
		}
		sum += max(cost, leastCost)
		if sum > goal+goal/2 {
			return max(1, size)
		}
		if sum <= goal {
			size = i + 1
		}
	}
	return len(items)
}

// fit is how many of the items a command line holds, at least one.
func (p *Policy) fit(k *pkg, items []int) int {
	bytes := 0
	for i, item := range items {
		bytes += len(k.Items[item].Name) + 1
		if bytes > p.cfg.MaxBytes && i > 0 {
			return i
		}
	}
	return len(items)
}

// shorter is the index of the first of the known items that is expected to last at most limit.
func (p *Policy) shorter(s *family, limit time.Duration) int {
	return sort.Search(len(s.known), func(i int) bool { return p.expected(s, s.known[i]) <= limit })
}
