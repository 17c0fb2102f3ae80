package gateway

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// All that a program has written is waited for, where it is wanted, until it is killed.
func TestDrain(t *testing.T) {
	for name, tc := range map[string]struct {
		wanted, killed bool
		end            time.Duration // of what was written
		want           bool
		took           time.Duration
	}{
		"wanted":               {true, false, time.Hour, true, time.Hour},
		"wanted and killed":    {true, true, time.Hour, false, time.Minute + drainWait},
		"soon after its death": {true, true, time.Minute + drainWait/2, true, time.Minute + drainWait/2},
		"wanted for long":      {true, false, 3 * time.Hour, false, 2 * time.Hour}, // then the context ends
		"not wanted":           {false, false, time.Hour, false, drainWait},
		"there at once":        {false, false, 0, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Hour)
				defer cancel()
				p := &relayPump{outEndedc: make(chan struct{})}
				time.AfterFunc(tc.end, func() { close(p.outEndedc) })
				synctest.Wait()
				var wanted chan struct{}
				if tc.wanted {
					wanted = make(chan struct{})
				}
				if tc.killed {
					time.AfterFunc(time.Minute, func() { close(wanted) })
				}
				start := time.Now()
				if got := p.drain(ctx, wanted); got != tc.want || time.Since(start) != tc.took {
					t.Errorf("%v after %v, want %v after %v", got, time.Since(start), tc.want, tc.took)
				}
			})
		})
	}
}
