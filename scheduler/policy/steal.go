package policy

import (
	"container/heap"
	"slices"
	"time"
)

// sharing says which node owns what of the collection, with WorkSteal. Only families that demand
// nothing and may be divided are dealt out.
type sharing struct {
	nodes  []*node       // all, a heap: the largest rest first
	hungry int           // nodes whose share is empty
	joined int           // nodes so far
	loose  time.Duration // what can be dealt out costs
}

// share is what one node owns and has not been given out.
type share struct {
	pieces []piece
	rest   time.Duration // what it costs
	at     int           // index in sharing.nodes
	seq    int
}

// piece is a contiguous part of a family.
type piece struct {
	s     *family
	items []int // ascending
}

// weigh is what an item counts for. It does not change during a run.
func (k *pkg) weigh(item int) time.Duration {
	if c := k.Items[item].Cost; c > 0 {
		return c
	}
	return max(k.neighbours, time.Millisecond)
}

func (h *sharing) Len() int { return len(h.nodes) }
func (h *sharing) Less(i, j int) bool {
	a, b := &h.nodes[i].share, &h.nodes[j].share
	if a.rest != b.rest {
		return a.rest > b.rest
	}
	return a.seq < b.seq
}
func (h *sharing) Swap(i, j int) {
	h.nodes[i], h.nodes[j] = h.nodes[j], h.nodes[i]
	h.nodes[i].share.at, h.nodes[j].share.at = i, j
}
func (h *sharing) Push(x any) {
	n := x.(*node)
	n.share.at = len(h.nodes)
	h.nodes = append(h.nodes, n)
}
func (h *sharing) Pop() any {
	n := h.nodes[len(h.nodes)-1]
	h.nodes = h.nodes[:len(h.nodes)-1]
	return n
}

func (h *sharing) join(n *node) {
	n.share.seq = h.joined
	h.joined++
	h.hungry++
	heap.Push(h, n)
}

// set makes pieces the share of n, which cost rest.
func (h *sharing) set(n *node, pieces []piece, rest time.Duration) {
	if len(n.share.pieces) == 0 {
		h.hungry--
	}
	if len(pieces) == 0 {
		h.hungry++
		rest = 0
	}
	n.share.pieces, n.share.rest = pieces, rest
	heap.Fix(h, n.share.at)
}

// ownShare returns the family at the front of n's share, or nil. An empty share is filled before:
// from what nobody owns yet, or else from the largest share.
func (p *Policy) ownShare(n *node) *family {
	if len(n.share.pieces) == 0 {
		if p.plain.top(mostWork) != nil {
			p.deal(n)
		} else {
			p.steal(n)
		}
	}
	if len(n.share.pieces) == 0 {
		return nil
	}
	return n.share.pieces[0].s
}

// deal gives n the next contiguous part of what nobody owns: all of it divided by the nodes that
// own nothing.
func (p *Policy) deal(n *node) {
	want := p.sharing.loose / time.Duration(p.sharing.hungry)
	var pieces []piece
	var have time.Duration
	for s := p.plain.top(mostWork); s != nil && (have < want || have == 0); s = p.plain.top(mostWork) {
		size := 0
		before := have
		for size < len(s.fresh) && (have < want || have == 0) {
			have += s.k.weigh(s.fresh[size])
			size++
		}
		pieces = append(pieces, piece{s, s.fresh[:size:size]})
		s.fresh = s.fresh[size:]
		s.dealt += size
		s.loose -= have - before
		p.placeFamily(s)
	}
	p.sharing.set(n, pieces, have)
}

// steal gives n half of the largest share, from its tail, and at least one item.
func (p *Policy) steal(n *node) {
	victim := p.sharing.nodes[0]
	pieces, want := victim.share.pieces, victim.share.rest/2
	var stolen []piece
	var have time.Duration
	for len(pieces) > 0 && (have < want || have == 0) {
		last := &pieces[len(pieces)-1]
		at := len(last.items)
		for at > 0 && (have < want || have == 0) {
			at--
			have += last.s.k.weigh(last.items[at])
		}
		stolen = append(stolen, piece{last.s, slices.Clone(last.items[at:])})
		last.items = last.items[:at:at]
		if at == 0 {
			pieces = pieces[:len(pieces)-1]
		}
	}
	slices.Reverse(stolen)
	p.sharing.set(victim, pieces, victim.share.rest-have)
	p.sharing.set(n, stolen, have)
}

// takeShare takes a unit from the front of n's share.
func (p *Policy) takeShare(n *node, goal time.Duration) []int {
	front := &n.share.pieces[0]
	s := front.s
	size := p.fit(s.k, front.items[:p.portion(s.k, front.items, goal)])
	items := slices.Clone(front.items[:size])
	front.items = front.items[size:]
	s.dealt -= size
	rest := n.share.rest
	for _, i := range items {
		rest -= s.k.weigh(i)
	}
	pieces := n.share.pieces
	if len(front.items) == 0 {
		pieces = pieces[1:]
	}
	p.sharing.set(n, pieces, rest)
	return items
}

// giveUpShare returns what n owns to nobody; n is leaving.
func (p *Policy) giveUpShare(n *node) {
	pieces := n.share.pieces
	p.sharing.set(n, nil, 0)
	p.sharing.hungry--
	heap.Remove(&p.sharing, n.share.at)
	for _, pc := range pieces {
		pc.s.takeBack(pc.items)
		p.placeFamily(pc.s)
	}
}

// takeBack makes items of the family that were dealt out nobody's.
func (s *family) takeBack(items []int) {
	s.dealt -= len(items)
	s.fresh = slices.Concat(s.fresh, items)
	slices.Sort(s.fresh)
	for _, i := range items {
		s.loose += s.k.weigh(i)
	}
}

// gather takes all of the family back that was dealt out.
func (p *Policy) gather(s *family) {
	var all []int
	p.sharing.filter(s, func(item int) bool {
		all = append(all, item)
		return true
	})
	s.dealt += len(all)
	s.takeBack(all)
}

// filter takes those items of the family out of all shares for which out is true.
func (h *sharing) filter(s *family, out func(int) bool) {
	if s.dealt == 0 {
		return
	}
	for _, n := range slices.Clone(h.nodes) {
		rest := n.share.rest
		var pieces []piece
		for _, pc := range n.share.pieces {
			if pc.s == s {
				kept := pc.items[:0:0]
				for _, i := range pc.items {
					if !out(i) {
						kept = append(kept, i)
						continue
					}
					s.dealt--
					rest -= s.k.weigh(i)
				}
				pc.items = kept
			}
			if len(pc.items) > 0 {
				pieces = append(pieces, pc)
			}
		}
		h.set(n, pieces, rest)
	}
}

// tallyLoose keeps the sum of what can be dealt out right.
func (h *sharing) tallyLoose(s *family, loose bool) {
	h.loose -= s.counted
	s.counted = 0
	if loose {
		s.counted = s.loose
	}
	h.loose += s.counted
}
