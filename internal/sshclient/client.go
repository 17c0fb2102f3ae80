package sshclient

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
)

// Client is a connection to a host, through those to its jump hosts. The methods of ssh.Client open
// sessions and connections on it. It owns the goroutines that wait for its end and ask for signs of
// life. Close ends them and joins them, with those that Go was given. Methods may be called
// concurrently.
type Client struct {
	*ssh.Client
	jumps []*Client // that it goes through, to be closed after it

	donec   chan struct{}  // closed when the connection has ended
	silence atomic.Int64   // a time.Duration: for how long the host was silent when keepAlive has closed the connection, or 0
	tasks   sync.WaitGroup // keepAlive, and what Go was given

	overdue atomic.Bool // the host has not answered keepAlive within an interval
}

// keepAlive closes the connection when the host has not answered count questions, one in each
// interval.
func (c *Client) keepAlive(interval time.Duration, count int) {
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
					c.silence.Store(int64(interval * time.Duration(count)))
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

// dialTCP connects to an address as the host of this connection sees it.
func (c *Client) dialTCP(ctx context.Context, addr string) (net.Conn, error) {
	conn, err := c.DialContext(ctx, "tcp", addr)
	if err != nil {
		host, _, _ := net.SplitHostPort(addr) // of an address that was joined
		return nil, &Error{Phase: PhaseConnect, Host: host, Err: fmt.Errorf("from jump host: %w", err)}
	}
	return conn, nil
}

// Done returns a channel that is closed when the connection has ended, for whatever reason.
func (c *Client) Done() <-chan struct{} { return c.donec }

// Overdue reports whether the host has owed an answer for an interval of the keep-alive. The answer
// may still come.
func (c *Client) Overdue() bool { return c.overdue.Load() }

// Silence is for how long the host had not answered when the keep-alive ended the connection for
// that. It is 0 while the connection lives, and when it has ended for another reason.
func (c *Client) Silence() time.Duration { return time.Duration(c.silence.Load()) }

// Go runs f in a goroutine that Close waits for. So f has to end when the connection does, at the
// latest. Go is not to be called after Close.
func (c *Client) Go(f func()) { c.tasks.Go(f) }

// Close ends the connection, and those that it goes through, and waits for the goroutines of all of
// them. It is called once.
func (c *Client) Close() {
	c.Client.Close()
	closeAll(c.jumps)
	c.tasks.Wait()
}

// closeAll closes the connections to jump hosts, the farthest first.
func closeAll(clients []*Client) {
	for i := len(clients) - 1; i >= 0; i-- {
		clients[i].Close()
	}
}
