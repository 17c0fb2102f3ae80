package history

import (
	"math"
	"strings"
	"time"
)

// Clock finds the durations of tests from their events. The zero value is ready. Use it from one
// goroutine.
type Clock struct {
	running map[logged]*lap
	size    int // bytes of running
}

// clockSize bounds what a Clock keeps of tests that run, and of those that will never end, in
// bytes: some 60,000 tests. What begins beyond it is as exact as package testing says it.
const clockSize = 8 << 20

// lapSize is what a test takes besides its name.
const lapSize = 120

// begin notes that a test runs.
func (c *Clock) begin(key logged, at time.Time) {
	c.end(key)
	size := lapSize + len(key.test)
	if c.size+size > clockSize {
		return
	}
	if c.running == nil {
		c.running = make(map[logged]*lap)
	}
	c.size += size
	c.running[key] = &lap{since: at}
}

// end forgets a test, which need not run.
func (c *Clock) end(key logged) {
	if c.running[key] != nil {
		c.size -= lapSize + len(key.test)
		delete(c.running, key)
	}
}

// logged is a test by the name that the events have for its package.
type logged struct{ pkg, test string }

// lap is a test that has begun and not ended.
type lap struct {
	since    time.Time // it runs since then
	spent    time.Duration
	paused   bool
	parallel bool // subtests of it have waited for it to end
}

// resolution is that of the durations that package testing prints.
const resolution = 10 * time.Millisecond

// Event takes an event of go test -json that belongs to a test. When it ends the test, ended is
// true and took is its duration: what elapsed says in seconds, which is rounded, made more exact by
// the times of the events where these agree. A test whose subtests are parallel is over for package
// testing before they begin; took is the time until they have ended.
func (c *Clock) Event(pkg, test, action string, at time.Time, elapsed *float64) (took time.Duration, ended bool) {
	key := logged{pkg, test}
	l := c.running[key]
	switch action {
	case "run":
		c.begin(key, at)
	case "pause":
		if l != nil && !l.paused {
			l.spent, l.paused = l.spent+at.Sub(l.since), true
		}
		c.markParents(key)
	case "cont":
		if l != nil && l.paused {
			l.since, l.paused = at, false
		}
	case "pass", "fail", "skip":
		c.end(key)
		if elapsed == nil {
			return 0, false
		}
		return l.took(at, seconds(*elapsed)), true
	}
	return 0, false
}

// markParents notes that a subtest waits until the tests that it belongs to have ended.
func (c *Clock) markParents(key logged) {
	for i := strings.LastIndexByte(key.test, '/'); i >= 0; i = strings.LastIndexByte(key.test, '/') {
		key.test = key.test[:i]
		if l := c.running[key]; l != nil {
			l.parallel = true
		}
	}
}

func (l *lap) took(at time.Time, elapsed time.Duration) time.Duration {
	if l == nil || l.paused || l.since.IsZero() || at.Before(l.since) {
		return elapsed
	}
	between := l.spent + at.Sub(l.since)
	if l.parallel {
		return max(elapsed, min(between, maxSeconds*time.Second))
	}
	if (between - elapsed).Abs() > resolution/2 {
		return elapsed
	}
	return max(0, between)
}

// seconds makes a duration of what a file says; what cannot be one is 0.
func seconds(s float64) time.Duration { return time.Duration(micros(s)) * time.Microsecond }

func micros(seconds float64) int64 {
	if !(seconds >= 0) {
		return 0
	}
	return int64(math.Round(min(seconds, maxSeconds) * 1e6))
}
