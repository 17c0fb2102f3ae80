package scheduler

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/scheduler/event"
	"github.com/xdist-go/xdist/scheduler/wire"
)

// TestHeal has processes fail because their binary is damaged.
func TestHeal(t *testing.T) {
	for _, tt := range []struct {
		name   string
		mend   Mender
		passed bool
		most   int32  // calls of mend
		warns  string // in a warning
	}{
		{"made", func(_ context.Context, _ gotest.Platform, r gotest.Ready) (gotest.Ready, bool, error) {
			r.Binary = "mended"
			return r, true, nil
		}, true, 1, "p: its test binary was damaged in the store"},
		{"right, and damaged all the same", func(_ context.Context, _ gotest.Platform, r gotest.Ready) (gotest.Ready, bool, error) {
			return r, false, nil
		}, false, mostHeals + 3, ""},
		{"not to be made", func(_ context.Context, _ gotest.Platform, r gotest.Ready) (gotest.Ready, bool, error) {
			return r, false, errors.New("it does not build")
		}, false, mostHeals + 3, "it does not build"},
		{"nobody mends", nil, false, 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, 3, map[string][]string{"p": many("Pass", 30)})
			w.damaged = func(o *wire.Order) bool { return o.Binary != "mended" }
			var calls atomic.Int32
			if tt.mend != nil {
				w.cfg.Mend = func(ctx context.Context, p gotest.Platform, r gotest.Ready) (gotest.Ready, bool, error) {
					calls.Add(1)
					return tt.mend(ctx, p, r)
				}
			}
			s, r, err := w.run(t.Context())
			if err != nil || s.Unbalanced != "" {
				t.Fatalf("%v, %s", err, s.Unbalanced)
			}
			if passed := s.Counts[event.Pass] == 30; passed != tt.passed {
				t.Errorf("%d passed of 30", s.Counts[event.Pass])
			}
			if n := calls.Load(); n > tt.most || tt.most > 0 && n == 0 {
				t.Errorf("mended %d times, want %d at most", n, tt.most)
			}
			said := ""
			for _, e := range r.events {
				if warning, ok := e.(event.Warning); ok {
					said += warning.Text + "\n"
				}
			}
			if !strings.Contains(said, tt.warns) {
				t.Errorf("want %q in: %s", tt.warns, said)
			}
		})
	}
}

// TestHealInterrupted ends a run while a binary is being built.
func TestHealInterrupted(t *testing.T) {
	w := newWorld(t, 2, map[string][]string{"p": many("Pass", 5)})
	w.damaged = func(*wire.Order) bool { return true }
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w.cfg.Mend = func(ctx context.Context, _ gotest.Platform, r gotest.Ready) (gotest.Ready, bool, error) {
		cancel()
		<-ctx.Done()
		return r, false, context.Cause(ctx)
	}
	s, _, err := w.run(ctx)
	if err != nil || s.Unbalanced != "" || len(s.NotRun) != 5 {
		t.Errorf("%v, %q, %d not run, want 5", err, s.Unbalanced, len(s.NotRun))
	}
}
