package policy

import (
	"math"
	"slices"
	"time"
)

// store is where the nodes of a machine keep the binaries that were sent there.
type store struct {
	link  float64 // bytes per second that come there; 0 is not known, and counts as free
	nodes int
	speed float64 // of these together
	has   map[*pkg]*arrival
	queue int64 // bytes that are on their way

	load   time.Duration // its part of what is pending of the packages that it has
	flight time.Duration // what its nodes are at
	own    []*family     // of the packages that it has, but for those that were seen to be done
	resign resign
}

// arrival is a binary in a store, or on its way there.
type arrival struct {
	bytes int64 // still to come; 0 when it is there
	to    *node // which waits for them
}

// replicas are the stores with nodes that have the binary of a package, or get it.
type replicas struct {
	stores []*store
	left   time.Duration // what is estimated to be pending of the package
	part   time.Duration // of that, what is load of each of the stores
}

// resign is when there was last nothing for the nodes of a store that they would not have left to
// others.
type resign struct{ changes, ends int }

const (
	// manyReplicas: what more stores than these have is no load of any. They are through with it
	// together.
	manyReplicas = 16
	// linkClasses is how many classes of links there are, each twice as fast as the one before. The
	// last is of nodes to which nothing is sent, or that are not known.
	linkClasses = 48
	// betterLink is by how many classes a link must be better to count as such.
	betterLink = 2
	// fineTransfer: a binary that comes in this part of what each node has to do makes no
	// difference.
	fineTransfer = 16
	// gainShare: a binary is worth to be sent when the others would need longer than it takes to
	// come by at least this part of that.
	gainShare = 8
	// resignShare: a store that has resigned looks again when as many units as this part of the
	// nodes have ended, or when more has changed.
	resignShare = 16
)

// SetLink says at how many bytes per second binaries come to a store. As long as that is not known,
// and when it is 0, they cost nothing.
func (p *Policy) SetLink(name string, bytesPerSecond float64) {
	st := p.store(name)
	p.links.add(st, -st.nodes, -st.speed)
	st.link = max(0, bytesPerSecond)
	p.links.add(st, st.nodes, st.speed)
	p.changes++
}

// Hold says that the binary of a package is in a store: it was there before the run, or has just
// arrived.
func (p *Policy) Hold(name string, id PackageID) {
	st, k := p.store(name), p.pkg(id)
	p.changes++
	if a := st.has[k]; a != nil {
		st.land(a)
		return
	}
	p.keep(st, k, new(arrival))
}

func (p *Policy) store(name string) *store {
	if name == "" {
		bug("what is told of a store without a name")
	}
	st := p.stores[name]
	if st == nil {
		st = &store{has: make(map[*pkg]*arrival)}
		p.stores[name] = st
	}
	return st
}

// keep notes that a binary is in a store, or on its way.
func (p *Policy) keep(st *store, k *pkg, a *arrival) {
	st.has[k] = a
	st.queue += a.bytes
	st.own = append(st.own, k.families...)
	if st.nodes > 0 {
		k.replicas.set(append(k.replicas.stores, st))
	}
}

// land notes that a binary has arrived.
func (st *store) land(a *arrival) {
	st.queue -= a.bytes
	a.bytes, a.to = 0, nil
}

// forget notes that a binary has not arrived.
func (st *store) forget(k *pkg) {
	st.land(st.has[k])
	delete(st.has, k)
	k.replicas.remove(st)
}

// set changes which stores they are.
func (h *replicas) set(stores []*store) {
	for _, st := range h.stores {
		st.load -= h.part
	}
	h.stores, h.part = stores, 0
	if n := len(stores); n > 0 && n <= manyReplicas {
		h.part = h.left / time.Duration(n)
	}
	for _, st := range h.stores {
		st.load += h.part
	}
}

func (h *replicas) remove(st *store) {
	h.set(slices.DeleteFunc(slices.Clone(h.stores), func(other *store) bool { return other == st }))
}

