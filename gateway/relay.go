package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/xdist-go/xdist/xspec"
)

// reservedPrefix begins the names of the handlers that every agent offers by itself.
const reservedPrefix = "gateway/"

// Names of the handlers by which an agent relays. PROTOCOL.md describes what they exchange.
const (
	dialHandler    = reservedPrefix + "dial"
	startHandler   = reservedPrefix + "start"
	networkHandler = reservedPrefix + "network"
)

// Wire messages of the relay. The bytes themselves go over a channel of their own, which Data
// refers to.
type (
	dialRequest struct {
		Addr    string `cbor:"1,keyasint"` // host:port, or the name of a Unix socket
		Data    Ref    `cbor:"2,keyasint"`
		Network string `cbor:"3,keyasint,omitempty"` // unix; absent is tcp
	}
	// dialReport is the only item that a dial's handler sends.
	dialReport struct {
		Error    string `cbor:"1,keyasint,omitempty"` // why there is no connection; absent when there is one
		Phase    Phase  `cbor:"2,keyasint,omitempty"` // of the error
		NotFound bool   `cbor:"3,keyasint,omitempty"` // the error is that the host's name does not resolve
		Local    string `cbor:"4,keyasint,omitempty"` // addresses of the connection
		Remote   string `cbor:"5,keyasint,omitempty"`
		// Kinds are those of the error, as RemoteError has them.
		Kinds []string `cbor:"6,keyasint,omitempty"`
	}

	startRequest struct {
		Args []string `cbor:"1,keyasint,omitempty"` // program and arguments; with Own arguments only
		Data Ref      `cbor:"2,keyasint"`
		Env  []string `cbor:"3,keyasint,omitempty"` // NAME=VALUE, added to the agent's environment
		Own  bool     `cbor:"4,keyasint,omitempty"` // the program is the agent's own
		Wrap []string `cbor:"5,keyasint,omitempty"` // with Own: program and arguments to run it under
		Dir  string   `cbor:"6,keyasint,omitempty"` // to run it in; absent is the agent's
		Full bool     `cbor:"7,keyasint,omitempty"` // all that it writes is wanted, however late it is read
	}
	// startReport is an item that a start's handler sends: first one with Pid or Error, then Stderr
	// as it comes, and a last one with Status.
	startReport struct {
		Error  string   `cbor:"1,keyasint,omitempty"` // why there is no process
		Pid    int      `cbor:"2,keyasint,omitempty"`
		Stderr []byte   `cbor:"3,keyasint,omitempty"`
		Status string   `cbor:"4,keyasint,omitempty"` // how the process has ended
		Code   int      `cbor:"5,keyasint,omitempty"` // with Status: the exit code, -1 for a signal
		Kinds  []string `cbor:"6,keyasint,omitempty"` // of the error, as RemoteError has them
	}
	// processOrder is an item that a start's handler takes.
	processOrder struct {
		Kind   orderKind `cbor:"1,keyasint"`
		Signal string    `cbor:"2,keyasint,omitempty"` // for orderSignal, its name: SIGTERM
	}
)

// orderKind is what is to be done to a relayed process.
type orderKind uint8

const (
	orderInterrupt orderKind = 1
	orderKill      orderKind = 2
	orderSignal    orderKind = 3 // to the process alone
)

// relayOrigin is the host of a gateway's agent.
type relayOrigin struct{ gw *Gateway }

// dialTCP implements origin.
func (o relayOrigin) dialTCP(ctx context.Context, addr string) (net.Conn, error) {
	return o.dial(ctx, dialRequest{Addr: addr})
}

func (o relayOrigin) dial(ctx context.Context, req dialRequest) (net.Conn, error) {
	addr := req.Addr
	report, conn, err := openRelay[dialReport](ctx, o, dialHandler, func(data Ref) any {
		req.Data = data
		return req
	})
	if err == nil && report.Error == "" {
		conn.local, conn.remote = relayAddr(req.Network, report.Local), relayAddr(req.Network, report.Remote)
		conn.closeControl = true
		return conn, nil
	}
	host, _, splitErr := net.SplitHostPort(addr)
	if splitErr != nil {
		host = addr
	}
	if err != nil {
		return nil, &PhaseError{Phase: PhaseConnect, Host: host, Err: err}
	}
	conn.abandon()
	failure := relayed(report.Error, report.Kinds)
	if report.NotFound {
		failure.is = errors.Join(ErrHostNotFound, failure.is)
	}
	return nil, &PhaseError{Phase: cmp.Or(report.Phase, PhaseConnect), Host: host, Err: o.wrap(failure)}
}

// start implements origin.
func (o relayOrigin) start(ctx context.Context, c command) (*endpoint, error) {
	req := startRequest{Args: c.args}
	if len(c.args) == 0 {
		args, err := o.agentArgs(ctx)
		if err != nil {
			return nil, err
		}
		req.Args, req.Own = args, true
	}
	return o.startProcess(ctx, req, c.env)
}

