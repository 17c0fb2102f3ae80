package scheduler

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/scheduler/event"
)

// begins reports whether an event says that a test has begun.
func begins(e event.Event, test string) bool {
	p, ok := e.(event.Progress)
	return ok && p.Test == test && p.Action == test2json.ActionRun
}

// Who asks what runs is told what each gateway does, and for how long.
func TestShowRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2, map[string][]string{"a": {"TestPass_0"}, "b": {"TestPass_1"}})
		w.cfg.Dist, w.limit = DistLoadScope, time.Hour
		requests := make(chan Request, 1)
		w.cfg.Requests = requests
		hold := make(chan struct{})
		w.holds["TestPass_0"] = hold
		var got []event.GatewayRuns
		over := false
		_, _, err := w.runWith(t.Context(), func(e event.Event) {
			switch e := e.(type) {
			case event.Test:
				if e.Package == "b" && e.Test == "" && e.Terminal() && !over {
					over = true
					go func() { // the loop waits for nothing then
						time.Sleep(time.Minute) // virtual
						requests <- ShowRunning{}
					}()
				}
			case event.Running:
				got = e.Gateways
				close(hold)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(got) == 2 && got[0].Package == "" {
			got[0], got[1] = got[1], got[0] // whichever it was
		}
		for i := range got {
			got[i].Gateway = ""
		}
		want := []event.GatewayRuns{{Package: "a", For: time.Minute, Tests: []event.TestRuns{{Test: "TestPass_0", For: time.Minute}}}, {}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("what runs (-want +got):\n%s", diff)
		}
	})
}

// The last lines are those of the test itself, as many as are wanted.
func TestLastLines(t *testing.T) {
	out := func(text string) test2json.Event {
		return test2json.Event{Action: test2json.ActionOutput, Output: text}
	}
	var lines []test2json.Event
	for _, text := range []string{"1\n", "=== RUN   TestX/a\n", "2\n", "3\n", "4\n", "5\n", "6\n", "half"} {
		lines = append(lines, out(text))
	}
	if got := lastLines("0\n", lines); got != "3\n4\n5\n6\nhalf" {
		t.Errorf("the last lines are %q", got)
	}
	if got := lastLines("", []test2json.Event{out("1\n"), out("2\n")}); got != "1\n2\n" {
		t.Errorf("the last lines are %q", got)
	}
	if got := lastLines("", []test2json.Event{out(strings.Repeat("x", 3*runningBytes))}); len(got) != runningBytes {
		t.Errorf("%d bytes are shown", len(got))
	}
	var recent []byte
	for range 100 {
		recent = appendRecent(recent, []test2json.Event{out(strings.Repeat("x", runningBytes/3) + "\n"), out("=== NAME  TestX\n"), out("end\n")})
	}
	recent = appendRecent(recent, []test2json.Event{out(strings.Repeat("y", 1<<20) + "x\nend\n")})
	if got := lastLines(string(recent), nil); cap(recent) > 8*runningBytes || len(recent) > 3*runningBytes || !strings.HasSuffix(got, "x\nend\n") || strings.Contains(got, "===") {
		t.Errorf("%d bytes are kept: %q", len(recent), got)
	}
}

