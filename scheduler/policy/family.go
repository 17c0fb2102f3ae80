package policy

import (
	"cmp"
	"slices"
	"time"
)

// family is the part of a package that demands the same. What is pending of it is in known, fresh,
// back and the shares of nodes.
type family struct {
	k      *pkg
	seq    int64 // order of arrival
	demand Demand
	class  *class // of demand and group; nil when it must be found again
	group  *group
	lists
	backlog
	standing
	portions
}

// lists are what is pending of a family. Items enter and leave in insert, the takes, giveBack and
// sweep.
type lists struct {
	known []int   // items whose cost is known, the longest first; empty with WorkSteal
	fresh []int   // items whose cost is not known, spread; all items with WorkSteal, ascending
	back  []batch // that came back from units
	dealt int     // items in the shares of nodes
}

// backlog sums up what is pending. count owns it.
type backlog struct {
	pending int           // items
	cost    time.Duration // of those that is known
	unknown int           // how many of them have no known cost
}

// standing is where a family waits to be chosen. placeFamily and reserve own it.
type standing struct {
	awaits *host         // that is kept free for it
	shelf  *shelf        // where choose looks for it; nil when nothing of it may start now
	at     [queues]int   // its index in the queues there, plus 1; 0 is not in it
	rank   [queues]int64 // its rank there
}

// portions are a family's parts of sums. settle owns them, and tallyLoose the last.
type portions struct {
	left    time.Duration // of estimates.left
	blank   int           // of estimates.blank
	held    time.Duration // of replicas.left
	loose   time.Duration // WorkSteal: what fresh costs
	counted time.Duration // of that, what sharing.loose has in it
}

// batch is what came back from a unit.
type batch struct {
	items    []int // ascending
	together bool  // it is not made smaller
}

// count adds a pending item to the books, or takes it off them when sign is -1.
func (p *Policy) count(s *family, item, sign int) {
	s.pending += sign
	s.k.pending += sign
	p.pending += sign
	if c := s.k.Items[item].Cost; c > 0 {
		s.cost += time.Duration(sign) * c
	} else {
		s.unknown += sign
	}
}

// insert adds a pending item; sort must follow.
func (s *family) insert(item int, mode Mode) {
	if mode != WorkSteal && s.k.Items[item].Cost > 0 {
		s.known = append(s.known, item)
	} else {
		s.fresh = append(s.fresh, item)
		s.loose += s.k.weigh(item)
	}
}

// ahead adds a pending item of a new package that is given out before all else: it waits with what
// has come back. Items come in their order.
func (s *family) ahead(item int) {
	if len(s.back) == 0 {
		s.back = append(s.back, batch{})
	}
	s.back[0].items = append(s.back[0].items, item)
}

func (s *family) sort() {
	items := s.k.Items
	slices.SortFunc(s.known, func(a, b int) int {
		return cmp.Or(cmp.Compare(items[b].Cost, items[a].Cost), a-b)
	})
	slices.Sort(s.fresh)
}

// spread brings the items of unknown cost into an order in which those of one unit come from all
// over the package: neighbours are often alike, and two long tests should not be in one unit.
func (s *family) spread() {
	n := len(s.fresh)
	if n < 3 {
		return
	}
	step := max(1, int(float64(n)*0.618))
	for gcd(step, n) > 1 {
		step++
	}
	items := make([]int, n)
	for i := range items {
		items[i] = s.fresh[i*step%n]
	}
	s.fresh = items
}

func gcd(a, b int) int {
	for b > 0 {
		a, b = b, a%b
	}
	return a
}

// sweep forgets items that are gone.
func (s *family) sweep(isGone func(int) bool) {
	s.known = slices.DeleteFunc(s.known, isGone)
	s.fresh = slices.DeleteFunc(s.fresh, isGone)
	for i := range s.back {
		s.back[i].items = slices.DeleteFunc(s.back[i].items, isGone)
	}
	s.back = slices.DeleteFunc(s.back, func(b batch) bool { return len(b.items) == 0 })
	s.loose = 0
	for _, i := range s.fresh {
		s.loose += s.k.weigh(i)
	}
}

// giveBack stores the items of a unit that must run again. Without one item done the unit is
// halved: at the end an item that ends its process before any other can finish is alone.
func (s *family) giveBack(out Outcome) {
	items := slices.Clone(out.Requeue)
	slices.Sort(items)
	half := len(items) / 2
	if len(out.Done) > 0 || half == 0 || s.k.undivided() {
		s.back = append(s.back, batch{items: items})
		return
	}
	s.back = append(s.back, batch{items: items[:half:half]}, batch{items: items[half:]})
}

// takeFresh takes the first n items of unknown cost.
func (s *family) takeFresh(n int) []int {
	out := slices.Clone(s.fresh[:n])
	s.fresh = s.fresh[n:]
	return out
}

// takeKnown takes n items from index at of known on. What is before them is little: items too long
// for the node.
func (s *family) takeKnown(at, n int) []int {
	out := slices.Clone(s.known[at : at+n])
	copy(s.known[n:at+n], s.known[:at])
	s.known = s.known[n:]
	return out
}
