package scheduler

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/gotest/unit"
	"github.com/xdist-go/xdist/scheduler/hosts"
	"github.com/xdist-go/xdist/scheduler/wire"
)

// What a node's goroutine posts to the loop.
type (
	nodeUp struct {
		node *node
		info gateway.Info
		link link
	}
	nodeReport struct {
		*node
		report wire.Report
	}
	// nodeDown is the last message of a node. err is nil after an orderly end.
	nodeDown struct {
		*node
		err error
	}
)

// serve is the node's goroutine: it opens the gateway, starts the worker, sends what the loop
// assigns, and posts what comes back. It ends when the worker has, and posts nodeDown then.
func (c *controller) serve(ctx context.Context, n *node) {
	c.post(nodeDown{n, c.converse(ctx, n)})
}

func (c *controller) converse(ctx context.Context, n *node) error {
	if n.pause > 0 {
		select {
		case <-time.After(n.pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	link, info, err := c.connect(ctx, n)
	if err != nil {
		return err
	}
	defer link.exit()
	c.post(nodeUp{n, info, link})

	senderc := make(chan error, 1)
	go func() {
		err := c.sendAll(ctx, n, link)
		if err != nil {
			n.finish() // nobody would answer
		}
		senderc <- err
	}()
	err = c.receiveAll(ctx, n, link)
	n.finish() // a sender that still waits for the loop
	if sendErr := <-senderc; sendErr != nil && !errors.Is(sendErr, context.Canceled) && (err == nil || errors.Is(err, context.Canceled)) {
		err = sendErr
	}
	return err
}

// link is the connection to one worker. send and receive are each used by one goroutine.
type link interface {
	send(context.Context, wire.Assignment) error
	receive(context.Context) (wire.Report, error) // io.EOF when the worker has ended in order
	closeSend() error                             // no more assignments: the worker is to end
	exit()                                        // ends the connection, whatever its state; does not block
}

// gatewayLink is a worker in an agent.
type gatewayLink struct {
	gw    *gateway.Gateway
	ch    *gateway.Channel
	hosts *hosts.Set // nil where all share the controller's files
	host  *hosts.Host
}

func (c *controller) connectGateway(ctx context.Context, n *node) (link, gateway.Info, error) {
	gw, err := n.gw, error(nil)
	if gw == nil {
		gw, err = c.cfg.Group.OpenSpec(ctx, n.spec)
	}
	if err != nil {
		return nil, gateway.Info{}, err
	}
	place := "" // all share the controller's files
	l := gatewayLink{gw: gw, hosts: c.hosts}
	if c.hosts != nil {
		if l.host, err = c.hosts.Join(ctx, gw); err != nil {
			gw.Exit()
			return nil, gateway.Info{}, &hosts.Error{Err: err}
		}
		place = l.host.Token
	}
	l.ch, err = gw.RemoteExec(ctx, wire.WorkerHandler, wire.Args{Env: c.workerEnv(n), Guest: c.hosts != nil && !hosts.SharesFiles(n.spec), Slot: c.slots.take(place, n.id), CacheSize: c.cfg.CacheSize})
	if err != nil {
		gw.Exit()
		return nil, gateway.Info{}, err
	}
	return l, gw.Info(), nil
}

func (l gatewayLink) send(ctx context.Context, a wire.Assignment) error {
	if a.Run != nil && l.host != nil {
		placed, err := l.hosts.Place(ctx, l.gw, l.host, a)
		if err != nil {
			return &hosts.Error{Err: err}
		}
		a.Run = placed
	}
	return l.ch.Send(ctx, a)
}

func (l gatewayLink) closeSend() error { return l.ch.CloseSend() }

func (l gatewayLink) exit() { l.gw.Exit() }

func (l gatewayLink) receive(ctx context.Context) (r wire.Report, err error) {
	item, err := l.ch.ReceiveItem(ctx)
	if err != nil {
		return r, err
	}
	r, err = wire.ReadReport(item)
	l.ch.Recycle(item) // what was read is copied
	return r, err
}

// sendAll sends what the loop assigns. A binary that cannot be sent because it is damaged counts as
// one that was found damaged when it ran.
func (c *controller) sendAll(ctx context.Context, n *node, l link) error {
	for {
		a, ok, err := n.orders.next(ctx)
		if err != nil {
			return err
		}
		if !ok {
			return l.closeSend()
		}
		err = l.send(ctx, a)
		if errors.Is(err, hosts.ErrDamaged) {
			c.post(nodeReport{n, wire.Report{Result: &unit.Result{Failed: true, Damaged: true, ExitCode: -1, Err: err.Error()}}})
			continue
		}
		if err != nil {
			return err
		}
		if a.Run != nil {
			c.post(orderSent{n, a.Run})
		}
	}
}

// receiveAll posts every report until the worker ends its side.
func (c *controller) receiveAll(ctx context.Context, n *node, l link) error {
	for {
		r, err := l.receive(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		c.post(nodeReport{n, r})
	}
}
