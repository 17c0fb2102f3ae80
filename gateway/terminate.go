package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// killWait is how long Terminate waits after its timeout for the end of what was killed.
const killWait = 2 * time.Second

// Terminate ends all gateways, also those that have left the group by Exit, and empties the group,
// which opens no more. Its listeners are closed first. Gateways through which others go end after
// those; apart from that all end at once. Agents get an orderly goodbye, at half of the timeout an
// interrupt, and at its end, or when ctx ends, they are killed with everything they started. 0
// means Config.Grace. It returns when all have ended, and at the latest two seconds after the
// timeout: nil, or an error that names those whose agents may still run, because they could not be
// killed or because their host did not say that they have ended. A second call has nothing left to
// do.
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

	waves := wavesOf(all)
	for _, gw := range all {
		g.remove(gw)
	}
	deadline := time.Now().Add(timeout)
	for i, wave := range waves {
		left := time.Duration(len(waves) - i)
		endAll(ctx, wave, time.Until(deadline)/left, time.Until(deadline.Add(killWait))/left)
	}
	// Who could not be ended may have followed those that it goes through.
	if ids := mayRun(all); len(ids) > 0 {
		return fmt.Errorf("terminate gateways %s: their hosts did not say in time that the agents have ended; these and what they started may still run there", strings.Join(ids, ", "))
	}
	return nil
}

// mayRun returns the ids of gateways that have not ended, or of whose agents nobody knows whether
// they have.
func mayRun(gws []*Gateway) (ids []string) {
	for _, gw := range gws {
		select {
		case <-gw.donec:
			p, unsure := gw.endpoint.proc.(interface{ mayRun() bool })
			if !unsure || !p.mayRun() || !errors.Is(gw.Err(), ErrExited) { // those that were lost have said so
				continue
			}
		default:
		}
		ids = append(ids, gw.ID())
	}
	slices.Sort(ids)
	return ids
}

// endAll ends the gateways in parallel and returns when all have ended, at the latest at the limit,
// or killWait after the end of ctx.
func endAll(ctx context.Context, gws []*Gateway, timeout, limit time.Duration) {
	late := time.NewTimer(limit)
	defer late.Stop()
	hurry := context.AfterFunc(ctx, func() { late.Reset(min(limit, killWait)) })
	defer hurry()
	for _, gw := range gws {
		go gw.endWithin(ctx, timeout) // it ends with the gateway, or when it was killed
	}
	for _, gw := range gws {
		select {
		case <-gw.donec:
		case <-late.C:
			return
		}
	}
}

// endWithin ends one gateway, which is killed after the timeout.
func (gw *Gateway) endWithin(ctx context.Context, timeout time.Duration) {
	gw.Exit()
	interrupt := time.NewTimer(timeout / 2)
	defer interrupt.Stop()
	kill := time.NewTimer(timeout)
	defer kill.Stop()
	for {
		select {
		case <-gw.donec:
			return
		case <-interrupt.C:
			gw.endpoint.proc.interrupt()
			continue
		case <-kill.C:
		case <-ctx.Done():
		}
		break
	}
	gw.kill()
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
