package policy

import (
	"slices"
	"time"
)

// node is one worker. It has at most one unit.
type node struct {
	id     NodeID
	host   *host
	store  *store // nil has all binaries
	labels []string
	given  float64 // its speed as AddNode was told

	unit   *Unit   // in flight
	from   *family // whose unit it has, or had last
	class  *class  // of the unit, as it was when the unit was given out
	weight int     // of the unit, likewise
	work   time.Duration

	groups []*group // that are bound to it
	own    []*shelf // of these
	share  share    // WorkSteal
}

// host is a machine with at least one node.
type host struct {
	name    string
	nodes   int
	most    int // how many of them may have a unit at once; 0 is all
	members []*node
	units   int  // in flight
	load    int  // nodes that these occupy
	alone   bool // the unit in flight is exclusive: nothing may start
	free    bool // counted in Policy.freeHosts
	pace    pace
	awaited *family // is next here: nothing else may start until there is room for it
	asked   *node   // which will run it
}

// AddNode adds an idle node.
func (p *Policy) AddNode(id NodeID, in Node) {
	if p.nodes[id] != nil {
		bug("node %q added twice", id)
	}
	h := p.hosts[in.Host]
	if h == nil {
		h = &host{name: in.Host, most: p.cfg.PerHost, pace: pace{factor: 1}}
		p.hosts[in.Host] = h
	}
	h.nodes++
	n := &node{id: id, host: h, labels: in.Labels, given: in.Speed}
	if n.given <= 0 {
		n.given = 1
	}
	h.members = append(h.members, n)
	p.nodes[id] = n
	if in.Store != "" {
		n.store = p.store(in.Store)
	}
	p.rate(n, 1)
	p.visit(n.store, 1)
	p.tally(h)
	p.sharing.join(n)
}

// RemoveNode removes a node. When it had a unit, RemoveNode returns it and true; out says what
// became of its items, as in Finish, and with a nil out all of them are pending again.
func (p *Policy) RemoveNode(id NodeID, out *Outcome) (Unit, bool) {
	n := p.node(id)
	lost := n.unit
	switch {
	case lost == nil && out != nil:
		bug("outcome of a unit that node %q does not have", id)
	case lost != nil && out != nil:
		p.Finish(id, *out)
	case lost != nil:
		p.finish(n, Outcome{Requeue: lost.Items}, false)
	}
	delete(p.nodes, id)
	p.rate(n, -1)
	p.visit(n.store, -1)
	n.host.members = slices.DeleteFunc(n.host.members, func(other *node) bool { return other == n })
	for len(n.groups) > 0 {
		p.bind(n.groups[0], nil)
	}
	p.giveUpShare(n)
	p.leaveHost(n.host)
	if lost == nil {
		return Unit{}, false
	}
	return *lost, true
}

func (n *node) forget(g *group) {
	n.groups = slices.DeleteFunc(n.groups, func(other *group) bool { return other == g })
}

func (p *Policy) leaveHost(h *host) {
	h.nodes--
	if h.awaited != nil {
		p.unreserve(h.awaited)
	}
	if h.nodes > 0 {
		p.tally(h)
		return
	}
	delete(p.hosts, h.name)
	if h.free {
		p.freeHosts--
	}
}

// tally keeps freeHosts right after a change of h.
func (p *Policy) tally(h *host) {
	free := h.units == 0 && h.awaited == nil
	if free && !h.free {
		p.freeHosts++
	} else if h.free && !free {
		p.freeHosts--
	}
	h.free = free
}

// reserve keeps the host of n free for the family, which n will run.
func (p *Policy) reserve(n *node, s *family) {
	h := n.host
	h.awaited, h.asked, s.awaits = s, n, h
	p.bind(s.group, n)
	p.placeFamily(s)
	p.tally(h)
}

// unreserve is the opposite of reserve.
func (p *Policy) unreserve(s *family) {
	h := s.awaits
	if h == nil {
		return
	}
	h.awaited, h.asked, s.awaits = nil, nil, nil
	p.placeFamily(s)
	p.tally(h)
}

// Finish ends the unit of a node. What is in out.Requeue is given out again before anything else,
// not mixed with other items. A unit that comes back without one item done comes back in two
// halves, so that an item that takes the others along is alone after a few attempts; packages that
// may not be split come back as they were. What is in out.Retry waits until all else of the package
// was given out. What is in out.Park waits until that has ended, too, and is then given out, each
// family as one unit, while no other unit of the package is in flight.
func (p *Policy) Finish(id NodeID, out Outcome) {
	n := p.node(id)
	if n.unit == nil {
		bug("finish on idle node %q", id)
	}
	items := make([]int, 0, len(n.unit.Items))
	for _, d := range out.Done {
		items = append(items, d.Item)
	}
	items = slices.Concat(items, out.Requeue, out.Retry, out.Park)
	slices.Sort(items)
	if !slices.Equal(items, n.unit.Items) {
		bug("outcome of node %q has items %v, its unit of package %d has %v", id, items, n.unit.Package, n.unit.Items)
	}
	p.finish(n, out, true)
}

// finish takes the unit from the node. ran is false when nothing is known about it: a package
// without items must run again then.
func (p *Policy) finish(n *node, out Outcome, ran bool) {
	u, k, s := n.unit, p.pkg(n.unit.Package), n.from
	p.free(n)
	p.brought(n, k, ran)
	p.ends++
	p.round = 1 + p.ends/max(1, len(p.nodes)/resignShare)
	if len(u.Items) == 0 && !ran {
		k.run.pending = true
		p.pendingRuns++
	}
	for _, d := range out.Done {
		k.state[d.Item] = gone
	}
	for _, i := range out.Requeue {
		k.state[i] = waiting
		p.count(s, i, 1)
	}
	if len(out.Requeue) > 0 {
		s.giveBack(out)
	}
	p.putAside(k, out)
	if ran {
		p.learn(n, k, out)
	}
	p.place(s)
}

// free takes the unit off the books of node, host, package and resources.
func (p *Policy) free(n *node) {
	h := n.host
	p.flight -= n.work
	p.running -= len(n.unit.Items)
	p.packages[n.unit.Package].units--
	p.units--
	p.take(n.class, -1)
	h.units--
	h.load -= n.weight
	h.alone = false
	n.unit = nil
	p.tally(h)
}

func (p *Policy) node(id NodeID) *node {
	n := p.nodes[id]
	if n == nil {
		bug("unknown node %q", id)
	}
	return n
}
