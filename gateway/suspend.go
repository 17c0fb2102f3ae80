package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// SuspendLimit is for how long agents wait for a controller that was suspended: long enough for a
// night, and not for ever, as nobody else can end what they have started.
const SuspendLimit = 12 * time.Hour

// Suspend tells all agents that this process is about to be stopped, as by Ctrl-Z, and waits until
// they know. They hold their leases then, and tell their handlers (Channel.OnSuspend), until Resume
// or SuspendLimit, after which they end as those of a lost controller. No lease of this side runs
// out either, nor does Config.OpenTimeout. Gateways that are being opened are waited for first,
// because their agents cannot be told yet.
//
// The error names those that did not answer before ctx ended, which may lose their leases. Resume
// is called in any case.
func (g *Group) Suspend(ctx context.Context) error {
	g.awaitOpen(ctx)
	members := g.members()
	errs := make([]error, len(members))
	var wait sync.WaitGroup
	for i, gw := range members {
		wait.Go(func() {
			if err := gw.n.suspend(ctx); err != nil && gw.n.gone() == nil {
				errs[i] = fmt.Errorf("suspend gateway %s: %w", gw, err)
			}
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}

// Resume tells the agents that this process goes on. It does not block.
func (g *Group) Resume() {
	for _, gw := range g.members() {
		gw.n.resume()
	}
	for _, c := range g.clocks.release() {
		c.resume()
	}
}

// awaitOpen waits until no gateway is being opened, and holds the clocks of those that still are.
func (g *Group) awaitOpen(ctx context.Context) {
	idlec := g.clocks.idle()
	select {
	case <-idlec:
	case <-ctx.Done():
	}
	for _, c := range g.clocks.hold() {
		c.hold()
	}
}

// clocks are those of the openings of a group. The mutex guards the fields.
type clocks struct {
	mu    sync.Mutex
	open  map[*openClock]bool
	held  []*openClock    // by Suspend
	idlec []chan struct{} // closed when open is empty
}

func (c *clocks) add(clock *openClock) (remove func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == nil {
		c.open = make(map[*openClock]bool)
	}
	c.open[clock] = true
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.open, clock)
		if len(c.open) == 0 {
			for _, idlec := range c.idlec {
				close(idlec)
			}
			c.idlec = nil
		}
	}
}

// idle returns what is closed when no gateway is being opened.
func (c *clocks) idle() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	idlec := make(chan struct{})
	if len(c.open) == 0 {
		close(idlec)
	} else {
		c.idlec = append(c.idlec, idlec)
	}
	return idlec
}

// hold returns the clocks that run, which release returns again.
func (c *clocks) hold() []*openClock {
	c.mu.Lock()
	defer c.mu.Unlock()
	var held []*openClock
	for clock := range c.open {
		if !slices.Contains(c.held, clock) {
			held = append(held, clock)
		}
	}
	c.held = append(c.held, held...)
	return held
}

func (c *clocks) release() []*openClock {
	c.mu.Lock()
	defer c.mu.Unlock()
	held := c.held
	c.held = nil
	return held
}

// suspend tells the agent, and waits for its answer.
func (n *session) suspend(ctx context.Context) error {
	n.suspended.set(SuspendLimit)
	_, err := n.question(ctx, controlMessage{Kind: controlSuspend, Limit: SuspendLimit.Milliseconds()})
	return err
}

// resume tells the agent, in a goroutine of the session's: there may be much to be sent before.
func (n *session) resume() {
	n.suspended.set(0)
	n.spawn(func() { n.control.Send(n.ending, controlMessage{Kind: controlResume}) }) // its error is that of the session
}

// suspension is whether the controller of a session is suspended. The mutex guards the fields after
// it, and is held while watchers are told, so that they hear of each change in order.
type suspension struct {
	changedc chan struct{} // capacity 1, never closed: for beatLoop

	mu       sync.Mutex
	time     time.Duration // it may last; 0 is none
	watchers map[*func(bool)]bool
}

func (s *suspension) set(limit time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed := (s.time > 0) != (limit > 0)
	s.time = max(0, limit)
	wake(s.changedc)
	if !changed {
		return
	}
	for f := range s.watchers {
		(*f)(limit > 0)
	}
}

func (s *suspension) limit() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.time
}

// OnSuspend has f called, in an agent, when the controller is suspended (Group.Suspend) and when it
// goes on, and at once when it is suspended already, until stop is called or the agent ends. Calls
// come in order, one at a time; f must not block, and not call OnSuspend or stop.
func (c *Channel) OnSuspend(f func(suspended bool)) (stop func()) {
	s := &c.session.suspended
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watchers == nil {
		s.watchers = make(map[*func(bool)]bool)
	}
	s.watchers[&f] = true
	if s.time > 0 {
		f(true)
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.watchers, &f)
	}
}
