package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/xdist-go/xdist/gateway/keyed"
	"github.com/xdist-go/xdist/internal/programs"
)

// SocketServer starts an agent for each client that proves the shared key, and relays the bytes
// between them. The zero value of a field is the default that is documented; Key or Keyless must be
// set. The fields must not be changed while Serve runs.
type SocketServer struct {
	// Key is what clients must have.
	Key keyed.Key
	// Keyless serves without a key, everybody who can connect, and therefore on loopback addresses
	// only.
	Keyless bool
	// Command starts each agent: program and arguments. Nil means that the agents of a client are
	// its own program, which it sends when it is not here. It is kept with other agents of this
	// user, under its digest.
	Command []string
	// ProgramsSize is how many bytes of programs are kept; what was used least recently goes, and
	// what runs stays. No program may be larger. 0 means 2 GiB.
	ProgramsSize int64
	// MaxAgents is how many agents may run at once; further clients are told so. 0 means 256.
	MaxAgents int
	// MaxHandshakes is how many connections may be without a proof of the key at once. One more,
	// and the oldest of them is closed: those that only wait give way to those that do something. 0
	// means 512.
	MaxHandshakes int
	// HandshakeTimeout bounds the time from a connection to its request for an agent. 0 means 10 s.
	// A program may take longer to come, as long as it comes.
	HandshakeTimeout time.Duration
	// Changed is told how many agents there are, when that changes, those included that are about
	// to start. Calls do not overlap, and hold the server up. Nil is for nobody.
	Changed func(agents int)
	// Logger gets a line for each agent that was started and ended, and at level debug for each
	// connection that was refused. Nil drops them.
	Logger *slog.Logger
}

// Serve serves the clients that connect to ln, until ctx ends (nil) or ln fails for good (an
// error). Then it closes ln and ends the agents: each gets an interrupt, the half of the time that
// its client has set for that, and is killed with all that it has started. It returns when they
// have ended. Several calls may serve several listeners.
func (s *SocketServer) Serve(ctx context.Context, ln net.Listener) error {
	defer ln.Close()
	if err := s.check(ln.Addr()); err != nil {
		return fmt.Errorf("serve on %s: %w", ln.Addr(), err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { ln.Close() })
	defer stop()
	run := &socketRun{SocketServer: s.withDefaults()}
	run.programs = programs.New(run.ProgramsSize)
	run.programs.Sweep()
	run.lobby.limit, run.lobby.logger = run.MaxHandshakes, run.Logger
	err := run.lobby.acceptLoop(ctx, ln, func(conn net.Conn) { run.clients.Go(func() { run.serve(ctx, conn) }) })
	ended := ctx.Err() != nil
	cancel()
	run.lobby.hangUp()
	run.clients.Wait()
	if ended {
		return nil
	}
	return fmt.Errorf("serve on %s: %w", ln.Addr(), err)
}

// check refuses to serve without a key where others than this machine's users can connect.
func (s *SocketServer) check(addr net.Addr) error {
	if !s.Keyless {
		if s.Key.IsZero() {
			return keyed.ErrNoKey
		}
		return nil
	}
	if !s.Key.IsZero() {
		return errors.New("there is a key, and it is not to be asked for")
	}
	if tcp, ok := addr.(*net.TCPAddr); !ok || !tcp.IP.IsLoopback() {
		return errors.New("without a key only a loopback address can be served")
	}
	return nil
}

func (s *SocketServer) withDefaults() SocketServer {
	d := *s
	d.MaxAgents = cmp.Or(d.MaxAgents, 256)
	d.MaxHandshakes = cmp.Or(d.MaxHandshakes, defaultHandshakes)
	d.HandshakeTimeout = cmp.Or(d.HandshakeTimeout, defaultHandshakeTimeout)
	d.ProgramsSize = cmp.Or(d.ProgramsSize, defaultPrograms)
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	return d
}

// socketRun is one call of Serve. It owns a goroutine for each connection, which clients joins.
type socketRun struct {
	SocketServer
	lobby    lobby
	programs *programs.Store
	clients  sync.WaitGroup

	mu     sync.Mutex // guards agents
	agents int
}

// reserve takes the place of one agent, if there is one.
func (r *socketRun) reserve() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.agents >= r.MaxAgents {
		return false
	}
	r.agents++
	r.changed()
	return true
}

func (r *socketRun) release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.agents--
	r.changed()
}

// changed tells of the number of agents. r.mu is held.
func (r *socketRun) changed() {
	if r.Changed != nil {
		r.Changed(r.agents)
	}
}

// serve does all for one connection.
func (r *socketRun) serve(ctx context.Context, raw net.Conn) {
	defer raw.Close()
	raw.SetDeadline(time.Now().Add(r.HandshakeTimeout)) // fails when it is closed, as all that follows
	log := r.Logger.With("client", raw.RemoteAddr().String())
	c, request, err := r.receive(ctx, raw)
	if !r.lobby.known(raw) {
		err = cmp.Or(err, net.ErrClosed)
	}
	if err != nil {
		log.Debug("refused", "error", err)
		return
	}
	if !r.reserve() {
		log.Warn("refused", "error", "too many agents", "agents", r.MaxAgents)
		c.refuse(fmt.Errorf("the server runs %d agents already, which is its limit", r.MaxAgents))
		return
	}
	defer r.release()
	done, err := c.launch(ctx, r.Command, r.programs, &request)
	if err != nil {
		log.Warn("refused", "error", err)
		c.dismiss(err)
		return
	}
	defer done()
	raw.SetDeadline(time.Time{})
	log.Info("agent started")
	status := c.relay(ctx, time.Duration(request.Grace)*time.Millisecond)
	log.Info("agent ended", "status", status)
}

// receive has both sides prove the key and reads the request.
func (r *socketRun) receive(ctx context.Context, raw net.Conn) (*socketClient, socketRequest, error) {
	conn := raw
	if !r.Keyless {
		proven, err := r.Key.Server(ctx, raw)
		if err != nil {
			return nil, socketRequest{}, err
		}
		conn = proven
	}
	c := newSocketClient(raw, conn, r.HandshakeTimeout)
	var request socketRequest
	if err := readSocketGreeting(c.in, socketMagic, &request); err != nil {
		c.refuse(err)
		return nil, request, fmt.Errorf("read request: %w", err)
	}
	return c, request, nil
}
