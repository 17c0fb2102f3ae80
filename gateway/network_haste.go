package gateway

import (
	"context"
	"errors"
	"io"
	"sync"
)

// hasty is the connection to an agent, and its process, of which nobody knows yet whether it is on
// its host. What is written goes there at once. The first Read finds out; when there is no agent it
// has again bring one, and sends once more what was written.
//
// Until the first Read has returned one goroutine reads and writes; Close, and what a process can
// do, may come at any time. It has no goroutine.
type hasty struct {
	ctx   context.Context // of the opening; io.Reader has no place for one
	b     *bootstrap
	again func(context.Context) (*endpoint, error)

	sent     []byte // until settledc is closed
	once     sync.Once
	err      error         // why there is no agent; to be read after settledc
	settledc chan struct{} // closed when the first Read knows

	mu     sync.Mutex // guards the fields below
	now    *endpoint
	closed bool
}

func newHasty(ctx context.Context, l *endpoint, b *bootstrap, again func(context.Context) (*endpoint, error)) *hasty {
	return &hasty{ctx: ctx, b: b, again: again, now: &endpoint{conn: newBufferedConn(l.conn), proc: l.proc}, settledc: make(chan struct{})}
}

// current is what the connection leads to.
func (h *hasty) current() *endpoint {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *hasty) settled() bool {
	select {
	case <-h.settledc:
		return true
	default:
		return false
	}
}

// Write implements io.Writer.
func (h *hasty) Write(p []byte) (int, error) {
	if !h.settled() {
		h.sent = append(h.sent, p...)
	}
	return h.current().conn.Write(p)
}

// Read implements io.Reader.
func (h *hasty) Read(p []byte) (int, error) {
	h.once.Do(func() {
		h.err = h.settle()
		h.sent = nil
		close(h.settledc)
	})
	if h.err != nil {
		return 0, h.err
	}
	return h.current().conn.Read(p)
}

var errMissing = errors.New("it is not there")

// settle finds out whether the agent runs, and has it brought if not.
func (h *hasty) settle() error {
	first := h.current()
	r := first.conn.(*bufferedConn).r
	word, _, err := readMarked(r, h.b.marker)
	if err == nil && word != "go" {
		err = errMissing
	}
	if err == nil {
		err = awaitAnnouncement(r)
	}
	if err == nil {
		lap(h.ctx, PhaseStart)
		return nil
	}
	failure := abandon(first, &PhaseError{Phase: PhaseStart, Host: h.b.host, Err: err})
	if h.ctx.Err() != nil {
		return failure
	}
	l, err := h.again(h.ctx)
	if err != nil {
		return err
	}
	h.mu.Lock()
	h.now = l
	closed := h.closed
	h.mu.Unlock()
	if closed {
		l.conn.Close()
	}
	l.conn.Write(h.sent) // the Read that follows tells more
	return nil
}

// Close implements io.Closer.
func (h *hasty) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	return h.now.conn.Close()
}

// wait implements process.
func (h *hasty) wait() string {
	<-h.settledc
	if h.err != nil {
		return "" // it was waited for already
	}
	return h.current().proc.wait()
}

func (h *hasty) stderr() string { return h.current().proc.stderr() }
func (h *hasty) interrupt()     { h.current().proc.interrupt() }
func (h *hasty) kill()          { h.current().proc.kill() }

var _ io.ReadWriteCloser = (*hasty)(nil)
