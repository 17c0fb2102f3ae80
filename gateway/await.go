package gateway

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/xdist-go/xdist/xspec"
)

var errNoGateway = errors.New("there is no such gateway")

// routes knows which gateway goes through which, and tells those who wait for one what has become
// of it. Group.mu guards it.
type routes struct {
	through  map[string]string // by id, reserved ones included: what it goes through
	opening  map[string]bool   // by id
	failed   map[string]error  // by id: why it could not be opened; absent when somebody tries again
	changedc chan struct{}     // closed and replaced when one is being opened, is up, has failed, or nobody will be opened any more
}

func newRoutes() routes {
	return routes{
		through: make(map[string]string), opening: make(map[string]bool), failed: make(map[string]error),
		changedc: make(chan struct{}),
	}
}

// plan notes what a spec, which has its id, goes through. A ring is an error.
func (r *routes) plan(spec xspec.Spec) error {
	via := throughOf(spec)
	if via == "" {
		delete(r.through, spec.ID)
		return nil
	}
	ring := []string{spec.ID}
	for id := via; id != "" && !slices.Contains(ring, id); id = r.through[id] {
		if ring = append(ring, id); r.through[id] == spec.ID {
			return fmt.Errorf("gateways go through each other: %s", strings.Join(append(ring, spec.ID), " via "))
		}
	}
	r.through[spec.ID] = via
	return nil
}

// throughOf is the id of the gateway that a spec goes through, or "".
func throughOf(spec xspec.Spec) string {
	if spec.Via != "" {
		return spec.Via
	}
	return spec.InstallVia
}

// begin notes that a gateway is being opened.
func (r *routes) begin(id string) {
	r.opening[id] = true
	delete(r.failed, id)
	r.changed()
}

// end notes that a gateway is up (nil), or why it could not be opened.
func (r *routes) end(id string, err error) {
	delete(r.opening, id)
	if err != nil {
		r.failed[id] = err
	}
	r.changed()
}

// changed wakes who waits.
func (r *routes) changed() {
	close(r.changedc)
	r.changedc = make(chan struct{})
}

// await waits until the gateway that spec goes through is a member, or will not be. One that has an
// id and is not being opened yet is waited for as long as Config.OpenTimeout.
func (g *Group) await(ctx context.Context, spec xspec.Spec) error {
	id := throughOf(spec)
	if id == "" {
		return nil
	}
	patience, cancel := g.patience(ctx, false)
	defer cancel()
	for {
		g.mu.Lock()
		changed, opening := g.routes.changedc, g.routes.opening[id]
		ready, err := g.stateOf(id)
		g.mu.Unlock()
		if ready {
			return nil
		}
		expired := patience.Done()
		if opening {
			expired = nil // that has a timeout of its own, and an agent to get before
		}
		if err == nil {
			select {
			case <-changed:
				continue
			case <-ctx.Done():
				err = ctx.Err()
			case <-expired:
				if err = ctx.Err(); err == nil {
					err = fmt.Errorf("nobody has opened it for %v", g.cfg.OpenTimeout)
				}
			}
		}
		return fmt.Errorf("via gateway %q: %w", id, err)
	}
}

// stateOf reports whether the gateway with this id is a member, and if not so, why it will not be.
// g.mu is held.
func (g *Group) stateOf(id string) (ready bool, err error) {
	member := slices.ContainsFunc(g.order, func(gw *Gateway) bool { return gw.ID() == id })
	switch {
	case member:
		return true, nil
	case g.finished:
		return false, errors.New("group is terminated")
	case g.ids[id] == 0:
		return false, errNoGateway
	case g.routes.failed[id] != nil:
		return false, g.routes.failed[id]
	case g.ids[id] == idTaken && !g.routes.opening[id]:
		return false, ErrExited
	}
	return false, nil
}

// lostOnTheWay returns why the gateway that gw goes through has ended, or nil when it has not.
func (gw *Gateway) lostOnTheWay() error {
	id := throughOf(gw.spec)
	if id == "" {
		return nil
	}
	relay, ok := gw.group.Lookup(id)
	if !ok {
		return fmt.Errorf("via gateway %s: %w", id, ErrExited)
	}
	if err := relay.n.gone(); err != nil {
		return relayOrigin{relay}.wrap(err)
	}
	return nil
}

// openTimeout bounds the start of one agent. Who waits for Config.Agent holds its clock.
func (g *Group) openTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	return g.patience(ctx, true)
}

// patience is a context of Config.OpenTimeout. coming is that an agent is being started, which
// Suspend waits for.
func (g *Group) patience(ctx context.Context, coming bool) (context.Context, context.CancelFunc) {
	d := g.cfg.OpenTimeout
	if d < 0 {
		d = math.MaxInt64
	}
	c := startClock(ctx, d)
	forget := g.standstill.open(c, coming)
	return c, func() { forget(); c.stop() }
}
