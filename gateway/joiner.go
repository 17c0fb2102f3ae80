package gateway

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/xdist-go/xdist/gateway/keyed"
	"github.com/xdist-go/xdist/internal/programs"
)

// Joiner brings agents to a controller that listens for them (Group.Listen). The zero value of a
// field is the default that is documented; Key or Keyless must be set. The fields must not be
// changed while Join runs.
type Joiner struct {
	// Key is what the controller must have.
	Key keyed.Key
	// Keyless joins a controller without a key, on a loopback address alone.
	Keyless bool
	// Command starts each agent: program and arguments. Nil means that the agents are the
	// controller's program, as with a SocketServer.
	Command []string
	// Agents is how many agents there are, each with a connection of its own. 0 means 1.
	Agents int
	// Wait bounds how long a controller that is not there is looked for. 0 means 5 minutes;
	// negative is for ever.
	Wait time.Duration
	// Logger gets a line for each agent that was started and ended, and at level debug for each
	// attempt to connect. Nil drops them.
	Logger *slog.Logger
}

// Join connects to the controller at addr, trying again while nobody is there, and runs the agents
// until the controller ends them, which is nil. An agent that ends in another way is not replaced;
// the others go on, and Join tells of it at their end. When ctx ends, Join tells the controller
// that the agents go, ends them as a SocketServer does, and returns ctx's error. Other errors:
// *PhaseError, of a controller that is not there, does not have the key, or wants no agent of this
// version.
func (j *Joiner) Join(ctx context.Context, addr string) error {
	run := joinRun{Joiner: j.withDefaults(), addr: addr, programs: programs.New(defaultPrograms), name: rand.Text()}
	run.programs.Sweep()
	if err := run.check(); err != nil {
		return fmt.Errorf("join %s: %w", addr, err)
	}
	var stop context.CancelCauseFunc
	run.looking, stop = context.WithCancelCause(ctx)
	defer stop(nil)
	errs := make([]error, run.Agents)
	var wait sync.WaitGroup
	for i := range errs {
		wait.Go(func() {
			errs[i] = run.agent(ctx)
			stop(cmp.Or(errs[i], errRunOver)) // the controller is gone, or the others would fare no better
		})
	}
	wait.Wait()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("join %s: %w", addr, err)
	}
	if err := joinErrors(errs); err != nil {
		return fmt.Errorf("join %s: %w", addr, err)
	}
	return nil
}

// errRunOver ends the search for a controller that has let other agents go.
var errRunOver = errors.New("the run is over")

// joinErrors joins errors that are not the same; those that have only followed from others are
// among those.
func joinErrors(errs []error) error {
	var different []error
	seen := make(map[string]bool)
	for _, err := range errs {
		if err == nil || errors.Is(err, errRunOver) || seen[err.Error()] {
			continue
		}
		seen[err.Error()] = true
		different = append(different, err)
	}
	return errors.Join(different...)
}

func (j *Joiner) withDefaults() Joiner {
	d := *j
	d.Agents = cmp.Or(d.Agents, 1)
	d.Wait = cmp.Or(d.Wait, 5*time.Minute)
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	return d
}

// joinRun is one call of Join.
type joinRun struct {
	Joiner
	addr    string
	host    string
	looking context.Context // done when no further agent is to be brought

	programs *programs.Store
	name     string // of this side, so that the controller sends it a program once
}

func (r *joinRun) check() error {
	host, _, err := net.SplitHostPort(r.addr)
	switch {
	case err != nil:
		return &PhaseError{Phase: PhaseResolve, Host: r.addr, Err: errors.New("an address is HOST:PORT, and [HOST]:PORT for IPv6")}
	case r.Keyless && !r.Key.IsZero():
		return errors.New("there is a key, and it is not to be asked for")
	case !r.Keyless && r.Key.IsZero():
		return keyed.ErrNoKey
	case r.Keyless && !isLoopback(host):
		return errors.New("without a key only a controller on a loopback address can be joined")
	}
	r.host = host
	return nil
}

// agent brings one agent and returns when it has ended.
func (r *joinRun) agent(ctx context.Context) error {
	raw, c, request, err := r.find()
	if err != nil {
		return err
	}
	defer raw.Close()
	done, err := c.launch(ctx, r.Command, r.programs, &request)
	if err != nil {
		c.dismiss(err)
		return &PhaseError{Phase: PhaseStart, Host: r.host, Err: err}
	}
	defer done()
	raw.SetDeadline(time.Time{}) // fails when it is closed, as does what follows
	r.Logger.Info("agent started", "controller", r.addr)
	c.leaves = true
	status := c.relay(ctx, time.Duration(request.Grace)*time.Millisecond)
	r.Logger.Info("agent ended", "controller", r.addr, "status", status)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case status == "exit status 0" || c.told:
		return nil
	case c.cut:
		return errors.New("the connection to the controller has ended")
	}
	return fmt.Errorf("the agent ended: %s", status)
}

