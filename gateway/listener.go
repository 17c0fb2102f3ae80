package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/xdist-go/xdist/gateway/keyed"
	"github.com/xdist-go/xdist/xspec"
)

// Listener waits for agents that connect by themselves, as those of a Joiner do, and makes gateways
// of them. It comes from Group.Listen and lasts until Close or Group.Terminate. All methods may be
// called concurrently.
//
// It owns acceptLoop and a goroutine for each connection until that is a gateway that Accept has
// returned. Close joins them.
type Listener struct {
	group *Group
	spec  xspec.Spec
	key   keyed.Key // zero for a spec that is insecure
	ln    net.Listener
	lobby lobby

	ctx     context.Context // done when the listener is to end
	cancel  context.CancelFunc
	wait    sync.WaitGroup
	joinedc chan *Gateway // unbuffered, never closed
	endedc  chan struct{} // closed when acceptLoop has ended and err is set
	err     error         // why no more connections are taken
}

// Listen begins to wait for agents at the address of spec.Listen. Each agent that proves the key of
// spec.Key becomes a gateway with an id of the group's choice, and with what else spec says for it
// (chdir, nice, env). Without a key, which spec.Insecure must ask for, only a loopback address is
// listened on. ctx bounds the call and not the listener.
func (g *Group) Listen(ctx context.Context, spec xspec.Spec) (*Listener, error) {
	l, err := g.listen(ctx, spec)
	if err != nil {
		return nil, fmt.Errorf("listen for agents at %s: %w", cmp.Or(spec.Listen, spec.String()), err)
	}
	return l, nil
}

func (g *Group) listen(ctx context.Context, spec xspec.Spec) (*Listener, error) {
	switch {
	case spec.Listen == "":
		return nil, ErrNoTransport
	case spec.ID != "":
		return nil, errors.New("it cannot have an id: each agent that joins gets one")
	}
	l := &Listener{group: g, spec: spec, joinedc: make(chan *Gateway), endedc: make(chan struct{})}
	l.lobby.limit, l.lobby.logger = defaultHandshakes, cmp.Or(g.cfg.Logger, slog.New(slog.DiscardHandler))
	if !spec.Insecure {
		name, err := keyFile(spec.Key)
		if err == nil {
			l.key, err = keyed.Read(name)
		}
		if err != nil {
			return nil, err
		}
	}
	var err error
	if l.ln, err = (&net.ListenConfig{}).Listen(ctx, "tcp", spec.Listen); err != nil {
		return nil, err
	}
	if tcp, ok := l.ln.Addr().(*net.TCPAddr); spec.Insecure && (!ok || !tcp.IP.IsLoopback()) {
		l.ln.Close()
		return nil, errors.New("without a key only a loopback address can be listened on")
	}
	l.ctx, l.cancel = context.WithCancel(context.WithoutCancel(ctx))
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.finished {
		l.cancel()
		l.ln.Close()
		return nil, errTerminated
	}
	g.listeners[l] = true
	l.wait.Go(l.acceptLoop)
	return l, nil
}

// Addr returns the address that is listened on.
func (l *Listener) Addr() net.Addr { return l.ln.Addr() }

// Accept returns the next agent's gateway, a member of the group since it was connected. Agents
// shake hands while nobody calls Accept, and an agent that comes to nothing is nobody's error.
// Errors: ctx's; one that wraps net.ErrClosed after Close or Group.Terminate; else why no more
// connections can be taken.
func (l *Listener) Accept(ctx context.Context) (*Gateway, error) {
	var err error
	select {
	case gw := <-l.joinedc:
		return gw, nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-l.endedc:
		err = l.err
	}
	return nil, fmt.Errorf("accept an agent at %s: %w", l.Addr(), err)
}

// Close ends the listener and the gateways that Accept has not returned. It waits for the
// goroutines; a second call does nothing.
func (l *Listener) Close() {
	l.cancel()
	l.ln.Close() // a second time is told, which says nothing
	l.lobby.hangUp()
	l.wait.Wait()
	l.group.mu.Lock()
	defer l.group.mu.Unlock()
	delete(l.group.listeners, l)
}

func (l *Listener) acceptLoop() {
	defer close(l.endedc)
	l.err = l.lobby.acceptLoop(l.ctx, l.ln, func(conn net.Conn) { l.wait.Go(func() { l.serve(conn) }) })
	l.lobby.hangUp() // who was admitted while Close did the same
}

// serve does all for one connection until Accept has returned its gateway.
func (l *Listener) serve(raw net.Conn) {
	gw, err := l.connect(raw)
	if err != nil {
		l.lobby.logger.Debug("did not join", "joiner", raw.RemoteAddr().String(), "error", err)
		return
	}
	select {
	case l.joinedc <- gw:
	case <-l.ctx.Done():
		gw.Exit()
	}
}

