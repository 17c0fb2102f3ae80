package policy

import (
	"slices"
	"time"
)

// glances is how many families of each queue, and of those whose binary the store has, a node looks
// at that binaries have to be sent to.
const glances = 8

// view is how a node that binaries have to be sent to sees what is pending.
type view struct {
	*Policy
	n      *node
	limit  time.Duration // as of choice
	goal   time.Duration
	fine   time.Duration // a binary that comes within this makes no difference
	others time.Duration // in this time those do all there is to whom nothing has to be sent, or who get it much sooner
}

// offer is a family that a node may run.
type offer struct {
	choice
	long  time.Duration // its longest item that the node would take
	bonus time.Duration // what speaks for it besides: minus the time until its binary is there
}

// pickLocal is pick for a node that binaries have to be sent to. It looks at a bounded number of
// families.
func (p *Policy) pickLocal(n *node, sh *shelf) choice {
	st := n.store
	if p.resigned(st) {
		return choice{}
	}
	v := p.view(n, sh)
	for _, s := range head(sh.queues[again].heap) {
		if !v.delays(s.k) {
			return choice{s: s}
		}
	}
	hard := best(v.offers(nil, sh.queues[firm].heap), func(o offer) (gain, or time.Duration) { return o.long + o.bonus, 0 })
	list := v.offers(nil, sh.queues[longestFirst].heap)
	list = v.offers(list, sh.queues[mostWork].heap)
	list = v.offers(list, st.owned(sh))
	if last := n.from; last != nil && last.shelf == sh && last.at[mostWork] > 0 {
		list = v.offers(list, []*family{last})
	}
	var top time.Duration
	for _, o := range list {
		top = max(top, o.long)
	}
	if hard.s != nil && (len(list) == 0 || hard.long >= top || top < v.goal) {
		return hard.choice
	}
	c := best(list, func(o offer) (gain, or time.Duration) { return v.gain(o, top >= v.goal) }).choice
	if c.s == nil {
		st.resign = resign{p.changes, p.ends}
	}
	return c
}

func (p *Policy) view(n *node, sh *shelf) view {
	work := p.total()
	v := view{Policy: p, n: n, limit: p.limit(n, sh), goal: p.goal(n), fine: time.Duration(float64(work) / (fineTransfer * p.speeds.sum)), others: longest}
	work += p.flight / 2
	if free := p.links[linkClasses-1].sum; free > 0 {
		v.others = time.Duration(float64(work) / free)
	}
	if better := p.links.better(n.store); better > 0 {
		v.others = min(v.others, time.Duration(2*float64(work)/better)) // they have to wait too, half as long at most
	}
	return v
}

// head is as much of a queue as is looked at: the first, and some of those that come next.
func head(heap []*family) []*family { return heap[:min(glances, len(heap))] }

// best is the offer with the highest gain, of equals the one with more of the other, and of these
// the first.
func best(list []offer, gain func(offer) (gain, or time.Duration)) (out offer) {
	var most, mostOr time.Duration
	for _, o := range list {
		if g, or := gain(o); out.s == nil || g > most || g == most && or > mostOr {
			out, most, mostOr = o, g, or
		}
	}
	return out
}

// gain is what speaks for an offer. Where there are long items it is their length, and the node
// goes on with what it ran last as in pick; else it is that there is enough for a unit, and among
// equals how much there is.
func (v view) gain(o offer, long bool) (gain, or time.Duration) {
	last := o.s == v.n.from && o.bonus == 0
	switch {
	case long && last:
		return o.long / keepNum * keepDen, 0
	case long:
		return o.long + o.bonus, 0
	case last && o.s.left >= v.goal:
		return v.goal, longest
	}
	return min(v.firmness(o.s), v.goal) + o.bonus, time.Duration(-o.s.rank[mostWork])
}

// offers adds to list what of the first families the node may run and does not leave to others.
func (v view) offers(list []offer, from []*family) []offer {
	for _, s := range head(from) {
		o := offer{choice: choice{s: s}, long: v.longest(s)}
		if s.at[firm] > 0 {
			o.long = time.Duration(-s.rank[firm])
		}
		if v.limit > 0 && o.long > v.limit {
			at := v.shorter(s, v.limit)
			if s.at[firm] > 0 || at == len(s.known) && len(s.fresh) == 0 && !s.k.run.pending {
				continue
			}
			o.limit, o.long = v.limit, v.limit
			if at < len(s.known) {
				o.long = v.expected(s, s.known[at])
			}
		}
		if v.delays(s.k) {
			continue
		}
		if wait := v.n.store.transfer(s.k); wait > v.fine {
			o.bonus = -wait
			if v.n.store.queue == 0 && len(s.k.replicas.stores) == 0 && v.links[linkClasses-1].nodes == 0 {
				o.bonus = wait // it must be sent to somebody, the sooner the better
			}
		}
		list = append(list, o)
	}
	return list
}

// owned are some of the families on a shelf whose binaries the store has.
func (st *store) owned(sh *shelf) []*family {
	var out []*family
	for i := 0; i < len(st.own) && len(out) < glances; {
		s := st.own[i]
		if s.k.idle() && s.k.units == 0 {
			last := len(st.own) - 1
			st.own[i], st.own[last] = st.own[last], nil
			st.own = st.own[:last]
			continue
		}
		if s.shelf == sh && s.at[mostWork] > 0 {
			out = append(out, s)
		}
		i++
	}
	return out
}

// resigned reports whether there was nothing for the nodes of a store, and little has changed
// since. When nothing is in flight they look in any case.
func (p *Policy) resigned(st *store) bool {
	r := st.resign
	return r.ends > 0 && p.units > 0 && r.changes == p.changes && p.ends-r.ends <= len(p.nodes)/resignShare
}

// delays reports whether the node leaves what is pending of k to those that have its binary, or get
// it much sooner: they would be through when it has come to the node. When nothing is in flight,
// there must be one among them who takes whatever there is.
func (v view) delays(k *pkg) bool {
	st := v.n.store
	if !st.lacks(k) {
		return false
	}
	wait := st.transfer(k)
	if wait < v.others && wait+wait/gainShare < k.replicas.through(k) {
		return false
	}
	return v.units > 0 || v.willing(st, k)
}

// willing reports whether a node that is better placed than those of st takes whatever there is:
// the fastest do.
func (p *Policy) willing(st *store, k *pkg) bool {
	for _, n := range p.nodes {
		placed := slices.Contains(k.replicas.stores, n.store) || n.store.class() >= st.class()+betterLink
		if placed && p.speeds.faster(n) == 0 {
			return true
		}
	}
	return false
}
