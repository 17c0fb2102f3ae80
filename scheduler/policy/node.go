package policy

import "slices"

// node is one worker. It has at most one unit.
type node struct {
	id     NodeID
	host   *host
	unit   *Unit // in flight
	last   *pkg  // whose unit it ran last
	scopes queue // LoadScope: packages that began here and have more to run
}

// host is a machine with at least one node.
type host struct {
	name    string
	nodes   int
	units   int  // in flight
	alone   bool // the unit in flight is of an Alone package: nothing may start
	waiting *pkg // an Alone package that is next here: nothing else may start until it has run
}

// AddNode adds an idle node. Nodes with the same host string share a machine.
func (p *Policy) AddNode(id NodeID, hostName string) {
	if p.nodes[id] != nil {
		bug("node %q added twice", id)
	}
	h := p.hosts[hostName]
	if h == nil {
		h = &host{name: hostName}
		p.hosts[hostName] = h
	}
	h.nodes++
	p.nodes[id] = &node{id: id, host: h}
}

// RemoveNode removes a node. When it had a unit, RemoveNode returns it and true; out says what became of its items,
// as in Finish, and with a nil out all of them are pending again.
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
	for n.scopes.len() > 0 {
		k := n.scopes.top()
		k.owner = nil
		p.place(k)
	}
	p.leaveHost(n.host)
	if lost == nil {
		return Unit{}, false
	}
	return *lost, true
}

func (p *Policy) leaveHost(h *host) {
	h.nodes--
	if h.nodes > 0 {
		return
	}
	delete(p.hosts, h.name)
	if k := h.waiting; k != nil {
		k.awaits = nil
		p.place(k)
	}
}

// Finish ends the unit of a node. What is in out.Requeue is given out again before anything else, not mixed with other items. A unit that comes
// back without one item done comes back in two halves, so that an item that takes the others along is alone
// after a few attempts; packages that may not be split come back as they were. What is in out.Doubt waits until all else of the package has
// ended and is then given out as one unit, while no other unit of the package is in flight.
func (p *Policy) Finish(id NodeID, out Outcome) {
	n := p.node(id)
	if n.unit == nil {
		bug("finish on idle node %q", id)
	}
	items := make([]int, 0, len(out.Done)+len(out.Requeue))
	for _, d := range out.Done {
		items = append(items, d.Item)
	}
	items = append(append(items, out.Requeue...), out.Doubt...)
	slices.Sort(items)
	if !slices.Equal(items, n.unit.Items) {
		bug("outcome of node %q has items %v, its unit of package %d has %v", id, items, n.unit.Package, n.unit.Items)
	}
	p.finish(n, out, true)
}

// finish takes the unit from the node. ran is false when nothing is known about it: a package without items must run again then.
func (p *Policy) finish(n *node, out Outcome, ran bool) {
	u, k := n.unit, p.pkg(n.unit.Package)
	n.unit = nil
	k.units--
	p.units--
	p.running -= len(u.Items)
	p.pending += len(out.Requeue) + len(out.Doubt)
	n.host.units--
	n.host.alone = false
	switch {
	case len(u.Items) == 0 && !ran:
		k.runOwed = true
		p.pendingRuns++
	case len(out.Requeue) > 0:
		k.comeBack(out)
	}
	k.doubted = append(k.doubted, out.Doubt...)
	if ran {
		p.learn(k, out)
	}
	p.place(k)
}

func (p *Policy) node(id NodeID) *node {
	n := p.nodes[id]
	if n == nil {
		bug("unknown node %q", id)
	}
	return n
}