// startAgent starts the gateway's own program once more, beside it.
func (o relayOrigin) startAgent(ctx context.Context, spec xspec.Spec) (*endpoint, error) {
	info, wrap := o.gw.Info(), spec.ExecWords()
	if relay := o.gw.Spec(); len(wrap) == 0 && relay.Popen && (relay.GOOS != "" || relay.GOARCH != "") {
		wrap = relay.ExecWords() // the agent there could not start without it
	}
	goos, goarch := cmp.Or(spec.GOOS, info.GOOS), cmp.Or(spec.GOARCH, info.GOARCH)
	if goos != info.GOOS || goarch != info.GOARCH {
		return nil, fmt.Errorf("start agent for %s/%s: popen starts the agent of gateway %s once more, which is for %s/%s; ssh and cmd upload another",
			goos, goarch, o.gw.ID(), info.GOOS, info.GOARCH)
	}
	args, err := o.agentArgs(ctx)
	if err != nil {
		return nil, err
	}
	return o.startProcess(ctx, startRequest{Args: args, Own: true, Wrap: wrap}, spec.Env)
}

// agentArgs are the arguments that make an agent of the program there.
func (o relayOrigin) agentArgs(ctx context.Context) ([]string, error) {
	if cfg := o.gw.group.cfg; cfg.Agent == nil {
		command, err := cfg.command()
		if err != nil {
			return nil, err
		}
		return command[1:], nil
	}
	info := o.gw.Info()
	agent, err := o.gw.group.cfg.agent(ctx, info.GOOS, info.GOARCH)
	return agent.Args, err
}

func (o relayOrigin) startProcess(ctx context.Context, req startRequest, env []xspec.Var) (*endpoint, error) {
	for _, v := range env {
		req.Env = append(req.Env, v.Name+"="+v.Value)
	}
	report, conn, err := openRelay[startReport](ctx, o, startHandler, func(data Ref) any {
		req.Data = data
		return req
	})
	if err != nil {
		return nil, err
	}
	if report.Error != "" {
		conn.abandon()
		return nil, o.wrap(relayed(report.Error, report.Kinds))
	}
	return &endpoint{conn: conn, proc: followProcess(conn.control, o.gw.group.cfg.Stderr)}, nil
}

// openPair runs a handler with a fresh channel for bytes.
func (o relayOrigin) openPair(ctx context.Context, handler string, request func(Ref) any) (*relayConn, error) {
	data, err := o.gw.open(ctx, "", nil)
	if err != nil {
		return nil, err
	}
	control, err := o.gw.open(ctx, handler, request(data.Ref()))
	if err != nil {
		data.Close()
		return nil, err
	}
	return newRelayConn(o, control, data), nil
}

// openRelay runs a relaying handler with a fresh channel for its bytes and returns its first item,
// with the connection that the two channels are.
func openRelay[T any](ctx context.Context, o relayOrigin, handler string, request func(Ref) any) (first T, _ *relayConn, err error) {
	conn, err := o.openPair(ctx, handler, request)
	if err != nil {
		return first, nil, o.wrap(err)
	}
	if err := conn.control.Receive(ctx, &first); err != nil {
		conn.abandon()
		if cause := ctx.Err(); cause != nil {
			err = cause
		}
		return first, nil, o.wrap(err)
	}
	return first, conn, nil
}

// wrap says by which gateway an error came.
func (o relayOrigin) wrap(err error) error {
	if lost, ok := errors.AsType[*LostError](err); ok {
		return fmt.Errorf("via %w", lost) // it names the gateway
	}
	if errors.Is(err, ErrExited) {
		err = ErrExited
	}
	return fmt.Errorf("via gateway %s: %w", o.gw.ID(), err)
}

// relayedError is an error that was met on the other side, as its text.
type relayedError struct {
	text string
	is   error // what it is besides; nil for nothing in particular
}

// Error implements error.
func (e *relayedError) Error() string { return e.text }

// Unwrap returns what the error is.
func (e *relayedError) Unwrap() error { return e.is }

// explain makes an error of a channel one of what the channel carries.
func (o relayOrigin) explain(err error) error {
	_, lost := errors.AsType[*LostError](err)
	remote, isRemote := errors.AsType[*RemoteError](err)
	switch {
	case lost || errors.Is(err, ErrExited):
		return o.wrap(err)
	case isRemote:
		return o.wrap(&relayedError{text: remote.Text})
	}
	return err
}

// relayAddr is an address as the other side has written it.
func relayAddr(network, text string) net.Addr {
	if network == "unix" {
		return &net.UnixAddr{Name: text, Net: network}
	}
	if ap, err := netip.ParseAddrPort(text); err == nil {
		return net.TCPAddrFromAddrPort(ap)
	}
	return namedAddr(text)
}

// namedAddr is an address that is not one of TCP.
type namedAddr string

// Network implements net.Addr.
func (namedAddr) Network() string { return "relay" }

// String implements net.Addr.
func (a namedAddr) String() string { return string(a) }
