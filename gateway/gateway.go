package gateway

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xdist-go/xdist/xspec"
)

// Gateway is the live connection from the controller to one agent. It comes from Group.Open or
// Listener.Accept and lasts until Exit, Group.Terminate, or the agent's end. All methods may be
// called concurrently.
//
// It owns the session and its goroutines, and two more: lifeLoop, which ends all of them, and one
// that waits for the agent's process. They have ended when Done is closed.
type Gateway struct {
	group    *Group
	spec     xspec.Spec
	info     atomic.Pointer[Info] // as it was told last
	endpoint *endpoint
	n        *session

	installed *installedServers
	calls     *caller

	exitOnce sync.Once
	exitc    chan struct{} // closed by Exit
	killOnce sync.Once
	killc    chan struct{} // closed by kill
	exitedc  chan struct{} // closed when the process has ended and status is set
	status   string
	donec    chan struct{} // closed when nothing is left of the gateway
}

const (
	// statusWait is how long the end of a connection waits for the exit status that explains it.
	// Blocked calls are to wake within a second.
	statusWait = 900 * time.Millisecond
	// drainWait is how long an agent's last words may take from its end to the end of its
	// connection.
	drainWait = time.Second
	// abandonedWait is how long an agent that has lost its connection gets to end what it started.
	abandonedWait = 3 * time.Second
)

// start is reach within Config.OpenTimeout.
func (g *Group) start(ctx context.Context, spec xspec.Spec) (*Gateway, error) {
	ctx, cancel := g.openTimeout(g.cfg.timed(ctx, spec.ID))
	defer cancel()
	return g.reach(ctx, spec)
}

// reach dials, and begins the gateway.
func (g *Group) reach(ctx context.Context, spec xspec.Spec) (*Gateway, error) {
	from, err := g.originOf(spec)
	if err != nil {
		return nil, err
	}
	l, err := g.dial(ctx, from, spec, g.cfg)
	if err != nil {
		return nil, err
	}
	return g.begin(ctx, spec, l)
}

// begin shakes hands with the agent of l, which it owns, and starts the session.
func (g *Group) begin(ctx context.Context, spec xspec.Spec, l *endpoint) (*Gateway, error) {
	gw := &Gateway{
		group: g, spec: spec, endpoint: l,
		exitc: make(chan struct{}), killc: make(chan struct{}),
		exitedc: make(chan struct{}), donec: make(chan struct{}),
		installed: newInstalledServers(), calls: newCaller(g.cfg.MaxCalls),
	}
	go gw.waitProcess()
	if err := gw.connect(ctx); err != nil {
		return nil, gw.startFailed(err)
	}
	lap(ctx, PhaseHandshake)
	connections.Store(gw.n.nonce, gw)
	g.standstill.join(gw)
	go gw.lifeLoop()
	return gw, nil
}

func (gw *Gateway) waitProcess() {
	gw.status = gw.endpoint.proc.wait()
	close(gw.exitedc)
}

func (gw *Gateway) connect(ctx context.Context) error {
	cfg := gw.group.cfg
	var nonce [8]byte
	rand.Read(nonce[:]) // never fails
	h := hello{
		Gateway: gw.spec.ID, Nonce: binary.BigEndian.Uint64(nonce[:]),
		MaxItem: cfg.MaxItem, MaxChannels: cfg.MaxChannels, Window: cfg.Window,
		Lease: cfg.Lease.Milliseconds(), Grace: (cfg.Grace / 2).Milliseconds(),
		Chdir: gw.spec.Chdir, Nice: gw.spec.Nice, Frame: frameFor(gw.spec), Compress: gw.spec.Compress,
	}
	bc := newBufferedConn(gw.endpoint.conn)
	info, err := greet(ctx, bc, h)
	if err != nil {
		return err
	}
	gw.info.Store(&info)
	m := gw.endpoint.mux
	if m == nil {
		m = newYamuxTaking(controllerSide, compressed(bc, h.Compress), cfg.OwnWindow, cfg.Window, h.Frame)
	}
	gw.n, err = startSession(ctx, m, controllerSide, sessionConfig{
		name: gw.spec.ID, nonce: h.Nonce, sendLimit: cfg.MaxItem, recvLimit: cfg.MaxItem,
		maxChannels: cfg.MaxChannels, beat: cfg.Beat, lease: cfg.Lease,
		explain: gw.explain, logger: cfg.Logger,
	})
	return err
}

// startFailed ends what start has begun, and adds what the agent's end tells.
func (gw *Gateway) startFailed(err error) error {
	ended := within(statusWait, gw.exitedc)
	gw.endpoint.proc.kill()
	<-gw.exitedc
	gw.endpoint.conn.Close()
	if !ended {
		gw.status = "" // it is our doing
	}
	if tail := gw.endpoint.proc.stderr(); ended || tail != "" {
		return &StartError{Status: gw.status, Stderr: tail, Cause: err}
	}
	return err
}

// lifeLoop lives as long as the gateway does and takes it apart.
func (gw *Gateway) lifeLoop() {
	defer connections.Delete(gw.n.nonce)
	defer gw.group.reaped(gw) // after donec, which remove looks at
	defer close(gw.donec)
	select {
	case <-gw.exitc:
		gw.n.tell(controlMessage{Kind: controlGoodbye})
		gw.awaitEnd(gw.group.cfg.Grace)
		gw.n.end(ErrExited)
	case <-gw.n.explainedc:
		gw.awaitExit(abandonedWait)
	case <-gw.exitedc:
		if !within(drainWait, gw.n.explainedc) {
			gw.n.end(errors.New("agent has ended"))
		}
	}
	gw.endpoint.proc.kill()
	gw.n.wait()
	<-gw.exitedc
	gw.endpoint.conn.Close() // closed by the session already
}

