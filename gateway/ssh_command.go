package gateway

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xdist-go/xdist/internal/sshclient"
)

// commandConn is a connection over the input and output of a ProxyCommand, which it owns: Close
// ends the program with all that it has started.
type commandConn struct {
	*endpoint
	silent atomic.Bool // the program has closed its output or its input: it ends by itself
	end    sync.Once   // sets how
	how    PhaseError  // Status and Stderr; to be read after end
}

var _ sshclient.Explainer = (*commandConn)(nil)

// Read implements net.Conn.
func (c *commandConn) Read(p []byte) (int, error) {
	n, err := c.conn.Read(p)
	if errors.Is(err, io.EOF) {
		c.silent.Store(true)
	}
	return n, err
}

// Write implements net.Conn.
func (c *commandConn) Write(p []byte) (int, error) {
	n, err := c.conn.Write(p)
	if err != nil {
		c.silent.Store(true)
	}
	return n, err
}

// Close implements net.Conn. It waits for the end of the program.
func (c *commandConn) Close() error {
	c.end.Do(func() {
		if c.silent.Load() {
			abandon(c.endpoint, &c.how)
			return
		}
		c.proc.kill()
		c.conn.Close()
		c.proc.wait() // it tells of our own doing
		c.how.Stderr = c.proc.stderr()
	})
	return nil
}

// Explain implements sshclient.Explainer.
func (c *commandConn) Explain() (status, stderr string) {
	c.Close()
	return c.how.Status, c.how.Stderr
}

// LocalAddr implements net.Conn.
func (c *commandConn) LocalAddr() net.Addr { return namedAddr("controller") }

// RemoteAddr implements net.Conn.
func (c *commandConn) RemoteAddr() net.Addr { return namedAddr("ProxyCommand") }

// Deadlines are not supported: ssh sets none, and what waits is woken by Close.

// SetDeadline implements net.Conn.
func (c *commandConn) SetDeadline(time.Time) error { return errors.ErrUnsupported }

// SetReadDeadline implements net.Conn.
func (c *commandConn) SetReadDeadline(time.Time) error { return errors.ErrUnsupported }

// SetWriteDeadline implements net.Conn.
func (c *commandConn) SetWriteDeadline(time.Time) error { return errors.ErrUnsupported }
