package policy

import "time"

// Remaining is how long the rest of the work will take, as far as it can be told. ran is for how
// long the unit of a node has been running. ok is false where there is no node to do it.
//
// It is the longest of three: what is left of the unit that ends last; an even share of all that is
// left; and what cannot be shared, the longest item that is pending and what is pending of packages
// that have one process at a time, on the fastest node.
func (p *Policy) Remaining(ran func(NodeID) time.Duration) (left time.Duration, ok bool) {
	work, able, fastest := float64(p.total()), 0.0, 0.0
	for _, h := range p.hosts {
		sum := 0.0
		for _, n := range h.members {
			speed := n.speed()
			sum, fastest = sum+speed, max(fastest, speed)
			if n.unit == nil {
				continue
			}
			rest := max(0, time.Duration(float64(n.work)/speed)-ran(n.id))
			left = max(left, rest)
			work += float64(rest) * speed
		}
		if h.most > 0 && h.most < h.nodes {
			sum *= float64(h.most) / float64(h.nodes)
		}
		able += sum
	}
	if able == 0 {
		return 0, false
	}
	var whole time.Duration // of what cannot be shared
	for _, k := range p.packages {
		if k.pending == 0 {
			continue
		}
		var together time.Duration
		for _, s := range k.families {
			if s.pending == 0 {
				continue
			}
			if len(s.known) > 0 {
				whole = max(whole, p.expected(s, s.known[0]))
			}
			together += s.left + time.Duration(s.blank)*p.itemCost(k)
		}
		if k.single() {
			whole = max(whole, together)
		}
	}
	return max(left, time.Duration(work/able), time.Duration(float64(whole)/fastest)), true
}
