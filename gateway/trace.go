package gateway

import (
	"context"
	"sync"
	"time"
)

// stopwatch tells Config.Trace about one opening. All of its time belongs to some phase: each
// begins where the one before has ended.
type stopwatch struct {
	tell func(Phase, time.Duration)

	mu   sync.Mutex // guards last
	last time.Time
}

type stopwatchKey struct{}

// timed gives ctx a stopwatch for the opening of a gateway, where somebody wants to know.
func (cfg Config) timed(ctx context.Context, gateway string) context.Context {
	if cfg.Trace == nil {
		return ctx
	}
	w := &stopwatch{tell: func(p Phase, took time.Duration) { cfg.Trace(gateway, p, took) }, last: time.Now()}
	return context.WithValue(ctx, stopwatchKey{}, w)
}

// lap says that a phase of the opening that ctx belongs to has ended.
func lap(ctx context.Context, p Phase) {
	w, ok := ctx.Value(stopwatchKey{}).(*stopwatch)
	if !ok {
		return
	}
	now := time.Now()
	w.mu.Lock()
	took := now.Sub(w.last)
	w.last = now
	w.mu.Unlock()
	w.tell(p, took)
}