// SIGQUIT is what it is to go test: tests that run show their goroutines and fail, and the run is
// over.
func TestQuit(t *testing.T) {
	w := newWorld(t, 2, map[string][]string{"a": {"TestPass_0", "TestHang_0", "TestPass_1"}, "b": {"TestHang_1"}, "c": names("Pass")})
	w.cfg.Dist = DistLoadScope
	requests := make(chan Request, 1)
	w.cfg.Requests = requests
	running := 0
	s, r, err := w.runWith(t.Context(), func(e event.Event) {
		if begins(e, "TestHang_0") || begins(e, "TestHang_1") {
			if running++; running == 2 {
				requests <- Quit{}
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	w.check(s, r)
	want := map[event.Verdict]int{event.Pass: 1, event.Crash: 2, event.NotRun: 2}
	if diff := cmp.Diff(want, s.Counts); diff != "" || !s.Interrupted || s.Failed != 2 {
		t.Errorf("interrupted %t, %d packages failed, verdicts (-want +got):\n%s", s.Interrupted, s.Failed, diff)
	}
	for _, test := range []string{"TestHang_0", "TestHang_1"} {
		if text := r.output(test); !strings.Contains(text, "goroutine 1 [select]") || !strings.Contains(text, "exit status 2") {
			t.Errorf("%s says %q", test, text)
		}
	}
}

// The parts of a test are shown as they run, and show their goroutines when the run is quit.
func TestQuitInParts(t *testing.T) {
	w := newWorld(t, 2, map[string][]string{"a": {"TestTreeHang_0", "TestPass_0"}})
	w.teach()
	requests := make(chan Request, 2)
	w.cfg.Requests = requests
	begun, shown := map[string]bool{}, 0 // by gateway
	s, r, err := w.runWith(t.Context(), func(e event.Event) {
		if e, ok := e.(event.Progress); ok && strings.HasPrefix(e.Test, "TestTreeHang_0/") && !begun[e.Gateway] {
			if begun[e.Gateway] = true; len(begun) == 2 {
				requests <- ShowRunning{}
				requests <- Quit{}
			}
		}
		if e, ok := e.(event.Running); ok {
			for _, g := range e.Gateways {
				for _, test := range g.Tests {
					if strings.HasPrefix(test.Test, "TestTreeHang_0/") {
						shown++
					}
				}
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if shown == 0 {
		t.Error("no subtest that runs was shown")
	}
	w.check(s, r)
	if s.Counts[event.Crash] != 1 || !s.Interrupted {
		t.Errorf("interrupted %t, verdicts %v", s.Interrupted, s.Counts)
	}
	if text := r.output("TestTreeHang_0") + r.output(""); strings.Count(text, "goroutine 1 [select]") != 2 {
		t.Errorf("two processes of it say %q", text)
	}
}

// output is what a test has printed.
func (r *record) output(test string) string {
	var b strings.Builder
	for _, e := range r.events {
		if e, ok := e.(event.Test); ok && e.Test == test {
			b.WriteString(e.Output)
		}
	}
	return b.String()
}

// standStill has a run stand still when a test has begun, for a virtual time.
func (w *world) standStill(test string, d time.Duration, then func()) func(event.Event) {
	requests := make(chan Request, 1)
	w.cfg.Requests = requests
	stood := false
	return func(e event.Event) {
		if stood || !begins(e, test) {
			return
		}
		stood = true
		standc, goOnc := make(chan struct{}), make(chan struct{})
		requests <- Suspend{standc, goOnc}
		go func() {
			<-standc
			time.Sleep(d)
			close(goOnc)
			then()
		}()
	}
}

// A run that stands still, as after Ctrl-Z, blames nobody for that: what failed then runs again,
// also where a failure counts at once, and no time counts.
func TestSuspend(t *testing.T) {
	for _, dist := range []Dist{DistNo, DistLoad, DistEach} {
		t.Run(string(dist), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 1, map[string][]string{"a": {"TestPass_0", "TestFlaky_0", "TestPass_1"}})
				w.cfg.Dist, w.cfg.Slow, w.limit = dist, time.Minute, 24*time.Hour
				hold := make(chan struct{})
				w.holds["TestFlaky_0"] = hold
				s, r, err := w.runWith(t.Context(), w.standStill("TestFlaky_0", time.Hour, func() { close(hold) }))
				if err != nil {
					t.Fatal(err)
				}
				if dist != DistEach { // whose packages have other names
					w.check(s, r)
				}
				if s.Counts[event.Pass] != 3 || s.Failed != 0 {
					t.Errorf("%d packages failed, verdicts %v", s.Failed, s.Counts)
				}
				var order []string
				for _, e := range r.events {
					switch e := e.(type) {
					case event.Suspended:
						order = append(order, "suspended")
					case event.Resumed:
						order = append(order, "resumed "+e.Stood.String())
					case event.SlowTest:
						order = append(order, "slow")
					case event.RunEnded:
						if e.Elapsed > time.Minute {
							t.Errorf("the run took %v", e.Elapsed)
						}
					}
				}
				if diff := cmp.Diff([]string{"suspended", "resumed 1h0m0s"}, order); diff != "" {
					t.Errorf("events (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// A test that fails without having run while the run stood still has failed.
func TestSuspendExcusesNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, map[string][]string{"a": {"TestPass_0", "TestFlaky_0"}})
		w.cfg.Dist, w.limit = DistNo, 24*time.Hour
		hold := make(chan struct{})
		w.holds["TestPass_0"] = hold
		s, r, err := w.runWith(t.Context(), w.standStill("TestPass_0", time.Hour, func() { close(hold) }))
		if err != nil {
			t.Fatal(err)
		}
		w.check(s, r)
		if s.Counts[event.Fail] != 1 || s.Failed != 1 {
			t.Errorf("%d packages failed, verdicts %v", s.Failed, s.Counts)
		}
	})
}

// The clock of -timeout is the binary's own and goes on while the process stands still: who is out
// of time then runs again. It is the controller that knows whether it stood still.
func TestTimeoutAfterSuspend(t *testing.T) {
	for _, stands := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 1, map[string][]string{"a": {"TestPass_0", "TestLate_0", "TestPass_1"}})
			w.cfg.Dist, w.quick, w.limit = DistNo, true, 24*time.Hour
			look := func(event.Event) {}
			if stands {
				hold := make(chan struct{})
				w.holds["TestLate_0"] = hold
				look = w.standStill("TestLate_0", time.Hour, func() { close(hold) })
			}
			s, r, err := w.runWith(t.Context(), look)
			if err != nil {
				t.Fatal(err)
			}
			w.check(s, r)
			if crashed := s.Counts[event.Crash]; (crashed == 0) != stands || (s.Failed == 0) != stands || s.Counts[event.Pass] != 3-crashed {
				t.Errorf("stands still %t: %d packages failed, verdicts %v", stands, s.Failed, s.Counts)
			}
		})
	}
}