// connect makes a gateway of a connection, which it owns.
func (l *Listener) connect(raw net.Conn) (*Gateway, error) {
	agent, err := l.welcome(raw)
	if err != nil {
		return nil, err
	}
	spec, undo, err := l.group.take(l.spec)
	if err != nil {
		agent.proc.kill()
		agent.proc.wait()
		agent.conn.Close()
		return nil, err
	}
	ctx, cancel := l.group.openTimeout(l.group.cfg.timed(l.ctx, spec.ID))
	defer cancel()
	gw, err := l.group.begin(ctx, spec, agent)
	if err != nil {
		undo(err)
		return nil, err
	}
	return gw, l.group.enlist(gw)
}

// welcome has both sides prove the key, looks at the offer, and has an agent started. It closes raw
// on an error.
func (l *Listener) welcome(raw net.Conn) (*endpoint, error) {
	raw.SetDeadline(time.Now().Add(defaultHandshakeTimeout)) // fails when it is closed, as all that follows
	stop := context.AfterFunc(l.ctx, func() { raw.Close() })
	conn, in, err := l.interview(raw)
	if !stop() {
		err = cmp.Or(err, net.ErrClosed)
	}
	if err != nil {
		raw.Close()
		return nil, err
	}
	raw.SetDeadline(time.Time{})
	c := newSocketConn(raw, conn, in, l.group.cfg.Stderr)
	go c.readLoop()
	return &endpoint{conn: c, proc: c}, nil
}

// interview is welcome until the agent is started.
func (l *Listener) interview(raw net.Conn) (conn net.Conn, in socketReader, err error) {
	defer l.lobby.known(raw) // whatever has come of it
	if conn, err = l.prove(raw); err != nil {
		return nil, in, err
	}
	in = newSocketReader(conn)
	var offer joinOffer
	err = readSocketGreeting(in, joinMagic, &offer)
	if !l.lobby.known(raw) {
		err = cmp.Or(err, net.ErrClosed)
	}
	if err == nil {
		err = offer.check()
	}
	if err != nil {
		l.reply(conn, joinRequest{Error: err.Error()}) // one that is gone needs no telling
		return nil, in, err
	}
	o := &agentOrder{raw: raw, conn: conn, in: in, request: newSocketRequest(l.spec.Env, l.group.cfg)}
	if !offer.Own {
		o.program = newAgentProgram(l.group.cfg.hosts, offer.destination(l.spec), l.spec)
	}
	return conn, in, l.place(raw, o)
}

// prove returns what is left of the connection when both sides have proved the key.
func (l *Listener) prove(raw net.Conn) (net.Conn, error) {
	if l.spec.Insecure {
		return raw, nil
	}
	conn, err := l.key.Listener(l.ctx, raw)
	if err != nil {
		return nil, err
	}
	return conn, nil
}

// place says which agent is wanted, and has it started.
func (l *Listener) place(raw net.Conn, o *agentOrder) error {
	ctx, cancel := l.group.openTimeout(l.ctx)
	defer cancel()
	raw.SetDeadline(time.Time{}) // fails when it is closed, as all that follows
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	err := o.place(ctx, func(r socketRequest) error { return l.reply(o.conn, joinRequest{Request: r}) })
	if !stop() {
		err = cmp.Or(ctx.Err(), err)
	}
	if err != nil && l.ctx.Err() == nil {
		l.lobby.logger.Warn("an agent could not be started where it was offered", "joiner", raw.RemoteAddr().String(), "phase", string(o.phase), "error", err)
	}
	return err
}

func (l *Listener) reply(conn net.Conn, r joinRequest) error {
	b, err := socketGreeting(joinMagic, r)
	if err == nil {
		_, err = conn.Write(b)
	}
	return err
}

// check refuses an offer of a program of another version than the controller's: what the two would
// say to each other may mean something else to each.
func (o joinOffer) check() error {
	if len(o.Host) > hostNameAtMost {
		return fmt.Errorf("%w: name of %d bytes", ErrProtocol, len(o.Host))
	}
	own := ownVersion()
	if !o.Own || o.Protocol == ProtocolVersion && o.Program == own {
		return nil
	}
	return fmt.Errorf("the controller is version %s (protocol %d) and the agent %s (protocol %d): both sides need the same",
		cmp.Or(own, "unknown"), ProtocolVersion, cmp.Or(o.Program, "unknown"), o.Protocol)
}

const (
	hostNameAtMost = 64 // bytes
	// joinerKinds bounds what is remembered of joiners, who can come under any number of names. Two
	// that are taken for one at worst wait for each other.
	joinerKinds = 1024
)

// destination is the scope of what is known about a joiner's host.
func (o joinOffer) destination(spec xspec.Spec) string {
	sum := fnv.New32a()
	io.WriteString(sum, o.Host) // returns no error
	return fmt.Sprintf("joiner %d for %s/%s", sum.Sum32()%joinerKinds, spec.GOOS, spec.GOARCH)
}
