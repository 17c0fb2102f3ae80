package unit

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/xdist-go/xdist/gotest/test2json"
)

const (
	// lookShare is the part of a test's time by which it may overrun it: the clocks are looked at
	// that often, within these bounds.
	lookShare = 20
	minLook   = 10 * time.Millisecond
	maxLook   = time.Second
	// dumpGrace is for how long a process whose test is out of time may go on to write the stacks
	// of its goroutines.
	dumpGrace = 5 * time.Second
)

// clocks tell for how long each top-level test runs. A test that waits in t.Parallel does not run;
// its subtests' waiting counts.
//
// The mutex guards running: the stream's goroutine reports, and the one that attends the process
// looks.
type clocks struct {
	limit  time.Duration            // 0 is none
	limits map[string]time.Duration // of tests that have one of their own; 0 is none

	mu      sync.Mutex
	running map[string]*clock
}

type clock struct {
	began time.Time     // or went on; zero while it waits
	spent time.Duration // before
}

// newClocks returns nil when no test of u has a limit. Benchmarks and fuzzing take as long as their
// flags say.
func newClocks(u Unit, flags []testArg) *clocks {
	if u.TestTimeout <= 0 && len(u.TestTimeouts) == 0 || lastValue(flags, "bench") != "" || lastValue(flags, "fuzz") != "" {
		return nil
	}
	return &clocks{limit: u.TestTimeout, limits: u.TestTimeouts, running: make(map[string]*clock)}
}

func (c *clocks) limitOf(name string) time.Duration {
	if d, ok := c.limits[name]; ok {
		return d
	}
	return c.limit
}

// every is how often to look. On a nil receiver it is 0: never.
func (c *clocks) every() time.Duration {
	if c == nil {
		return 0
	}
	shortest := c.limit
	for _, d := range c.limits {
		if d > 0 && (shortest <= 0 || d < shortest) {
			shortest = d
		}
	}
	return min(max(shortest/lookShare, minLook), maxLook)
}

func (c *clocks) observe(e test2json.Event, now time.Time) {
	if c == nil || e.Test == "" || e.Action == test2json.ActionOutput || strings.Contains(e.Test, "/") {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch k := c.running[e.Test]; {
	case e.Action == test2json.ActionRun:
		c.running[e.Test] = &clock{began: now}
	case k == nil:
	case e.Terminal():
		delete(c.running, e.Test)
	case e.Action == test2json.ActionPause:
		k.spent += now.Sub(k.began)
		k.began = time.Time{}
	case e.Action == test2json.ActionCont && k.began.IsZero():
		k.began = now
	}
}

// overdue returns the test that is out of time, of several the one by most, and its limit.
func (c *clocks) overdue(now time.Time) (name string, limit time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var by time.Duration
	for test, k := range c.running {
		d := c.limitOf(test)
		if d <= 0 || k.began.IsZero() {
			continue
		}
		if over := k.spent + now.Sub(k.began) - d; over >= 0 && (name == "" || over > by) {
			name, limit, by = test, d, over
		}
	}
	return name, limit
}

// endOverdue ends the process when one of its tests is out of time, and reports whether it did.
// While an Emit is slow nothing is known: the end of the test may wait in the pipe.
func (r *run) endOverdue(p *process) bool {
	if r.out.emitting.Load() {
		return false
	}
	name, limit := r.out.clocks.overdue(r.control.now())
	if name == "" {
		return false
	}
	r.overdue, r.testTimeout = name, limit
	r.out.blame.Store(&name)
	r.outOfTime(p)
	return true
}

// nameLine makes the converter take what follows for output of a test, as package testing does.
func nameLine(test string) []byte { return fmt.Appendf(nil, "\x16=== NAME  %s\n", test) }

// culprit returns the item that a process died of, and the limit that it had when that is what
// ended it. A test that was out of time and ended in the same moment is none.
func (r *run) culprit() (name string, limit time.Duration) {
	switch track := r.out.track; {
	case r.overdue == "":
		return track.culprit(&r.out.scan), 0
	case track.item(r.overdue).running:
		return r.overdue, r.testTimeout
	}
	return "", 0
}
