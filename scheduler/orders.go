package scheduler

import (
	"context"
	"sync"

	"github.com/xdist-go/xdist/scheduler/wire"
)

// orders is what the loop has for a node's goroutine, which takes it in its own time. There is room
// for all that the protocol knows: one order, how its unit is to end, and the end. So the loop
// never waits, whatever the node does. The mutex guards the fields after it.
type orders struct {
	wake chan struct{} // capacity 1, never closed: there is something new

	mu    sync.Mutex
	order *wire.Assignment // not taken yet, or nil
	ends  telling          // not taken yet
	end   bool             // nothing follows what is there
}

func newOrders() *orders { return &orders{wake: make(chan struct{}, 1)} }

// put gives the node an order. It has at most one unit, and what it reports before it took the
// order is refused, so that there is room.
func (o *orders) put(a wire.Assignment) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.order != nil {
		panic("BUG: a node gets an order and has not taken the last one")
	}
	o.order = &a
	o.tell()
}

// putEnd has the unit of the last order end, in the way that is told.
func (o *orders) putEnd(way telling) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ends = max(o.ends, way)
	o.tell()
}

// close says that nothing follows.
func (o *orders) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.end = true
	o.tell()
}

// tell wakes the node's goroutine. o.mu is held.
func (o *orders) tell() {
	select {
	case o.wake <- struct{}{}:
	default: // it is about to look
	}
}

// waiting reports whether an order has not been taken.
func (o *orders) waiting() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.order != nil
}

// next waits for what is to be sent, an order before what ends it. ok is false after the last.
func (o *orders) next(ctx context.Context) (a wire.Assignment, ok bool, err error) {
	for {
		if a, ok, ready := o.take(); ready {
			return a, ok, nil
		}
		select {
		case <-o.wake:
		case <-ctx.Done():
			return wire.Assignment{}, false, ctx.Err()
		}
	}
}

// take takes what is there; ready is false for nothing.
func (o *orders) take() (a wire.Assignment, ok, ready bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.order != nil:
		a, o.order = *o.order, nil
		return a, true, true
	case o.ends != toldNothing:
		way := o.ends
		o.ends = toldNothing
		return wire.Assignment{Quit: way == toldQuit, Stop: way == toldStop}, true, true
	}
	return wire.Assignment{}, false, o.end
}