// Pauses between attempts to connect to a controller that is not there.
const (
	minJoinPause = 50 * time.Millisecond
	maxJoinPause = 2 * time.Second
)

// find looks for the controller until it asks for an agent.
func (r *joinRun) find() (net.Conn, *socketClient, socketRequest, error) {
	ctx := r.looking
	if r.Wait > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, r.Wait, errJoinWait)
		defer cancel()
	}
	var last error
	for pause := minJoinPause; ; pause = min(2*pause, maxJoinPause) {
		raw, c, request, err := r.attempt(ctx)
		if err == nil {
			return raw, c, request, nil
		}
		if ctx.Err() == nil {
			r.Logger.Debug("no controller", "error", err)
			if !absent(err) {
				return nil, nil, request, err
			}
			last = err
			if !within(pause, ctx.Done()) {
				continue
			}
		}
		cause := context.Cause(ctx)
		if errors.Is(cause, errJoinWait) {
			cause = fmt.Errorf("no controller has come within %v: %w", r.Wait, cmp.Or(last, err))
		}
		return nil, nil, request, cause
	}
}

var errJoinWait = errors.New("waited long enough")

// absent reports whether an attempt has failed in a way that a controller that is still to come, or
// a port that is forwarded to it, explains.
func absent(err error) bool {
	phase, ok := errors.AsType[*PhaseError](err)
	return ok && (phase.Phase == PhaseResolve || phase.Phase == PhaseConnect)
}

// attempt connects, has both sides prove the key, and makes the offer.
func (r *joinRun) attempt(ctx context.Context) (net.Conn, *socketClient, socketRequest, error) {
	var request socketRequest
	raw, err := localOrigin{}.dialTCP(ctx, r.addr)
	if err != nil {
		return nil, nil, request, err
	}
	raw.SetDeadline(time.Now().Add(defaultHandshakeTimeout)) // fails when it is closed, as all that follows
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	conn, err := r.prove(ctx, raw)
	var c *socketClient
	if err == nil {
		c = newSocketClient(raw, conn, defaultHandshakeTimeout)
		raw.SetDeadline(time.Now().Add(chooseWait)) // the controller may have its program made first
		request, err = c.offer(r.host, joinOffer{Protocol: ProtocolVersion, Program: ownVersion(), Own: r.Command != nil, Host: r.name})
	}
	if !stop() {
		err = ctx.Err()
	}
	if err != nil {
		raw.Close()
		return nil, nil, request, err
	}
	return raw, c, request, nil
}

func (r *joinRun) prove(ctx context.Context, raw net.Conn) (net.Conn, error) {
	if r.Keyless {
		return raw, nil
	}
	conn, err := r.Key.Joiner(ctx, raw)
	var noTLS tls.RecordHeaderError
	switch {
	case err == nil:
		return conn, nil
	case errors.Is(err, keyed.ErrPeer):
		return nil, &PhaseError{Phase: PhaseHostKey, Host: r.host, Err: fmt.Errorf("what listens there does not have the key with fingerprint %s, or is no controller that waits for agents (--tx listen=ADDRESS//key=FILE): %w", r.Key.Fingerprint(), err)}
	case hungUp(err):
		return nil, &PhaseError{Phase: PhaseConnect, Host: r.host, Err: err}
	case errors.As(err, &noTLS):
		err = fmt.Errorf("what listens there is no controller with a key (--tx listen=ADDRESS//key=FILE): %w", err)
	}
	return nil, &PhaseError{Phase: PhaseHostKey, Host: r.host, Err: err}
}

// offer says what this side is, and reads what the controller wants of it.
func (c *socketClient) offer(host string, o joinOffer) (socketRequest, error) {
	b, err := socketGreeting(joinMagic, o)
	if err != nil {
		return socketRequest{}, err
	}
	_, writeErr := c.out.w.Write(b)
	var reply joinRequest
	err = readSocketGreeting(c.in, joinMagic, &reply) // what can be read tells more than a failed write
	var version *VersionError
	switch {
	case err == nil && reply.Error == "":
		return reply.Request, nil
	case err == nil:
		return reply.Request, &PhaseError{Phase: PhaseHandshake, Host: host, Err: errors.New(reply.Error)}
	case errors.As(err, &version):
		err = fmt.Errorf("the controller is of another version of xdist: %w", err)
	case errors.Is(err, ErrProtocol):
		err = fmt.Errorf("what listens there is no controller that takes agents without a key: %w", err)
	case hungUp(err): // before it asked for anything: its run is over, or it takes keys only
		return reply.Request, &PhaseError{Phase: PhaseConnect, Host: host, Err: fmt.Errorf("the connection was ended without a word; what listens there may want a key: %w", cmp.Or(writeErr, err))}
	}
	return reply.Request, &PhaseError{Phase: PhaseHandshake, Host: host, Err: err}
}

// hungUp reports whether the peer has ended a connection without a word.
func hungUp(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || ok && !op.Timeout() && (op.Op == "read" || op.Op == "write")
}
