package gateway

import (
	"context"
	"errors"
	"sync"

	"github.com/xdist-go/xdist/internal/sshclient"
	"github.com/xdist-go/xdist/internal/turns"
)

// hosts is what a group knows about the hosts that its gateways are on: connections that they
// share, secrets, agents and uploads. It holds nothing that outlives the gateways but memory: a
// connection is closed with its last session.
type hosts struct {
	ssh     *sshclient.Dialer
	agents  agentCache
	uploads turns.Turns

	compiling turns.Turns // of sources, by platform

	mu    sync.Mutex // guards the field and what is in it
	conns map[string]*sshDestination
}

func newHosts(cfg Config) *hosts {
	return &hosts{
		ssh:    sshclient.NewDialer(sshclient.Config{Logger: cfg.Logger, Prompt: cfg.Prompt, Passed: passedSSH}),
		agents: agentCache{cfg: cfg, entries: make(map[string]*agentEntry)},
		conns:  make(map[string]*sshDestination),
	}
}

// sessionsPerConn is how many sessions share a connection: sshd allows 10 by default (MaxSessions),
// and two are left for the end of what an agent leaves behind.
const sessionsPerConn = 8

// sshDestination is a host with everything that tells its connections from others.
type sshDestination struct {
	conns    []*sshConn
	limit    int    // of sessions on a connection, as learned
	platform string // of its last agent, as uname names it; empty when not known
}

// sshConn is one connection, or one that is about to be.
type sshConn struct {
	pool *hosts
	key  string

	users     int           // sessions, and those that wait for readyc or open one; guarded by pool.mu
	sessions  int           // that were opened and are not over; guarded by pool.mu
	suspected bool          // something failed on it, and nobody joins any more; guarded by pool.mu
	readyc    chan struct{} // closed when client or err is set
	client    *sshclient.Client
	err       error
}

// connect returns a share in a connection to what key stands for, which the caller releases, and
// whether it was made by dial just now.
func (p *hosts) connect(ctx context.Context, key string, dial func(context.Context) (*sshclient.Client, error)) (c *sshConn, mine bool, err error) {
	for {
		c, mine := p.join(key)
		if mine {
			c.client, c.err = dial(ctx)
			close(c.readyc)
		}
		select {
		case <-c.readyc:
		case <-ctx.Done():
			c.release()
			return nil, mine, ctx.Err()
		}
		if c.err == nil {
			if !mine {
				lap(ctx, PhaseConnect) // by another gateway
			}
			return c, mine, nil
		}
		c.release()
		// The one that dialled may have lost patience where this one has not.
		if mine || ctx.Err() != nil || !errors.Is(c.err, context.Canceled) && !errors.Is(c.err, context.DeadlineExceeded) {
			return nil, mine, c.err
		}
	}
}

// join finds a connection with room, or makes one that the caller has to dial.
func (p *hosts) join(key string) (c *sshConn, mine bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	d := p.destination(key)
	for _, c := range d.conns {
		if c.users < d.limit && c.usable() {
			c.users++
			return c, false
		}
	}
	c = &sshConn{pool: p, key: key, users: 1, readyc: make(chan struct{})}
	d.conns = append(d.conns, c)
	return c, true
}

// destination is the record for a key. p.mu is held.
func (p *hosts) destination(key string) *sshDestination {
	d := p.conns[key]
	if d == nil {
		d = &sshDestination{limit: sessionsPerConn}
		p.conns[key] = d
	}
	return d
}

// usable reports whether more sessions may join. pool.mu is held.
func (c *sshConn) usable() bool {
	select {
	case <-c.readyc:
		return c.err == nil && !c.suspected && !c.client.Overdue() && !c.isDead()
	default:
		return true
	}
}

// isDead reports whether a connection that is ready has ended.
func (c *sshConn) isDead() bool {
	select {
	case <-c.client.Done():
		return true
	default:
		return false
	}
}

// suspect keeps others from joining a connection whose host may have stopped to answer. Whoever
// needs one dials anew, and so finds out.
func (c *sshConn) suspect() {
	c.pool.mu.Lock()
	defer c.pool.mu.Unlock()
	c.suspected = true
}

// opened counts a session that was opened.
func (c *sshConn) opened() {
	c.pool.mu.Lock()
	defer c.pool.mu.Unlock()
	c.sessions++
}

// refused tells, after the release of its share, that the host wants no session beside those that
// are open, and returns whether others have any, or try.
func (c *sshConn) refused() (others bool) {
	c.pool.mu.Lock()
	defer c.pool.mu.Unlock()
	d := c.pool.destination(c.key)
	d.limit = max(1, min(d.limit, c.sessions))
	return c.users > 0
}

// closed is for a session that was counted by opened.
func (c *sshConn) closed() {
	c.pool.mu.Lock()
	defer c.pool.mu.Unlock()
	c.sessions--
}

// release gives the share back. The last one closes the connection.
func (c *sshConn) release() {
	c.pool.mu.Lock()
	c.users--
	last := c.users == 0
	if last {
		d := c.pool.destination(c.key)
		for i, other := range d.conns {
			if other == c {
				d.conns = append(d.conns[:i:i], d.conns[i+1:]...)
				break
			}
		}
	}
	c.pool.mu.Unlock()
	if last && c.client != nil {
		c.client.Close()
	}
}

// platformOf returns what is known about the platform of a destination.
func (p *hosts) platformOf(key string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.destination(key).platform
}

func (p *hosts) setPlatform(key, platform string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.destination(key).platform = platform
}
