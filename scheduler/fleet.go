package scheduler

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/scheduler/event"
	"github.com/xdist-go/xdist/scheduler/hostbuild"
	"github.com/xdist-go/xdist/scheduler/policy"
	"github.com/xdist-go/xdist/xspec"
)

// fleet is the nodes of a run.
type fleet struct {
	nodes   map[string]*node  // those whose goroutine runs
	idle    []*node           // those that are ready and have no unit, the one that became so first at the front
	busy    map[string]*crowd // by host
	warned  map[string]bool   // what workers have said of their hosts, by text
	slots   slots
	count   int           // gateways that were named or have come
	restart int           // nodes that were replaced
	last    string        // the node that ended last, and why
	backOff time.Duration // before a host that could not be reached is tried once more

	connect  func(context.Context, *node) (link, gateway.Info, error)
	ctx      context.Context // of the nodes
	endNodes context.CancelCauseFunc
}

// allocate gives every spec its id, so that two that want the same one are an error before anything
// has started.
func (c *controller) allocate(specs []xspec.Spec) ([]xspec.Spec, error) {
	allocated := make([]xspec.Spec, len(specs))
	for i, s := range specs {
		var err error
		if allocated[i], err = c.cfg.Group.Allocate(s); err != nil {
			return nil, fmt.Errorf("open gateway %s: %w", s, err)
		}
	}
	return allocated, nil
}

// backOff is how long a host that has worked and cannot be reached is left in peace before it is
// tried once more: a network that was cut is often back by then.
const backOff = 3 * time.Second

// open starts a node for spec, which has its id. Without a pool it has to be placed.
func (c *controller) open(spec xspec.Spec, t *pool) *node {
	return c.begin(&node{id: spec.ID, spec: spec, pool: t})
}

// begin starts the goroutine of a node.
func (c *controller) begin(n *node) *node {
	ctx, finish := context.WithCancel(c.ctx)
	n.finish, n.orders, n.count = finish, newOrders(), c.count
	n.account = &c.account
	c.nodes[n.id] = n
	if n.pool != nil {
		n.placed = true
		n.pool.nodes++
	}
	c.emit(event.GatewayOpening{Time: time.Now(), Gateway: n.id, Spec: n.spec.String()})
	c.wait.Go(func() { c.serve(ctx, n) })
	return n
}

// up takes note of a gateway that answered, and gives it to its policy.
func (c *controller) up(n *node, info gateway.Info, l link) {
	n.ready, n.info = true, info
	c.idle = append(c.idle, n)
	n.builder, _ = l.(hostbuild.Remote)
	if !n.placed {
		c.decide(n)
	}
	c.emit(event.GatewayUp{Time: time.Now(), Gateway: n.id, Spec: n.spec.String(), Hostname: info.Hostname,
		Platform: cmp.Or(n.pool.supply.name, info.GOOS+"/"+info.GOARCH), Pid: info.Pid})
	c.offer(n.pool.supply)
	known := c.cfg.History.Host(info.Hostname)
	n.pool.policy.AddNode(policy.NodeID(n.id), policy.Node{Host: info.Hostname, Store: c.storeOf(n, l, known.Link), Labels: n.spec.Labels, Speed: known.Speed})
	c.foreseen = time.Time{} // with one more, all is another matter
	c.endStranded()
}
