package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// commandConn is a connection over the input and output of a ProxyCommand, which it owns: Close
// ends the program with all that it has started.
type commandConn struct {
	*endpoint
	silent atomic.Bool // the program has closed its output or its input: it ends by itself
	end    sync.Once   // sets how
	how    PhaseError  // Status and Stderr
}

var _ net.Conn = (*commandConn)(nil)

// dialCommand starts a ProxyCommand where connections are to come from.
func dialCommand(ctx context.Context, from origin, h *sshHost) (net.Conn, error) {
	args, err := proxyShell(from, h.command)
	var l *endpoint
	if err == nil {
		l, err = from.start(ctx, command{args: args})
	}
	if err != nil {
		return nil, &PhaseError{Phase: PhaseConnect, Host: h.alias, Err: fmt.Errorf("run ProxyCommand %q: %w", h.command, err)}
	}
	return &commandConn{endpoint: l}, nil
}

// proxyShell is what runs a ProxyCommand: the user's shell, as for ssh, and on other hosts any.
func proxyShell(from origin, line string) ([]string, error) {
	shell := "sh"
	if _, local := from.(localOrigin); local {
		if runtime.GOOS == "windows" { // where ssh asks no shell either
			return splitWords(line, false)
		}
		if own := os.Getenv("SHELL"); own != "" {
			shell = own
		}
	}
	return []string{shell, "-c", "exec " + line}, nil
}

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

// explain adds to an error what the program has said, and how it has ended.
func (c *commandConn) explain(err error) error {
	c.Close()
	var e *PhaseError
	if errors.As(err, &e) {
		e.Status, e.Stderr = c.how.Status, c.how.Stderr
	}
	return err
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
