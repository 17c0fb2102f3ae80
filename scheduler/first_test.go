package scheduler

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/history"
	"github.com/xdist-go/xdist/scheduler/event"
)

// failedBefore is a world with packages a, whose tests pass, and b, whose test failed when it ran
// last, and is to run first. ready is told of b, and may keep it from coming.
func failedBefore(t *testing.T, ready func() bool, end error) *world {
	w := newWorld(t, 1, map[string][]string{"a": names("Pass", "Pass"), "b": names("Fail")})
	w.cfg.FailedFirst = true
	w.cfg.History = new(history.Book)
	w.cfg.History.Learn(history.Run{ID: "before", Time: time.Now(), Tests: []history.TestRun{
		{Platform: "linux/amd64", Package: "a", Test: "TestPass_0", Elapsed: time.Minute, Verdict: history.Pass},
		{Platform: "linux/amd64", Package: "b", Test: "TestFail_0", Elapsed: time.Millisecond, Verdict: history.Fail},
	}})
	w.cfg.Source = func(ctx context.Context, p gotest.Platform, emit func(gotest.BuildEvent)) error {
		err := w.source(ctx, p, func(e gotest.BuildEvent) {
			if r, ok := e.(gotest.Ready); !ok || r.Package != "b" || ready() {
				emit(e)
			}
		})
		if end != nil {
			return end
		}
		return err
	}
	return w
}

// begun are the packages of the units in the order in which these began.
func begun(r *record) []string {
	var packages []string
	for _, e := range r.events {
		if u, ok := e.(event.UnitStarted); ok && !slices.Contains(packages, u.Package) {
			packages = append(packages, u.Package)
		}
	}
	return packages
}

// What failed last runs first, also when another package can run before it is built.
func TestFailedFirst(t *testing.T) {
	up := make(chan struct{})
	w := failedBefore(t, func() bool { <-up; return true }, nil)
	s, r, err := w.runWith(t.Context(), func(e event.Event) {
		if _, ok := e.(event.GatewayUp); ok {
			close(up)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	w.check(s, r)
	w.wantCounts(s, map[event.Verdict]int{event.Pass: 2, event.Fail: 1})
	if got := begun(r); !slices.Equal(got, []string{"b", "a"}) {
		t.Errorf("the packages began as %v", got)
	}
}

// Others do not wait for a package that failed last and does not come.
func TestFailedFirstThatDoesNotCome(t *testing.T) {
	w := failedBefore(t, func() bool { return false }, &gotest.BuildError{Status: "exit status 1"})
	s, r, err := w.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.check(s, r)
	w.wantCounts(s, map[event.Verdict]int{event.Pass: 2, event.NotRun: 1})
}
