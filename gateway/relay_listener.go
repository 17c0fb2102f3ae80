package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
)

// Names of the handlers by which an agent accepts connections for the controller.
const (
	acceptHandler = reservedPrefix + "accept"
	takeHandler   = reservedPrefix + "take"
)

// Wire messages of a relayed listener.
type (
	acceptRequest struct {
		Network string `cbor:"1,keyasint"`
		Addr    string `cbor:"2,keyasint"`
	}
	// acceptReport is an item that an accept's handler sends: first one with Local alone, then one
	// for each connection.
	acceptReport struct {
		Local  string `cbor:"1,keyasint"`           // address of the listener, or of the connection on its side
		Remote string `cbor:"2,keyasint,omitempty"` // and on the other
		Conn   uint64 `cbor:"3,keyasint,omitempty"` // number of the connection; later ones have higher numbers
	}
	// acceptEnd is the one item that an accept's handler takes.
	acceptEnd struct {
		Last uint64 `cbor:"1,keyasint,omitempty"` // of the connections that are wanted
	}
	takeRequest struct {
		Conn uint64 `cbor:"1,keyasint"`
		Data Ref    `cbor:"2,keyasint"`
	}
)

// Listen listens on the host of the gateway's agent, where its user may. The network is tcp, tcp4,
// tcp6 or unix, and addresses are those of that host. The listener ends with ctx, with Close and
// with the gateway. Connections that Accept has returned go on after the first two.
//
// Up to 16 connections are accepted ahead of Accept, and more wait in the host's queue, as they do
// while an eighth of Config.MaxChannels are open. A connection that nobody has taken when the
// listener ends is closed. The file of a Unix socket goes with its listener, unless the agent is
// killed. Errors: of the host, as *RemoteError, such as syscall.EADDRINUSE; ctx's; ErrExited,
// *LostError.
func (gw *Gateway) Listen(ctx context.Context, network, addr string) (net.Listener, error) {
	if !isListenNetwork(network) {
		return nil, &net.OpError{Op: "listen", Net: network, Err: net.UnknownNetworkError(network)}
	}
	l, err := gw.listen(ctx, network, addr)
	if err != nil {
		return nil, fmt.Errorf("listen at %s: %w", addr, relayOrigin{gw}.wrap(err))
	}
	return l, nil
}

func isListenNetwork(network string) bool {
	switch network {
	case "tcp", "tcp4", "tcp6", "unix":
		return true
	}
	return false
}

func (gw *Gateway) listen(ctx context.Context, network, addr string) (*relayListener, error) {
	control, err := gw.open(ctx, acceptHandler, acceptRequest{Network: network, Addr: addr})
	if err != nil {
		return nil, err
	}
	var first acceptReport
	if err := control.Receive(ctx, &first); err != nil {
		control.Close()
		return nil, cmp.Or(ctx.Err(), err)
	}
	l := &relayListener{origin: relayOrigin{gw}, control: control, network: network, addr: relayAddr(network, first.Local)}
	l.ending, l.cancel = context.WithCancel(context.Background())
	l.forget = context.AfterFunc(ctx, func() { l.end(context.Cause(ctx)) })
	return l, nil
}

// relayListener is the controller's end of a listener that an agent holds. The agent tells of
// connections over control, and Accept takes each as Dial gets one.
type relayListener struct {
	origin  relayOrigin
	control *Channel
	network string
	addr    net.Addr
	ending  context.Context // done when end was called
	cancel  context.CancelFunc
	forget  func() bool // takes the end of Listen's ctx back

	mu   sync.Mutex // guards the fields below
	last uint64     // of the connections that Accept has heard of
	err  error      // why there are no more; nil while there may be
}

// Accept implements net.Listener.
func (l *relayListener) Accept() (net.Conn, error) {
	var a acceptReport
	err := l.control.Receive(l.ending, &a)
	if ended := l.note(a.Conn); ended != nil {
		return nil, l.failed(ended)
	}
	if errors.Is(err, io.EOF) { // told to another Accept, or in order
		err = cmp.Or(l.control.WaitClose(l.ending), net.ErrClosed)
	}
	if err != nil {
		return nil, l.failed(err)
	}
	conn, err := l.take(a)
	if err != nil {
		return nil, l.failed(err)
	}
	return conn, nil
}

// note books a connection, or returns why there are none.
func (l *relayListener) note(conn uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.last = max(l.last, conn)
	}
	return l.err
}

// take has the agent carry the bytes of a connection. It does not wait for that.
func (l *relayListener) take(a acceptReport) (*relayConn, error) {
	ctx := context.Background() // ends with the gateway
	conn, err := l.origin.openPair(ctx, takeHandler, func(data Ref) any { return takeRequest{Conn: a.Conn, Data: data} })
	if err != nil {
		return nil, err
	}
	conn.local, conn.remote = relayAddr(l.network, a.Local), relayAddr(l.network, a.Remote)
	conn.closeControl = true
	return conn, nil
}

func (l *relayListener) failed(err error) error {
	return &net.OpError{Op: "accept", Net: l.network, Addr: l.addr, Err: l.origin.explain(l.origin.gw.ended(err))}
}

// Close implements net.Listener. A second call does nothing.
func (l *relayListener) Close() error {
	l.forget()
	l.end(net.ErrClosed)
	return nil
}

// end ends the listener and tells the agent which connections were taken. Only the first cause
// counts.
func (l *relayListener) end(cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return
	}
	l.err = cause
	l.control.order(acceptEnd{Last: l.last})
	l.control.CloseSend() // never fails
	l.cancel()
}

// Addr implements net.Listener: the address on the agent's host.
func (l *relayListener) Addr() net.Addr { return l.addr }
