package gateway

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// killWait is how long Terminate waits for the operating system to end what was killed.
const killWait = 2 * time.Second

// Terminate ends all gateways, also those that have left the group by Exit, and empties the group,
// which opens no more. Its listeners are closed first. Gateways through which others go end after
// those; apart from that all end at once. Agents get an orderly goodbye, at half of the timeout an
// interrupt, and at its end, or when ctx ends, they are killed with everything they started. 0
// means Config.Grace. It returns when all have ended: nil, or an error that names those that could
// not be ended. A second call has nothing left to do.
func (g *Group) Terminate(ctx context.Context, timeout time.Duration) error {
	timeout = cmp.Or(timeout, g.cfg.Grace)
	g.mu.Lock()
	g.finished = true
	g.routes.changed()
	listeners := slices.Collect(maps.Keys(g.listeners))
	g.mu.Unlock()
	for _, l := range listeners {
		l.Close()
	}
	g.mu.Lock()
	all := slices.Clone(g.order)
	for gw := range g.leaving {
		all = append(all, gw)
	}
	g.mu.Unlock()

	var stuck []*Gateway
	waves := wavesOf(all)
	for _, gw := range all {
		g.remove(gw)
	}
	deadline := time.Now().Add(timeout)
	for i, wave := range waves {
		share := time.Until(deadline) / time.Duration(len(waves)-i)
		stuck = append(stuck, endAll(ctx, wave, share)...)
	}
	if ids := stillThere(stuck); len(ids) > 0 {
		return fmt.Errorf("terminate gateways %s: still running after being killed", strings.Join(ids, ", "))
	}
	return nil
}

// stillThere waits for gateways that could not be ended by themselves, now that those they go
// through have ended, and returns the ids of those that have not followed.
func stillThere(gws []*Gateway) (ids []string) {
	late := time.NewTimer(killWait)
	defer late.Stop()
	for _, gw := range gws {
		select {
		case <-gw.donec:
			continue
		default:
		}
		select {
		case <-gw.donec:
		case <-late.C:
			late.Reset(0) // the others do not wait again
			ids = append(ids, gw.ID())
		}
	}
	slices.Sort(ids)
	return ids
}

// endAll ends the gateways in parallel within the time and returns those that it could not end.
func endAll(ctx context.Context, gws []*Gateway, timeout time.Duration) (stuck []*Gateway) {
	stuckc := make(chan *Gateway, len(gws))
	for _, gw := range gws {
		go func() { // joined by the receive below
			if gw.endWithin(ctx, timeout) {
				gw = nil
			}
			stuckc <- gw
		}()
	}
	for range gws {
		if gw := <-stuckc; gw != nil {
			stuck = append(stuck, gw)
		}
	}
	return stuck
}

// endWithin ends one gateway and reports whether it is gone.
func (gw *Gateway) endWithin(ctx context.Context, timeout time.Duration) bool {
	gw.Exit()
	interrupt := time.NewTimer(timeout / 2)
	defer interrupt.Stop()
	kill := time.NewTimer(timeout)
	defer kill.Stop()
	for {
		select {
		case <-gw.donec:
			return true
		case <-interrupt.C:
			gw.endpoint.proc.interrupt()
			continue
		case <-kill.C:
		case <-ctx.Done():
		}
		break
	}
	gw.kill()
	return within(killWait, gw.donec)
}

// wavesOf orders gateways by what goes through what: each wave may end when the ones before it
// have.
func wavesOf(gws []*Gateway) [][]*Gateway {
	left := slices.Clone(gws)
	var waves [][]*Gateway
	for len(left) > 0 {
		used := make(map[string]bool)
		for _, gw := range left {
			used[gw.spec.Via] = true
			used[gw.spec.InstallVia] = true
		}
		var wave, rest []*Gateway
		for _, gw := range left {
			if used[gw.ID()] {
				rest = append(rest, gw)
			} else {
				wave = append(wave, gw)
			}
		}
		if len(wave) == 0 { // a ring, which no Open can have made
			panic("BUG: gateways go through each other")
		}
		waves = append(waves, wave)
		left = rest
	}
	return waves
}