// awaitEnd waits for the agent after the goodbye, interrupts it at half of the time, and gives up
// at its end.
func (gw *Gateway) awaitEnd(d time.Duration) {
	if gw.awaitExit(d / 2) {
		return
	}
	gw.endpoint.proc.interrupt()
	gw.awaitExit(d - d/2)
}

// awaitExit waits for the end of the process, no longer than d, and not when it is to be killed.
func (gw *Gateway) awaitExit(d time.Duration) bool {
	wait := time.NewTimer(d)
	defer wait.Stop()
	select {
	case <-gw.exitedc:
		return true
	case <-gw.killc:
	case <-wait.C:
	}
	return false
}

// explain makes the session's end an error that tells what has become of the agent.
func (gw *Gateway) explain(cause error) error {
	select {
	case <-gw.exitc:
		return fmt.Errorf("gateway %s: %w", gw.spec.ID, ErrExited)
	default:
	}
	lost := &LostError{Gateway: gw.spec.ID, Cause: cause}
	if err := gw.lostOnTheWay(); err != nil {
		lost.Cause = err // and nobody knows what has become of the agent
	} else if gw.awaitExit(statusWait) {
		lost.Status = gw.status
	}
	lost.Stderr = gw.endpoint.proc.stderr()
	return lost
}

// ID returns the gateway's id, unique in its group for ever.
func (gw *Gateway) ID() string { return gw.spec.ID }

// Spec returns the spec that the gateway was opened with, its id included.
func (gw *Gateway) Spec() xspec.Spec { return gw.spec }

// Info returns what the agent has said about itself last: when it was started, or to Refresh.
func (gw *Gateway) Info() Info { return *gw.info.Load() }

// Refresh asks the agent anew what it is, of which the load of its host, the working directory, the
// niceness, the name of the host and the processors that it may use can have changed, and returns
// what Info does from then on. What the agent is busy with Status tells. Errors: ctx's, ErrExited,
// *LostError.
func (gw *Gateway) Refresh(ctx context.Context) (Info, error) {
	var info Info
	ch, err := gw.open(ctx, infoHandler, nil)
	if err == nil {
		err = ch.Receive(ctx, &info)
		ch.Close()
	}
	if err != nil {
		return Info{}, fmt.Errorf("refresh what is known of gateway %s: %w", gw.spec.ID, err)
	}
	gw.info.Store(&info)
	return info, nil
}

// String returns the id.
func (gw *Gateway) String() string { return gw.spec.ID }

// RemoteExec runs the agent's handler with this name and returns the channel to it. args is encoded
// as an item; nil gives the handler a nil Item. It does not wait for the handler to start: a name
// that the agent does not know is a RemoteError of the channel. Errors: ctx's, ErrTooLarge,
// ErrExited, *LostError. The caller ends the channel.
func (gw *Gateway) RemoteExec(ctx context.Context, name string, args any) (*Channel, error) {
	if name == "" {
		return nil, fmt.Errorf("run handler on gateway %s: name is empty", gw.spec.ID)
	}
	c, err := gw.open(ctx, name, args)
	if err != nil {
		return nil, fmt.Errorf("run %q on gateway %s: %w", name, gw.spec.ID, err)
	}
	return c, nil
}

// NewChannel opens a channel that belongs to no handler. Its Ref, sent over another channel of this
// gateway, leads the agent's side to it. The caller ends the channel.
func (gw *Gateway) NewChannel(ctx context.Context) (*Channel, error) {
	c, err := gw.open(ctx, "", nil)
	if err != nil {
		return nil, fmt.Errorf("open channel on gateway %s: %w", gw.spec.ID, err)
	}
	return c, nil
}

func (gw *Gateway) open(ctx context.Context, name string, args any) (*Channel, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case <-gw.exitc:
		return nil, ErrExited
	default:
		return gw.n.newChannel(ctx, name, args)
	}
}

// Resolve returns this side's end of the channel that the agent sent a reference to, see
// Channel.Resolve.
func (gw *Gateway) Resolve(ctx context.Context, ref Ref) (*Channel, error) {
	return gw.n.resolve(ctx, ref)
}

// Status asks the agent what it is busy with. Errors: ctx's, ErrExited, *LostError.
func (gw *Gateway) Status(ctx context.Context) (Status, error) {
	st, err := gw.n.ask(ctx)
	if err != nil {
		return st, fmt.Errorf("ask for status of gateway %s: %w", gw.spec.ID, err)
	}
	return st, nil
}

// Exit takes the gateway out of its group and begins its end: the agent is told to end its handlers
// and itself, is interrupted when that takes longer than half of Config.Grace, and killed, with all
// that it started, at its end. Exit does not block; Done tells when the end is complete. A second
// call does nothing.
func (gw *Gateway) Exit() {
	gw.exitOnce.Do(func() {
		gw.group.remove(gw)
		close(gw.exitc)
	})
}

// kill ends the agent now.
func (gw *Gateway) kill() {
	gw.killOnce.Do(func() { close(gw.killc) })
	gw.endpoint.proc.kill()
}

// Done returns a Go channel that is closed when the gateway has ended, the agent's process is gone
// and its goroutines have returned. The agent's own end closes it too.
func (gw *Gateway) Done() <-chan struct{} { return gw.donec }

// Err returns nil before Done is closed. Then it returns how the gateway ended: an error that wraps
// ErrExited after Exit or Terminate, a *LostError otherwise.
func (gw *Gateway) Err() error {
	select {
	case <-gw.donec:
		return gw.n.err
	default:
		return nil
	}
}
