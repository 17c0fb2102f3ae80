package main

import (
	"testing"
	"time"

	"github.com/xdist-go/xdist/history"
)

// A flaky test is as new as its last failure, which a crash is too.
func TestLastFailure(t *testing.T) {
	at := func(h int) time.Time { return time.Unix(int64(h)*3600, 0) }
	for want, seen := range map[int][]history.Sight{
		3: {{Time: at(4), Verdict: history.Pass}, {Time: at(3), Verdict: history.Flaky}, {Time: at(2), Verdict: history.Fail}},
		2: {{Time: at(2), Verdict: history.Crash}},
	} {
		if got := lastFailure(history.TestSummary{Seen: seen}); !got.Equal(at(want)) {
			t.Errorf("of %v the last failure is of %v", seen, got)
		}
	}
	if got := lastFailure(history.TestSummary{Seen: []history.Sight{{Time: at(1), Verdict: history.Skip}}}); !got.IsZero() {
		t.Errorf("a test that skipped failed at %v", got)
	}
}
