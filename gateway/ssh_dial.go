package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
)

// sshClient is a connection to a host, through those to its jump hosts. It owns a goroutine that
// asks for signs of life; close joins it and those that sessions have left.
type sshClient struct {
	*ssh.Client
	jumps []*sshClient // that it goes through, to be closed after it

	donec chan struct{}         // closed when the connection has ended
	mute  atomic.Pointer[error] // why keepAlive has closed the connection, or nil
	tasks sync.WaitGroup        // keepalive, and what sessions run

	overdue atomic.Bool // the host has not answered keepAlive within an interval
}

// dialSSH connects to the host through its jump hosts.
func dialSSH(ctx context.Context, from origin, h *sshHost, shared *hosts) (*sshClient, error) {
	dial := from.dialTCP
	var jumps []*sshClient
	hops := append(h.jumps[:len(h.jumps):len(h.jumps)], *h)
	for i := range hops {
		hop := &hops[i]
		if hop.command != "" { // the first, since a host behind others has none
			dial = func(ctx context.Context, _ string) (net.Conn, error) { return dialCommand(ctx, from, hop) }
		}
		conn, err := dialHop(ctx, dial, hop)
		var c *sshClient
		if err == nil {
			c, err = newSSHClient(ctx, conn, hop, shared)
		}
		if err != nil {
			if program, ok := conn.(*commandConn); ok {
				err = program.explain(err)
			}
			closeAll(jumps)
			return nil, err
		}
		if i == len(hops)-1 {
			c.jumps = jumps
			return c, nil
		}
		jumps = append(jumps, c)
		dial = c.dialTCP
	}
	panic("BUG: no host to dial")
}

// dialHop connects to the address of a host. Its error names the host as the user does.
func dialHop(ctx context.Context, dial func(context.Context, string) (net.Conn, error), h *sshHost) (net.Conn, error) {
	if h.connectTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, h.connectTimeout)
		defer cancel()
	}
	conn, err := dial(ctx, h.addr())
	var phase *PhaseError
	if err != nil && !errors.As(err, &phase) {
		err = &PhaseError{Phase: PhaseConnect, Host: h.alias, Err: err}
	}
	if err == nil {
		lap(ctx, PhaseConnect)
	}
	return conn, err
}

// dialTCP connects to an address as the host of this connection sees it.
func (c *sshClient) dialTCP(ctx context.Context, addr string) (net.Conn, error) {
	conn, err := c.DialContext(ctx, "tcp", addr)
	if err != nil {
		host, _, _ := net.SplitHostPort(addr) // of an address that was joined
		return nil, &PhaseError{Phase: PhaseConnect, Host: host, Err: fmt.Errorf("from jump host: %w", err)}
	}
	return conn, nil
}

// newSSHClient takes conn through the handshake and authentication. It closes conn when that fails.
func newSSHClient(ctx context.Context, conn net.Conn, h *sshHost, shared *hosts) (*sshClient, error) {
	keys := loadHostKeys(h, &shared.lookup)
	auth := &authenticator{ctx: ctx, host: h, secrets: &shared.secrets}
	defer auth.close()
	stop := context.AfterFunc(ctx, func() { conn.Close() }) // wakes the handshake
	defer stop()
	if h.connectTimeout > 0 { // authentication may take as long as somebody types
		keys.patience = time.AfterFunc(h.connectTimeout, func() { conn.Close() })
		defer keys.patience.Stop()
	}
	inner, chans, reqs, err := ssh.NewClientConn(conn, h.addr(), &ssh.ClientConfig{
		User: h.user, Auth: auth.methods(), HostKeyAlgorithms: keys.algorithms(),
		ClientVersion: "SSH-2.0-xdist",
		HostKeyCallback: func(name string, addr net.Addr, key ssh.PublicKey) error {
			err := keys.check(name, addr, key)
			if err == nil {
				lap(ctx, PhaseHostKey)
			}
			return err
		},
	})
	if !stop() && err == nil {
		inner.Close()
		err = ctx.Err()
	}
	if err != nil {
		conn.Close()
		return nil, handshakeError(ctx, err, h, keys, auth)
	}
	lap(ctx, PhaseAuth)
	auth.succeeded()
	c := &sshClient{Client: ssh.NewClient(inner, chans, reqs), donec: make(chan struct{})}
	c.tasks.Go(func() {
		c.Wait() // how it ended is seen by those who use it
		close(c.donec)
	})
	if h.aliveInterval > 0 {
		c.tasks.Go(func() { c.keepAlive(h.aliveInterval, h.aliveCount) })
	}
	return c, nil
}

// handshakeError finds the phase in which the handshake has failed.
func handshakeError(ctx context.Context, err error, h *sshHost, keys *hostKeys, auth *authenticator) error {
	if ctx.Err() != nil {
		err = fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	e := &PhaseError{Phase: PhaseConnect, Host: h.alias, Err: err}
	var none *ssh.AlgorithmNegotiationError
	switch {
	case keys.err != nil:
		e.Phase, e.Err = PhaseHostKey, keys.err
	case keys.checked:
		e.Phase, e.Err = PhaseAuth, auth.denied(err)
	case errors.As(err, &none) && none.What == "host key" && len(keys.algorithms()) > 0:
		e.Phase, e.Err = PhaseHostKey, keys.noneKnown(none)
	}
	return e
}

// keepAlive closes the connection when the host has not answered count questions, one in each
// interval.
func (c *sshClient) keepAlive(interval time.Duration, count int) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	answerc := make(chan struct{}, 1)
	asked, missed := false, 0
	for {
		select {
		case <-c.donec:
			return
		case <-answerc:
			asked, missed = false, 0
			c.overdue.Store(false)
		case <-tick.C:
			if asked {
				c.overdue.Store(true)
				if missed++; missed >= count {
					err := fmt.Errorf("%w for %v", ErrLease, interval*time.Duration(count))
					c.mute.Store(&err)
					c.Client.Close()
					return
				}
				continue
			}
			asked = true
			c.tasks.Go(func() {
				c.SendRequest("keepalive@openssh.com", true, nil) // any answer will do, and a refusal is the usual one
				answerc <- struct{}{}
			})
		}
	}
}

// end is how a session's bytes ended that ended with err: because the host has not answered, if
// that is why.
func (c *sshClient) end(err error) error {
	if mute := c.mute.Load(); mute != nil {
		return *mute
	}
	return err
}

// isDead reports whether the connection has ended.
func (c *sshClient) isDead() bool {
	select {
	case <-c.donec:
		return true
	default:
		return false
	}
}

// endsWithin waits for the end of the connection, and reports whether it has come. In x/crypto a
// session that is opened while a connection ends may never be answered, so that it is better not
// tried, and never waited for.
func (c *sshClient) endsWithin(d time.Duration) bool {
	if d > 0 {
		within(d, c.donec)
	}
	return c.isDead()
}

// close ends the connection, and those that it goes through.
func (c *sshClient) close() {
	c.Client.Close()
	closeAll(c.jumps)
	c.tasks.Wait()
}

// closeAll closes the connections to jump hosts, the farthest first.
func closeAll(clients []*sshClient) {
	for i := len(clients) - 1; i >= 0; i-- {
		clients[i].close()
	}
}
