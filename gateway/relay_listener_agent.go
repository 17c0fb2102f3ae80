package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

const (
	// acceptAhead is how many connections a listener has that the controller has not taken.
	acceptAhead = 16
	// takeWait is how long connections that were wanted wait for that after the end of their
	// listener: what asks for them is on its way.
	takeWait = 10 * time.Second
)

// arrivals are the connections that the listeners of an agent have accepted.
type arrivals struct {
	room chan struct{} // a token for each that has not ended

	mu      sync.Mutex // guards the fields below
	last    uint64     // number of the newest
	waiting map[uint64]arrival
}

// arrival is a connection that the controller has not taken.
type arrival struct {
	conn     net.Conn
	acceptor *acceptor
}

// newArrivals returns room for so many connections that their channels, two for each, are a quarter
// of those that may be open, and with those that are about to end half. To exceed them would end
// the gateway, and anybody may connect.
func newArrivals(maxChannels int) *arrivals {
	return &arrivals{room: make(chan struct{}, max(1, maxChannels/8)), waiting: make(map[uint64]arrival)}
}

// put books a connection that waits to be taken, and returns its number.
func (a *arrivals) put(conn net.Conn, by *acceptor) uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last++
	a.waiting[a.last] = arrival{conn, by}
	return a.last
}

// take returns a connection that waits, or nil. The caller gives its room back.
func (a *arrivals) take(number uint64) net.Conn {
	a.mu.Lock()
	defer a.mu.Unlock()
	w, ok := a.waiting[number]
	if !ok {
		return nil
	}
	delete(a.waiting, number)
	<-w.acceptor.ahead
	return w.conn
}

// drop closes the connections of a listener that wait and are newer than the last that is wanted.
func (a *arrivals) drop(of *acceptor, last uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for number, w := range a.waiting {
		if w.acceptor == of && number > last {
			delete(a.waiting, number)
			w.conn.Close()
			<-of.ahead
			<-a.room
		}
	}
}

// acceptor is the agent's side of a relayed listener. It owns a goroutine that accepts, which
// relayAccept joins.
type acceptor struct {
	net.Listener
	ctx      context.Context // of the handler; it is done as well when the listener is to end
	arrivals *arrivals
	ahead    chan struct{} // a token for each connection that was not taken
}

// relayAccept listens, tells the controller of each connection, and lives as long as it is to
// listen, and as connections that are wanted have not been taken.
func relayAccept(ctx context.Context, ch *Channel, args Item) error {
	var req acceptRequest
	if err := args.Decode(&req); err != nil {
		return err
	}
	if !isListenNetwork(req.Network) {
		return net.UnknownNetworkError(req.Network)
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, req.Network, req.Addr)
	if err != nil {
		return err
	}
	accepting, stop := context.WithCancel(ctx)
	defer stop()
	a := &acceptor{Listener: ln, ctx: accepting, arrivals: ch.session.arrivals, ahead: make(chan struct{}, acceptAhead)}
	defer a.arrivals.drop(a, 0)
	var loop sync.WaitGroup
	defer loop.Wait()
	defer ln.Close()
	if err := ch.Send(ctx, acceptReport{Local: ln.Addr().String()}); err != nil {
		return err
	}
	loop.Go(func() { acceptAll(accepting, a, nil, func(conn net.Conn) { a.tell(ctx, ch, conn) }) })
	var end acceptEnd
	err = ch.Receive(ctx, &end)
	stop()
	ln.Close()
	loop.Wait()
	if err != nil {
		return fmt.Errorf("listen at %s: %w", req.Addr, err)
	}
	a.arrivals.drop(a, end.Last)
	a.awaitTaken(ctx)
	return nil
}

// Accept implements net.Listener. It waits for room first.
func (a *acceptor) Accept() (net.Conn, error) {
	for i, tokens := range []chan struct{}{a.ahead, a.arrivals.room} {
		select {
		case tokens <- struct{}{}:
		case <-a.ctx.Done():
			if i > 0 {
				<-a.ahead
			}
			return nil, a.ctx.Err()
		}
	}
	conn, err := a.Listener.Accept()
	if err != nil {
		<-a.ahead
		<-a.arrivals.room
	}
	return conn, err
}

// tell tells the controller of a connection.
func (a *acceptor) tell(ctx context.Context, ch *Channel, conn net.Conn) {
	number := a.arrivals.put(conn, a)
	report := acceptReport{Local: conn.LocalAddr().String(), Remote: conn.RemoteAddr().String(), Conn: number}
	if ch.Send(ctx, report) != nil { // the controller is gone, and the handler ends
		a.arrivals.drop(a, number-1)
	}
}

// awaitTaken waits until no connection waits, which is when all tokens can be had.
func (a *acceptor) awaitTaken(ctx context.Context) {
	late := time.NewTimer(takeWait)
	defer late.Stop()
	for range cap(a.ahead) {
		select {
		case a.ahead <- struct{}{}:
		case <-late.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

var errNotWaiting = errors.New("the connection is closed, since its listener has ended")

// relayTake carries the bytes of a connection that a listener has accepted.
func relayTake(ctx context.Context, ch, data *Channel, req takeRequest) error {
	arrivals := ch.session.arrivals
	conn := arrivals.take(req.Conn)
	if conn == nil {
		data.CloseWith(errNotWaiting)
		return errNotWaiting
	}
	defer func() { <-arrivals.room }()
	p := startRelayPump(data, conn)
	defer p.cut()
	p.await(ctx)
	return nil
}

func (req takeRequest) bytes() Ref { return req.Data }
