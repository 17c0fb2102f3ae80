package scheduler

import (
	"slices"
	"testing"
	"time"

	"github.com/xdist-go/xdist/history"
	"github.com/xdist-go/xdist/scheduler/event"
)

// A package and its external test package may have tests of one name, which no process can run
// apart: they are one item, each runs once, and one that fails fails the item.
func TestTestsOfOneName(t *testing.T) {
	for _, gateways := range []int{1, 4} {
		w := newWorld(t, gateways, map[string][]string{"a": {"TestPass_0", "TestPass_1", "TestFail_2", "TestPass_1", "TestPass_4", "TestFail_2"}})
		w.teach() // so that the package is split
		s, r, err := w.run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		w.wantCounts(s, map[event.Verdict]int{event.Pass: 3, event.Fail: 1})
		begun, ended := map[string]int{}, map[string]int{}
		for _, e := range r.events {
			if ev, ok := e.(event.Test); ok && ev.Action == "run" {
				begun[ev.Test]++
			} else if ok && ev.Terminal() {
				ended[ev.Test]++
			}
		}
		for test, want := range map[string]int{"TestPass_0": 1, "TestPass_1": 2, "TestFail_2": 2, "TestPass_4": 1} {
			if begun[test] != want || ended[test] != want {
				t.Errorf("%d gateways: %s began %d times and ended %d times, want %d", gateways, test, begun[test], ended[test], want)
			}
		}
		if runs := w.runs["a::TestPass_1"]; runs != 2 {
			t.Errorf("%d gateways: TestPass_1 ran %d times, want 2", gateways, runs)
		}
		for _, d := range s.Durations {
			if d.Test == "a::TestPass_1" && d.Elapsed != 20*time.Millisecond {
				t.Errorf("%d gateways: TestPass_1 took %v, want 20 ms for two", gateways, d.Elapsed)
			}
		}
		if hasWarning(r, "were not asked for") || s.Unbalanced != "" {
			t.Errorf("%d gateways: unbalanced %q, events %v", gateways, s.Unbalanced, r.events)
		}
	}
}

// Tests of one name are divided together, and shown as one.
func TestDivisionOfTestsOfOneName(t *testing.T) {
	w := newWorld(t, 4, map[string][]string{"a": {"TestTree_0", "TestPass_1", "TestTree_0"}})
	w.teach()
	s, r, err := w.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.wantCounts(s, map[event.Verdict]int{event.Pass: 2})
	if w.runs["a::TestTree_0"] < 6 {
		t.Errorf("TestTree_0 ran %d times: it was not divided", w.runs["a::TestTree_0"])
	}
	terminal := 0
	for _, e := range r.events {
		switch e := e.(type) {
		case event.Learned:
			if e.Kind == history.Indivisible {
				t.Error("learned that it is indivisible")
			}
		case event.Test:
			if e.Test == "TestTree_0" && e.Terminal() {
				terminal++
				if e.Elapsed == nil || *e.Elapsed < (2*time.Second).Seconds() {
					t.Errorf("it ended with %+v", e)
				}
			}
		}
	}
	begun := slices.IndexFunc(r.events, func(e event.Event) bool {
		ev, ok := e.(event.Test)
		return ok && ev.Test == "TestTree_0" && ev.Action == "run"
	})
	if terminal != 1 || slices.ContainsFunc(r.events[begun+1:], func(e event.Event) bool {
		ev, ok := e.(event.Test)
		return ok && ev.Test == "TestTree_0" && ev.Action == "run"
	}) {
		t.Errorf("it ended %d times or began again", terminal)
	}
}
