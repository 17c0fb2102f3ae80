package scheduler

import (
	"slices"
	"testing"
	"time"

	"github.com/xdist-go/xdist/history"
	"github.com/xdist-go/xdist/scheduler/event"
)

// A test that was red in the whole when it was last there is green when it is green there again,
// whatever it does apart, and that is remembered.
func TestRedInTheWhole(t *testing.T) {
	for _, tt := range []struct {
		kind   string
		want   map[event.Verdict]int
		mended bool
	}{
		{"First", map[event.Verdict]int{event.Pass: 40, event.Fail: 1}, false},
		{"Pass", map[event.Verdict]int{event.Pass: 41}, true},
	} {
		last := names(append(slices.Repeat([]string{"Pass"}, 40), tt.kind)...)[40]
		w := newWorld(t, 4, map[string][]string{"a": names(append(slices.Repeat([]string{"Pass"}, 40), tt.kind)...)})
		w.cfg.History = new(history.Book)
		w.cfg.History.Learn(history.Run{ID: "before", Time: time.Now(),
			Tests:   []history.TestRun{{Platform: "linux/amd64", Package: "a", Test: last, Elapsed: time.Millisecond, Verdict: history.Fail}},
			Lessons: []history.Lesson{{Platform: "linux/amd64", Package: "a", Test: last, Kind: history.Red}}})
		s, r, err := w.run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		w.check(s, r)
		w.wantCounts(s, tt.want)
		mended := slices.ContainsFunc(r.events, func(e event.Event) bool {
			l, ok := e.(event.Learned)
			return ok && l.Kind == history.Red && l.Undone
		})
		if mended != tt.mended {
			t.Errorf("%s: remembered as mended: %t", tt.kind, mended)
		}
	}
}

// A failure in the whole is remembered, however the package came to run there: a later run that
// splits the package must not believe a pass.
func TestFailureInTheWholeIsRemembered(t *testing.T) {
	for _, dist := range []Dist{DistLoad, DistLoadScope} {
		w := newWorld(t, 1, map[string][]string{"a": names("Pass", "Fail", "Pass")})
		w.cfg.Dist = dist
		_, r, err := w.run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(r.events, func(e event.Event) bool {
			l, ok := e.(event.Learned)
			return ok && l.Kind == history.Red && l.Test == "TestFail_1" && !l.Undone
		}) {
			t.Errorf("--dist %s: it is not remembered that the whole failed", dist)
		}
	}
}
