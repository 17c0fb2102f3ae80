package scheduler

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/xdist-go/xdist/history"
	"github.com/xdist-go/xdist/scheduler/event"
)

// A run says when it will have ended as soon as it runs something, and again when it knows more, a
// second later at the earliest or when a gateway comes; what runs counts with what is left of it.
func TestForesees(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2, map[string][]string{"a": {"TestPass_0"}, "b": {"TestPass_1"}, "c": {"TestPass_2"}})
		w.cfg.Dist, w.limit = DistLoadScope, time.Hour
		known := history.Run{ID: "before", Time: time.Now()}
		for test, seconds := range map[string]int{"a::TestPass_0": 100, "b::TestPass_1": 30, "c::TestPass_2": 20} {
			cost := time.Duration(seconds) * time.Second
			known.Tests = append(known.Tests, history.TestRun{Platform: "linux/amd64", Package: test[:1], Test: test[3:], Verdict: history.Pass, Elapsed: cost, Attempts: 1})
			hold := make(chan struct{})
			w.holds[test[3:]] = hold
			after := cost
			if test[0] == 'c' { // behind b
				after += 30 * time.Second
			}
			timer := time.AfterFunc(after, func() { close(hold) })
			defer timer.Stop()
		}
		w.cfg.History = new(history.Book)
		w.cfg.History.Learn(known)
		start := time.Now()
		s, r, err := w.run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		w.check(s, r)
		var at []time.Duration
		running := 0
		for _, e := range r.events {
			if _, ok := e.(event.UnitStarted); ok {
				running++
			}
			if e, ok := e.(event.Estimate); ok && running >= 2 { // what is not built yet is not known so well
				at = append(at, e.Time.Sub(start))
				if end := e.Time.Add(e.Left).Sub(start); end < 99*time.Second || end > 102*time.Second {
					t.Errorf("after %v it has %v left", e.Time.Sub(start), e.Left)
				}
			}
		}
		if n := len(at); n < 2 || at[n-2] != 30*time.Second || at[n-1] != 50*time.Second {
			t.Errorf("it foresees its end after %v", at)
		}
	})
}
