package gateway

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// relayChunk is how many bytes of a relayed connection go into one item, at most: no item limit is
// smaller, and with its heads it is one write to the stream.
const relayChunk = minFrame - 64

// relayConn is the controller's end of a connection that an agent holds, or of the standard input
// and output of a process that it has started. Its bytes are items of a channel, which bounds what
// is on the way. It keeps net.Conn's contract: deadlines bound calls that are blocked already,
// Close wakes them, and all methods may be called concurrently.
type relayConn struct {
	origin        relayOrigin
	control, data *Channel
	local, remote net.Addr
	closeControl  bool // the handler is to end with the connection
	closed        atomic.Bool

	reading        sync.Mutex // held by Read; guards the two fields below
	rest           []byte     // of the item that was received last
	readErr        error      // how reading ended; the channel tells it only once
	writing        sync.Mutex // held by Write, so that one's chunks stay together
	readBy, sendBy deadline
}

var _ net.Conn = (*relayConn)(nil)

func newRelayConn(o relayOrigin, control, data *Channel) *relayConn {
	here, there := namedAddr("controller"), namedAddr("gateway "+o.gw.ID())
	return &relayConn{origin: o, control: control, data: data, local: here, remote: there, readBy: newDeadline(), sendBy: newDeadline()}
}

// Read implements net.Conn.
func (c *relayConn) Read(p []byte) (int, error) {
	c.reading.Lock()
	defer c.reading.Unlock()
	ctx := c.readBy.context()
	if err := ctx.Err(); err != nil {
		return 0, c.failed("read", err)
	}
	if c.closed.Load() {
		return 0, c.failed("read", net.ErrClosed)
	}
	for len(c.rest) == 0 && len(p) > 0 {
		if c.readErr != nil {
			return 0, c.readErr
		}
		it, err := c.data.next(ctx)
		if err == nil {
			c.rest, err = it.Bytes()
		}
		if err != nil {
			err = c.failed("read", err)
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				c.readErr = err
			}
			return 0, err
		}
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// Write implements net.Conn.
func (c *relayConn) Write(p []byte) (n int, err error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	ctx := c.sendBy.context()
	for len(p) > 0 {
		chunk := p[:min(len(p), relayChunk)]
		if err := c.data.Send(ctx, chunk); err != nil {
			return n, c.failed("write", err)
		}
		n += len(chunk)
		p = p[len(chunk):]
	}
	return n, nil
}

// failed makes the channel's error one of a connection.
func (c *relayConn) failed(op string, err error) error {
	switch {
	case c.closed.Load():
		err = net.ErrClosed
	case errors.Is(err, io.EOF):
		return io.EOF
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = os.ErrDeadlineExceeded
	default:
		err = c.origin.explain(err)
	}
	return &net.OpError{Op: op, Net: c.remote.Network(), Source: c.local, Addr: c.remote, Err: err}
}

// CloseWrite ends the sending direction: the other side reads EOF and can still send.
func (c *relayConn) CloseWrite() error { return c.data.CloseSend() }

// Close implements net.Conn. What was written before reaches the other side if that takes it within
// flushWait.
func (c *relayConn) Close() error {
	if c.closed.Swap(true) {
		return nil
	}
	c.data.Close() // never fails for a channel of our own
	if c.closeControl {
		c.control.Close()
	}
	c.readBy.set(time.Time{}) // stops the timers
	c.sendBy.set(time.Time{})
	return nil
}

// abandon ends a connection that has come to nothing, and its handler.
func (c *relayConn) abandon() {
	c.Close()
	c.control.Close()
}

// LocalAddr implements net.Conn: the address on the agent's host.
func (c *relayConn) LocalAddr() net.Addr { return c.local }

// RemoteAddr implements net.Conn.
func (c *relayConn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline implements net.Conn.
func (c *relayConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline implements net.Conn.
func (c *relayConn) SetReadDeadline(t time.Time) error { return c.setDeadline(&c.readBy, t) }

// SetWriteDeadline implements net.Conn.
func (c *relayConn) SetWriteDeadline(t time.Time) error { return c.setDeadline(&c.sendBy, t) }

func (c *relayConn) setDeadline(d *deadline, t time.Time) error {
	if c.closed.Load() {
		return c.failed("set", net.ErrClosed)
	}
	d.set(t)
	return nil
}

// deadline is a point in time that can be moved while somebody waits for it, after pipeDeadline of
// Go's net/pipe.go.
type deadline struct {
	mu      sync.Mutex // guards the fields below
	timer   *time.Timer
	passedc chan struct{} // closed when the time has come; replaced when it is moved after that
}

func newDeadline() deadline { return deadline{passedc: make(chan struct{})} }

// set moves the deadline. Zero is never.
func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil && !d.timer.Stop() {
		<-d.passedc // the timer's function is on its way
	}
	d.timer = nil
	passed := false
	select {
	case <-d.passedc:
		passed = true
	default:
	}
	if t.IsZero() || time.Until(t) > 0 {
		if passed {
			d.passedc = make(chan struct{})
		}
		if !t.IsZero() {
			passedc := d.passedc
			d.timer = time.AfterFunc(time.Until(t), func() { close(passedc) })
		}
		return
	}
	if !passed {
		close(d.passedc)
	}
}

// context returns a context that ends with the deadline.
func (d *deadline) context() context.Context {
	d.mu.Lock()
	defer d.mu.Unlock()
	return deadlineContext{context.Background(), d.passedc}
}

// deadlineContext ends as a connection's deadline does, with its error.
type deadlineContext struct {
	context.Context
	passedc <-chan struct{}
}

// Done implements context.Context.
func (c deadlineContext) Done() <-chan struct{} { return c.passedc }

// Err implements context.Context.
func (c deadlineContext) Err() error {
	select {
	case <-c.passedc:
		return os.ErrDeadlineExceeded
	default:
		return nil
	}
}