// pend changes what is pending of the package.
func (h *replicas) pend(change time.Duration) {
	h.left += change
	if n := len(h.stores); change != 0 && n > 0 && n <= manyReplicas {
		h.set(h.stores)
	}
}

// through is when the replicas of k are through with all that they have, if none of them is done
// before the others.
func (h *replicas) through(k *pkg) time.Duration {
	var work, speed float64
	for _, st := range h.stores[:min(manyReplicas, len(h.stores))] {
		work += float64(st.load+st.flight/2) + float64(st.transfer(k))*st.speed
		speed += st.speed
	}
	if speed == 0 {
		return longest
	}
	if len(h.stores) > manyReplicas {
		work += float64(h.left)
	}
	return time.Duration(work / speed)
}

// linkSpeeds sums up the speeds of the nodes by the class of their links.
type linkSpeeds [linkClasses]struct {
	nodes int
	sum   float64
}

// class of a link; a nil store is that of nodes to which nothing is sent.
func (st *store) class() int {
	if st == nil || st.link == 0 {
		return linkClasses - 1
	}
	return min(max(0, int(math.Log2(st.link))), linkClasses-1-betterLink)
}

func (v *linkSpeeds) add(st *store, nodes int, speed float64) {
	c := &v[st.class()]
	c.nodes += nodes
	c.sum += speed
	if c.nodes == 0 {
		c.sum = 0
	}
}

// better is the sum of the speeds of nodes with clearly better links than st has.
func (v *linkSpeeds) better(st *store) float64 {
	sum := 0.0
	for _, c := range v[min(st.class()+betterLink, linkClasses):] {
		sum += c.sum
	}
	return sum
}

// rate counts the speed of a node, or no longer when sign is -1.
func (p *Policy) rate(n *node, sign int) {
	speed := float64(sign) * n.speed()
	p.speeds.add(n, sign)
	p.links.add(n.store, sign, speed)
	if st := n.store; st != nil {
		st.speed += speed
	}
}

// visit counts a node that comes to its store, or leaves it when sign is -1. A store without nodes
// keeps what it has.
func (p *Policy) visit(st *store, sign int) {
	p.changes++
	if st == nil {
		return
	}
	st.nodes += sign
	switch {
	case st.nodes == 0:
		st.speed = 0
		for k := range st.has {
			k.replicas.remove(st)
		}
	case st.nodes == 1 && sign == 1:
		for k := range st.has {
			k.replicas.set(append(k.replicas.stores, st))
		}
	}
}

// bring notes that n was given a unit of k, and waits for its binary when that is not there.
func (p *Policy) bring(n *node, k *pkg) {
	st := n.store
	if st == nil {
		return
	}
	st.flight += n.work
	if k.Size > 0 && st.has[k] == nil {
		p.keep(st, k, &arrival{bytes: k.Size, to: n})
	}
}

// brought notes that the unit of n has ended. With ran it had its binary.
func (p *Policy) brought(n *node, k *pkg, ran bool) {
	st := n.store
	if st == nil {
		return
	}
	st.flight -= n.work
	if a := st.has[k]; a != nil && ran {
		st.land(a)
	} else if a != nil && a.to == n {
		st.forget(k)
		p.changes++
	}
}

// transfer is how long it takes until the binary of k is in a store, behind what is on its way
// there; 0 when it is there, or costs nothing.
func (st *store) transfer(k *pkg) time.Duration {
	if st == nil || st.link == 0 || k.Size == 0 {
		return 0
	}
	bytes := st.queue
	if a := st.has[k]; a == nil {
		bytes += k.Size
	} else if a.bytes == 0 {
		return 0
	}
	return time.Duration(min(float64(bytes)/st.link*float64(time.Second), float64(longest)))
}

// longest is more than any transfer takes that is worth to be thought of, and leaves room for sums.
const longest time.Duration = 1 << 56

// lacks reports whether a binary would have to be sent to the store, and that costs something.
func (st *store) lacks(k *pkg) bool {
	return st != nil && st.link > 0 && k.Size > 0 && st.has[k] == nil
}
