package gateway

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// SuspendLimit is for how long agents wait for a controller that was suspended: long enough for a
// night, and not for ever, as nobody else can end what they have started.
const SuspendLimit = 12 * time.Hour

// Suspend tells all agents that this process is about to be stopped, as by Ctrl-Z, and waits until
// they know. They hold their leases then, and tell their handlers (Channel.OnSuspend), until Resume
// or SuspendLimit, after which they end as those of a lost controller. No lease of this side runs
// out either, nor does Config.OpenTimeout. Agents that are there are told at once. Those that are
// being started cannot be told yet: they are waited for, and told as they come, also after ctx has
// ended. An sshd with a ClientAliveInterval knows nothing of all this, and hangs up.
//
// The error names those that did not answer before ctx ended, which may lose their leases. Resume
// is called in any case.
func (g *Group) Suspend(ctx context.Context) error {
	select {
	case <-g.standstill.stop():
	case <-ctx.Done():
	}
	owed := g.standstill.hold()
	var errs []error
	for _, gw := range slices.SortedFunc(maps.Keys(owed), func(a, b *Gateway) int { return strings.Compare(a.ID(), b.ID()) }) {
		if _, err := gw.n.answer(ctx, owed[gw]); err != nil && !gw.n.over() {
			errs = append(errs, fmt.Errorf("suspend gateway %s: %w", gw, err))
		}
	}
	return errors.Join(errs...)
}

// Resume tells the agents that this process goes on. It does not block.
func (g *Group) Resume() { g.standstill.resume() }

// stance is how far the suspension of a group has come.
type stance int

const (
	going    stance = iota
	stopping        // connections are told, also those that come; openings go on
	standing        // and the clocks of openings are held
)

// standstill decides who is told that a group is suspended: everybody who has a connection, member
// or not, from its handshake to its end, and every opening from its beginning. The mutex guards the
// fields. It is held while they are told, so that all hear of each change in order.
type standstill struct {
	mu       sync.Mutex
	stance   stance
	gateways map[*Gateway]<-chan Status // and their answer to the last Suspend; nil when there was none
	openings map[*openClock]bool        // whether an agent may be on its way to be one of gateways
	idlec    []chan struct{}            // closed when there are none of those
}

// stop tells all who are there, and those who come from now on. It returns what is closed when no
// agent is on its way.
func (s *standstill) stop() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stance = max(s.stance, stopping)
	for gw := range s.gateways {
		s.gateways[gw] = gw.n.suspend()
	}
	idlec := make(chan struct{})
	s.idlec = append(s.idlec, idlec)
	s.tellIdle()
	return idlec
}

// hold holds the clocks of openings, unless the group goes on already. It returns the answers of
// gateways that are to stay.
func (s *standstill) hold() map[*Gateway]<-chan Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stance == stopping {
		s.stance = standing
		for c := range s.openings {
			c.hold()
		}
	}
	owed := make(map[*Gateway]<-chan Status)
	for gw, answerc := range s.gateways {
		select {
		case <-gw.exitc:
		default:
			if answerc != nil {
				owed[gw] = answerc
			}
		}
	}
	return owed
}

func (s *standstill) resume() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stance == standing {
		for c := range s.openings {
			c.resume()
		}
	}
	s.stance = going
	for gw := range s.gateways {
		gw.n.resume()
	}
}

// join is for a gateway that has shaken hands, and leave for one that has ended.
func (s *standstill) join(gw *Gateway) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gateways == nil {
		s.gateways = make(map[*Gateway]<-chan Status)
	}
	var answerc <-chan Status
	if s.stance != going {
		answerc = gw.n.suspend()
	}
	s.gateways[gw] = answerc
}

func (s *standstill) leave(gw *Gateway) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.gateways, gw)
}

// open is for a clock that was started, and forget for one that is to be stopped. coming is that an
// agent may be on its way.
func (s *standstill) open(c *openClock, coming bool) (forget func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.openings == nil {
		s.openings = make(map[*openClock]bool)
	}
	s.openings[c] = coming
	if s.stance == standing {
		c.hold()
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.openings, c)
		s.tellIdle()
	}
}

// tellIdle wakes who waits for agents that are on their way, when none is. s.mu is held.
func (s *standstill) tellIdle() {
	for _, coming := range s.openings {
		if coming {
			return
		}
	}
	for _, idlec := range s.idlec {
		close(idlec)
	}
	s.idlec = nil
}

// suspend tells the agent, behind what it was told before, and returns what its answer comes on. It
// does not block.
func (n *session) suspend() <-chan Status {
	n.suspended.set(SuspendLimit)
	number, answerc := n.expect()
	n.control.order(controlMessage{Kind: controlSuspend, Question: number, Limit: SuspendLimit.Milliseconds()})
	return answerc
}

// resume tells the agent, behind suspend. It does not block.
func (n *session) resume() {
	n.suspended.set(0)
	n.control.order(controlMessage{Kind: controlResume})
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
