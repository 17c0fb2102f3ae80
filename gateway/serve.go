package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// Handler is a function that a controller can run in an agent. It talks to the controller over ch
// until it returns, which closes ch: with a RemoteError of the returned error's text at the
// controller, or in order. A panic ends only the handler, and the controller gets its stack.
//
// ctx ends when the controller has closed its side of ch, says goodbye, or is gone. The handler
// must then return soon, and end by then whatever it has started: Serve waits for it, but not for
// ever.
type Handler func(ctx context.Context, ch *Channel, args Item) error

// Handlers are the functions that an agent offers, by name. They must not be changed while they are
// served. Names that begin with "gateway/" are reserved for handlers that every agent offers by
// itself.
type Handlers map[string]Handler

// graceAtMost bounds what a controller can ask an agent to wait for its handlers.
const graceAtMost = time.Minute

// helloWait is how long an agent waits for the controller's hello, which brings the lease. The
// controller sends it as soon as the agent is started; the connection may freeze just then.
const helloWait = 20 * time.Second

var errNoHello = fmt.Errorf("%w: no hello has come within %v", ErrLease, helloWait)

// Serve is the agent's side: it answers the controller at the other end of conn, and runs handlers,
// each in a goroutine of its own, until the controller says goodbye (nil), the connection ends, the
// lease runs out, no hello comes or ctx ends (an error that says so). It then ends the handlers'
// contexts, waits for the handlers as long as the controller's hello allows, and closes conn. The
// hello may also ask for a working directory and a niceness of the whole process. A handler that
// does not return in time is left behind and cannot use its channel any more; the caller is
// expected to end the process.
func Serve(ctx context.Context, conn io.ReadWriteCloser, handlers Handlers) error {
	bc := newBufferedConn(conn)
	greeting, cancel := context.WithTimeoutCause(ctx, helloWait, errNoHello)
	defer cancel()
	h, err := welcomeController(greeting, bc, func(h hello) (Info, error) {
		if err := handlers.check(); err != nil {
			return Info{}, err
		}
		return obey(h)
	})
	if err != nil {
		conn.Close()
		return fmt.Errorf("serve: %w", err)
	}
	m := newYamux(agentSide, compressed(bc, h.Compress), h.Window, h.Frame)
	return serveMux(ctx, m, h, handlers)
}

// serveMux is Serve after the handshake. It owns m.
func serveMux(ctx context.Context, m mux, h hello, handlers Handlers) error {
	n, err := startSession(ctx, m, agentSide, sessionConfig{
		name: h.Gateway, nonce: h.Nonce, handlers: withBuiltins(handlers),
		sendLimit: h.MaxItem, recvLimit: h.MaxItem, maxChannels: h.MaxChannels, lease: h.lease(),
	})
	if err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	select {
	case <-n.byec:
		err = errGoodbye
	case <-n.ending.Done():
		err = context.Cause(n.ending)
	case <-ctx.Done():
		err = ctx.Err()
	}
	n.stopRun(err)
	n.awaitHandlers(min(h.grace(), graceAtMost))
	n.end(err)
	n.wait()
	n.interpreters.close()
	if errors.Is(err, errGoodbye) {
		return nil
	}
	return fmt.Errorf("serve: %w", err)
}

// awaitHandlers waits for the handlers, but no longer than d. No other is started from then on.
func (n *session) awaitHandlers(d time.Duration) {
	n.mu.Lock()
	n.leaving = true
	n.mu.Unlock()
	donec := make(chan struct{})
	go func() { // ends with the last handler; a handler that never returns is left behind along with it
		n.running.Wait()
		close(donec)
	}()
	within(d, donec)
}
