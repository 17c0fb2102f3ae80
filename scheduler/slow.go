package scheduler

import (
	"time"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/scheduler/event"
)

// slowLooks is how often the controller looks for slow tests in the time after which one is slow,
// within the bounds.
const (
	slowLooks   = 4
	minSlowLook = 50 * time.Millisecond
	maxSlowLook = 5 * time.Second
)

// stopwatch is for how long an item runs by the controller's clock, not counting the time that it
// waits in t.Parallel.
type stopwatch struct {
	first time.Time // it began, in its first round
	began time.Time // or went on; zero while it waits or has ended
	spent time.Duration
	told  time.Duration // when it was last announced as slow, or 0
}

func (s *stopwatch) observe(action string) {
	now := time.Now()
	switch action {
	case test2json.ActionRun:
		*s = stopwatch{first: s.first, began: now}
		if s.first.IsZero() {
			s.first = now
		}
	case test2json.ActionCont:
		s.began = now
	case test2json.ActionPause, test2json.ActionPass, test2json.ActionFail, test2json.ActionSkip:
		if !s.began.IsZero() {
			s.spent += now.Sub(s.began)
			s.began = time.Time{}
		}
	}
}

// soFar is for how long the item's last round has been running, 0 when it has ended.
func (s *stopwatch) soFar(now time.Time) time.Duration {
	if s.began.IsZero() {
		return 0
	}
	return s.spent + now.Sub(s.began)
}

// watchSlow returns a ticker for tellSlow, or nil when nobody wants to know: benchmarks and fuzzing
// take as long as their flags say.
func (c *controller) watchSlow() *time.Ticker {
	if c.cfg.Slow <= 0 || c.cfg.Command.Grain() == gotest.Alone {
		return nil
	}
	return time.NewTicker(min(max(c.cfg.Slow/slowLooks, minSlowLook), maxSlowLook))
}

// tellSlow announces the tests that have run for longer than Config.Slow, each when it has run for
// twice as long as the last time.
func (c *controller) tellSlow() {
	now := time.Now()
	for _, n := range c.nodes {
		if n.job == nil {
			continue
		}
		for name, it := range n.job.items {
			w := &it.watch
			if _, known := n.job.pkg.index[name]; !known || w.began.IsZero() {
				continue
			}
			if running := w.soFar(now); running >= max(c.cfg.Slow, 2*w.told) {
				w.told = running
				c.emit(event.SlowTest{Time: now, Gateway: n.id, Package: n.job.pkg.shown, Test: name, Running: running})
			}
		}
	}
}
