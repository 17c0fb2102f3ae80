package unit

import (
	"testing"
	"time"

	"github.com/xdist-go/xdist/gotest/test2json"
)

// TestClocks shows what counts as the time of a test.
func TestClocks(t *testing.T) {
	type step struct {
		at           time.Duration
		action, test string
		overdue      string // afterwards
	}
	for name, steps := range map[string][]step{
		"a test that runs": {
			{0, "run", "TestA", ""}, {4, "output", "TestA", ""}, {5, "output", "TestA", "TestA"}, {6, "pass", "TestA", ""}, {20, "output", "", ""},
		},
		"waiting in Parallel does not count": {
			{0, "run", "TestA", ""}, {1, "pause", "TestA", ""}, {100, "cont", "TestA", ""}, {103, "output", "", ""}, {104, "output", "", "TestA"},
		},
		"the waiting of subtests does": {
			{0, "run", "TestA", ""}, {1, "run", "TestA/sub", ""}, {1, "pause", "TestA/sub", ""}, {5, "output", "", "TestA"},
		},
		"each round has its own time": {
			{0, "run", "TestA", ""}, {4, "pass", "TestA", ""}, {4, "run", "TestA", ""}, {8, "output", "", ""}, {9, "output", "", "TestA"},
		},
		"the one that is late by most": {
			{0, "run", "TestA", ""}, {1, "run", "TestQuick", ""}, {6, "output", "", "TestQuick"}, {10, "pass", "TestQuick", "TestA"},
		},
		"no limit for some": {{0, "run", "TestFree", ""}, {100, "output", "", ""}},
	} {
		c := newClocks(Unit{TestTimeout: 5, TestTimeouts: map[string]time.Duration{"TestQuick": 2, "TestFree": 0}}, nil)
		start := time.Unix(1000, 0)
		for _, s := range steps {
			c.observe(test2json.Event{Action: s.action, Test: s.test}, start.Add(s.at))
			if got, _ := c.overdue(start.Add(s.at)); got != s.overdue {
				t.Errorf("%s: at %d, after %s of %q: %q is out of time, want %q", name, s.at, s.action, s.test, got, s.overdue)
			}
		}
	}
}

// TestNoClocks shows where there is no limit.
func TestNoClocks(t *testing.T) {
	for _, u := range []Unit{{}, {TestTimeout: 5, Args: []string{"-test.bench=."}}, {TestTimeout: 5, Args: []string{"-test.fuzz=FuzzX"}}} {
		if c := newClocks(u, testArgs(u.Args)); c != nil || c.every() != 0 {
			t.Errorf("%+v has clocks", u)
		}
	}
}
