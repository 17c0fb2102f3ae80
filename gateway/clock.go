package gateway

import (
	"context"
	"sync"
	"time"
)

// openClock is the context of the opening of one gateway. It ends with its parent, and with
// context.DeadlineExceeded when its time is up; while it is held its time stands still. Deadline is
// the parent's, because its own may move.
//
// It has no goroutine. Its owner calls stop, which ends it too.
type openClock struct {
	context.Context                    // the parent
	ended           context.Context    // done when err is set. It has no parent, so that none but err tells how the clock has ended
	end             context.CancelFunc // of ended
	unhook          func() bool        // from the parent

	mu    sync.Mutex // guards the fields below
	err   error
	holds int
	timer *time.Timer
	since time.Time     // when timer was started
	left  time.Duration // then
}

type openClockKey struct{}

// startClock returns a running clock. d is above zero.
func startClock(parent context.Context, d time.Duration) *openClock {
	c := &openClock{Context: parent, since: time.Now(), left: d}
	c.ended, c.end = context.WithCancel(context.Background())
	c.mu.Lock()
	c.timer = time.AfterFunc(d, c.strike)
	c.mu.Unlock()
	c.unhook = context.AfterFunc(parent, func() { c.finish(parent.Err()) })
	if err := parent.Err(); err != nil {
		c.finish(err)
	}
	return c
}

// Done implements context.Context.
func (c *openClock) Done() <-chan struct{} { return c.ended.Done() }

// Err implements context.Context.
func (c *openClock) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Value implements context.Context. It leads holdClock to the clock.
func (c *openClock) Value(key any) any {
	if key == (openClockKey{}) {
		return c
	}
	return c.Context.Value(key)
}

// AfterFunc is what package context asks for: contexts made of this one need no goroutine then.
func (c *openClock) AfterFunc(f func()) (stop func() bool) { return context.AfterFunc(c.ended, f) }

func (c *openClock) stop() {
	c.unhook()
	c.finish(context.Canceled)
}

// strike is for the timer. One that had started before the clock was held is not the last: the time
// that is left is none then.
func (c *openClock) strike() {
	c.mu.Lock()
	held := c.holds > 0
	c.mu.Unlock()
	if !held {
		c.finish(context.DeadlineExceeded)
	}
}

// finish ends the clock, once.
func (c *openClock) finish(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
		c.timer.Stop()
		c.end()
	}
}

func (c *openClock) hold() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.holds++; c.holds == 1 {
		c.timer.Stop()
		c.left -= time.Since(c.since)
	}
}

func (c *openClock) resume() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.holds--; c.holds == 0 && c.err == nil {
		c.since = time.Now()
		c.timer.Reset(max(0, c.left))
	}
}

// holdClock holds the clock of the opening that ctx belongs to, where it has one, until resume is
// called. Several may hold it at once.
func holdClock(ctx context.Context) (resume func()) {
	c, ok := ctx.Value(openClockKey{}).(*openClock)
	if !ok {
		return func() {}
	}
	c.hold()
	return c.resume
}
