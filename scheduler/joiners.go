package scheduler

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/scheduler/event"
	"github.com/xdist-go/xdist/xspec"
)

// Nodes may come by themselves at any time of a run, through a door, and go again. Such a node is
// like any other while it is there. Its loss is nobody's mistake and it is not replaced: the run
// goes on with the others, and waits for more when there are none.

// arrivals are the doors through which agents come by themselves, and what the run waits for.
type arrivals struct {
	listen    func(context.Context, xspec.Spec) (door, error)
	doors     []door
	listening int              // doors through which somebody may come
	enough    bool             // as many as Config.MinNodes were there at once
	lack      error            // what the run waits for, or nil
	late      <-chan time.Time // set while it waits
}

// door is where agents come by themselves.
type door interface {
	// accept returns the next agent. After close it fails with an error that wraps net.ErrClosed.
	accept(ctx context.Context) (arrival, error)
	addr() string
	close()
}

// arrival is an agent that has come through a door.
type arrival struct {
	spec xspec.Spec // of the door, with the gateway's id
	gw   *gateway.Gateway
}

// doorFailed says that nobody else will come through a door.
type doorFailed struct{ err error }

// gatewayDoor is a listener of the run's group.
type gatewayDoor struct{ *gateway.Listener }

func (d gatewayDoor) accept(ctx context.Context) (arrival, error) {
	gw, err := d.Accept(ctx)
	if err != nil {
		return arrival{}, err
	}
	return arrival{gw.Spec(), gw}, nil
}

func (d gatewayDoor) addr() string { return d.Addr().String() }
func (d gatewayDoor) close()       { d.Close() }

func (c *controller) listenGateway(ctx context.Context, spec xspec.Spec) (door, error) {
	l, err := c.cfg.Group.Listen(ctx, spec)
	return gatewayDoor{l}, err
}

// splitDoors sorts specs into those of gateways to open and those of doors.
func splitDoors(specs []xspec.Spec) (gateways, doors []xspec.Spec) {
	for _, s := range specs {
		if s.Listen != "" {
			doors = append(doors, s)
		} else {
			gateways = append(gateways, s)
		}
	}
	return gateways, doors
}

// openDoors begins to wait for agents. Each door has a goroutine, which ends when the door is
// closed.
func (c *controller) openDoors(specs []xspec.Spec) {
	for _, s := range specs {
		d, err := c.listen(c.ctx, s)
		if err != nil {
			c.fatal = err
			c.stop(err.Error())
			return
		}
		c.doors = append(c.doors, d)
		c.listening++
		c.emit(event.Listening{Spec: s.String(), Addr: d.addr()})
		c.wait.Go(func() {
			for {
				a, err := d.accept(c.ctx)
				if errors.Is(err, net.ErrClosed) {
					return
				}
				if err != nil {
					c.post(doorFailed{err})
					return
				}
				c.post(a)
			}
		})
	}
}

// closeDoors lets nobody else in.
func (c *controller) closeDoors() {
	for _, d := range c.doors {
		d.close()
	}
}

// admit makes a node of an agent that has come. One that comes to a run which is being stopped is
// let go with the others.
func (c *controller) admit(a arrival) {
	if c.stopped != "" {
		return
	}
	c.count++
	c.begin(&node{id: a.spec.ID, spec: a.spec, gw: a.gw})
}

// handleDoorFailed goes on with those who are there.
func (c *controller) handleDoorFailed(err error) {
	c.listening--
	c.emit(event.Warning{Text: err.Error()})
	c.endStranded()
}

// joined reports whether the node has come by itself.
func (n *node) joined() bool { return n.spec.Listen != "" }

// missing returns what the run waits for before it gives anything out, or goes on to: as many nodes
// as Config.MinNodes at first, and when all have gone while there is a door, another one. nil is
// for nothing.
func (c *controller) missing() error {
	if c.stopped != "" {
		return nil
	}
	if !c.enough {
		need := c.cfg.MinNodes
		if c.listening > 0 {
			need = max(need, 1)
		}
		ready := 0
		for _, n := range c.nodes {
			if n.ready {
				ready++
			}
		}
		if ready < need {
			return fmt.Errorf("wait for gateways: %d of %d have come", ready, need)
		}
		c.enough = true
	}
	if c.listening == 0 {
		return nil // and endStranded does the rest
	}
	if err := c.stranded(); err != nil {
		return fmt.Errorf("wait for gateways: %w", err)
	}
	return nil
}

// await keeps the time for which nodes are missing. When that is over, the loop calls giveUp.
func (c *controller) await() {
	c.lack = c.missing()
	switch {
	case c.lack == nil:
		c.late = nil
	case c.late == nil:
		c.late = time.After(c.cfg.NodesWait)
	}
}

// giveUp ends a run for which not enough nodes have come.
func (c *controller) giveUp() {
	c.fatal = fmt.Errorf("%w; no other has come within %v", c.lack, c.cfg.NodesWait)
	c.stop(c.fatal.Error())
}

// endStranded ends a run that no node is left for and that nobody can come to.
func (c *controller) endStranded() {
	if c.stopped != "" || c.listening > 0 {
		return
	}
	if err := c.stranded(); err != nil {
		c.fatal = err
		c.stop(err.Error())
	}
}
