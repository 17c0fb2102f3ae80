package unit

import (
	"context"
	"sync"
	"time"
)

// Control is how a process is reached while it runs: it can be held, go on, and be asked for the
// stacks of its goroutines, which ends it. A Control serves one Run after the other, and a Run that
// begins finds it as it is. The zero value is ready for use; its methods may be called concurrently
// and do not block.
//
// While processes are held its clock stands still, and so do all limits of a Run. On Windows
// processes cannot be held, and have no stacks: Hold does nothing, and Quit ends them.
//
// It has no goroutine. The mutex guards the fields.
type Control struct {
	mu       sync.Mutex
	changedc chan struct{} // closed and replaced at each change; nil while nobody waits for one
	since    time.Time     // when it was held; zero while it is not
	spans    []span        // in which it was held, the last ones
	stood    time.Duration // all of them together
	quit     bool
	timers   map[*timer]bool // those that run
}

// span is a time in which processes were held.
type span struct{ from, to time.Time }

// keptSpans are kept: a test that was held more often before it ended is told longer than it ran.
const keptSpans = 64

// Hold stops the processes and their clock.
func (c *Control) Hold() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !canHold || !c.since.IsZero() {
		return
	}
	c.since = time.Now()
	for t := range c.timers {
		t.hold(c.since)
	}
	c.tell()
}

// GoOn is the end of Hold.
func (c *Control) GoOn() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.since.IsZero() {
		return
	}
	now := time.Now()
	if len(c.spans) == keptSpans {
		c.spans = append(c.spans[:0], c.spans[1:]...)
	}
	c.spans = append(c.spans, span{c.since, now})
	c.stood += now.Sub(c.since)
	c.since = time.Time{}
	for t := range c.timers {
		t.goOn(now)
	}
	c.tell()
}

// Quit has the process of the Run show its goroutines and end, and those of later ones not start.
func (c *Control) Quit() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.quit = true
	c.tell()
}

func (c *Control) tell() {
	if c.changedc != nil {
		close(c.changedc)
		c.changedc = nil
	}
}

// state returns what processes are to do, and what is closed when that changes.
func (c *Control) state() (held, quit bool, changedc <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.changedc == nil {
		c.changedc = make(chan struct{})
	}
	return !c.since.IsZero(), c.quit, c.changedc
}

// now is the time by a clock that stands still while processes are held.
func (c *Control) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if !c.since.IsZero() {
		now = c.since
	}
	return now.Add(-c.stood)
}

// held is for how long of a time processes were held, and then went on.
func (c *Control) held(from, to time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	var sum time.Duration
	for _, s := range c.spans {
		if s.from.Before(from) {
			s.from = from
		}
		if s.to.After(to) {
			s.to = to
		}
		sum += max(0, s.to.Sub(s.from))
	}
	return sum
}

// timer is one by the clock of a Control, which guards it.
type timer struct {
	timer *time.Timer
	since time.Time     // when it was started
	left  time.Duration // then
}

func (t *timer) hold(now time.Time) {
	t.timer.Stop()
	t.left = max(0, t.left-now.Sub(t.since))
}

func (t *timer) goOn(now time.Time) {
	t.since = now
	t.timer.Reset(t.left)
}

// AfterFunc calls f in a goroutine of its own when d has passed by the clock, unless stop is called
// before.
func (c *Control) AfterFunc(d time.Duration, f func()) (stop func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &timer{since: time.Now(), left: d}
	t.timer = time.AfterFunc(d, func() {
		if c.fires(t) {
			f()
		}
	})
	if !c.since.IsZero() {
		t.timer.Stop()
	}
	if c.timers == nil {
		c.timers = make(map[*timer]bool)
	}
	c.timers[t] = true
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		t.timer.Stop()
		delete(c.timers, t)
	}
}

// fires reports whether the time of a timer is over. One that has begun to fire when the clock was
// held does so when that goes on.
func (c *Control) fires(t *timer) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.timers[t] || !c.since.IsZero() {
		return false
	}
	delete(c.timers, t)
	return true
}

// Pause waits for d by the clock, until ctx ends, or until no process is to start any more.
func (c *Control) Pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	firedc, stop := c.after(d)
	defer stop()
	for {
		_, quit, changedc := c.state()
		if quit {
			return
		}
		select {
		case <-firedc:
			return
		case <-ctx.Done():
			return
		case <-changedc:
		}
	}
}

// after returns a Go channel that gets a value when d has passed by the clock.
func (c *Control) after(d time.Duration) (firedc <-chan struct{}, stop func()) {
	fired := make(chan struct{}, 1)
	return fired, c.AfterFunc(d, func() { fired <- struct{}{} })
}
