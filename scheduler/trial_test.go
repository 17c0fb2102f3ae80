package scheduler

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/history"
	"github.com/xdist-go/xdist/scheduler/event"
	"github.com/xdist-go/xdist/xspec"
)

// mixed is every kind in turn, n of each.
func mixed(n int, kinds ...string) []string {
	return names(slices.Repeat(kinds, n)...)
}

// A test that fails beside another process of its package runs again without, and that is its
// verdict.
func TestFailuresBesideAnotherProcess(t *testing.T) {
	for _, live := range []bool{false, true} {
		w := newWorld(t, 4, map[string][]string{"a": mixed(50, "Pass", "Shy", "Skip", "ShyExit")})
		w.meet = newMeeting(true)
		w.cfg.Live = live
		s, r, err := w.run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		w.check(s, r)
		w.wantCounts(s, map[event.Verdict]int{event.Pass: 150, event.Skip: 50})
		if s.Failed != 0 {
			t.Errorf("%d packages failed", s.Failed)
		}
		if w.shied == 0 {
			t.Fatal("no test met another process: nothing was tested")
		}
		if !hasWarning(r, "passed when run again") {
			t.Error("there is no warning")
		}
	}
}

// Failures that have nothing to do with splitting stay what they are, and are shown once.
func TestFailuresOfTheirOwn(t *testing.T) {
	w := newWorld(t, 4, map[string][]string{"a": mixed(50, "Pass", "Fail", "Exit")})
	s, r, err := w.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.check(s, r)
	w.wantCounts(s, map[event.Verdict]int{event.Pass: 50, event.Fail: 50, event.Crash: 50})
	if s.Failed != 1 || hasWarning(r, "passed when run again") {
		t.Errorf("%d packages failed, or a test was acquitted", s.Failed)
	}
	for id, n := range w.runs {
		if strings.Contains(id, "Fail") && n > 2 {
			t.Errorf("%s ran %d times", id, n)
		}
	}
}

// A subtest that was shown live as the failure of its test was put aside is not heard of again.
func TestFailureShownLive(t *testing.T) {
	w := newWorld(t, 4, map[string][]string{"a": mixed(50, "Tree", "LongFail")})
	w.cfg.Live = true
	s, r, err := w.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.check(s, r)
	w.wantCounts(s, map[event.Verdict]int{event.Pass: 50, event.Fail: 50})
	shown, said := map[string]int{}, map[string]int{}
	again := false
	for _, e := range r.events {
		if ev, ok := e.(event.Test); ok && ev.Test != "" && ev.Action != "output" {
			shown[ev.Test+" "+ev.Action]++
		} else if ok && ev.Output == "--- Fail\n" {
			said[ev.Test]++
		}
	}
	for what, n := range shown {
		if n != 1 {
			t.Errorf("%s was shown %d times", what, n)
		}
	}
	for id, n := range w.runs {
		again = again || n > 2
		if test := strings.TrimPrefix(id, "a::"); said[test] > 2 {
			t.Errorf("%s ran %d times and said %d times that it failed", test, n, said[test])
		}
	}
	if !again {
		t.Fatal("no test ran again: nothing was tested")
	}
}

// A data race that was seen once is one, whatever the next attempt shows.
func TestRacesAreNotDoubted(t *testing.T) {
	w := newWorld(t, 4, map[string][]string{"a": mixed(20, "Pass", "Racy", "RacyMap")})
	w.meet = newMeeting(false)
	s, r, err := w.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.check(s, r)
	w.wantCounts(s, map[event.Verdict]int{event.Pass: 20, event.Fail: 20, event.Crash: 20})
	if s.Failed != 1 || hasWarning(r, "passed when run again") {
		t.Errorf("%d packages failed, or a race was acquitted", s.Failed)
	}
}

// What -count repeats is shown again in full: of two rounds nobody could say which one has been
// shown.
func TestRemnantOfRounds(t *testing.T) {
	sub := []showing{{"TestA", "run"}, {"TestA/s", "run"}, {"TestA/s", "pass"}}
	for _, tt := range []struct {
		name string
		it   itemRun
		kept bool
	}{
		{"nothing shown", itemRun{rounds: 1}, false},
		{"cut off", itemRun{transcript: transcript{shown: sub}, phase: phaseRunning}, true},
		{"failed", itemRun{transcript: transcript{shown: sub}, rounds: 1}, true},
		{"failed in the first round, cut off in the second", itemRun{transcript: transcript{shown: sub}, rounds: 1, phase: phaseRunning}, false},
		{"failed in both", itemRun{transcript: transcript{shown: sub}, rounds: 2}, false},
		{"passed in the first", itemRun{transcript: transcript{shown: append(sub, showing{"TestA", "pass"})}, rounds: 1}, false},
	} {
		p := new(pkg)
		newController(Config{}).keepRemnant(p, "TestA", &tt.it)
		if got := p.remnants["TestA"].ended["TestA/s"]; got != tt.kept {
			t.Errorf("%s: kept %v, want %v", tt.name, got, tt.kept)
		}
	}
}

// What needs the tests before it passes in the context of its package, in which go test runs it.
func TestFailuresWithoutContext(t *testing.T) {
	w := newWorld(t, 4, map[string][]string{"a": mixed(50, "Pass", "After")})
	s, r, err := w.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.check(s, r)
	if w.shied == 0 {
		t.Fatal("no test ran in a part of the package: nothing was tested")
	}
	if s.Counts[event.Fail] == 0 && s.Failed != 0 || s.Counts[event.Pass]+s.Counts[event.Fail] != 100 {
		t.Errorf("verdicts %v, %d packages failed", s.Counts, s.Failed)
	}
}

// What fails for the company of the tests of its own process does so again in the same company,
// which counts: passing alone would be a lie.
func TestFailuresInCompany(t *testing.T) {
	w := newWorld(t, 4, map[string][]string{"a": append(mixed(20, "Tree"), "TestSpoiler_20", "TestSpoiled_21")})
	group := &gotest.Directives{Group: "g"}
	w.directives = map[string]*gotest.Directives{"TestSpoiler_20": group, "TestSpoiled_21": group}
	w.meet = newMeeting(false)
	s, r, err := w.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.check(s, r)
	w.wantCounts(s, map[event.Verdict]int{event.Pass: 21, event.Fail: 1})
	if n := w.runs["a::TestSpoiled_21"]; n < 2 {
		t.Errorf("the test that failed ran %d times: nothing was tested", n)
	}
}

// What has failed in a package that takes long runs again with those that had begun before it,
// while the others of the package run. That one of those fails now says nothing about it, nor about
// the package.
func TestRetriesBesideTheOthers(t *testing.T) {
	tests := []string{"TestTree_0", "TestTree_1", "TestFickle_2", "TestFlaky_3", "TestPass_4", "TestPass_5"}
	w := newWorld(t, 2, map[string][]string{"a": tests})
	w.directives = inTwoGroups(tests)
	w.meet = newMeeting(false)
	done := make(chan struct{})
	w.holds["TestPass_5"] = done // runs until the other has passed
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s, r, err := w.runWith(ctx, func(e event.Event) {
		if e, ok := e.(event.Test); ok && e.Test == "TestFlaky_3" && e.Action == "pass" {
			close(done)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if s.Interrupted {
		t.Error("the second attempt waited for the other process of its package")
		close(done)
	}
	w.check(s, r)
	w.wantCounts(s, map[event.Verdict]int{event.Pass: 6})
	if s.Failed != 0 {
		t.Errorf("%d packages failed", s.Failed)
	}
	for test, want := range map[string]int{"TestFickle_2": 2, "TestFlaky_3": 2, "TestPass_4": 1} {
		if n := w.starts("a::" + test); n != want {
			t.Errorf("%s ran %d times, want %d", test, n, want)
		}
	}
}

// An attempt that says nothing, because its company ended its process, or its agent was lost, is
// made again in that company: passing alone would be a lie.
func TestRetriesThatAreCutOff(t *testing.T) {
	for _, tests := range [][]string{
		{"TestTree_0", "TestTree_1", "TestSpoiler_2", "TestSecondExit_3", "TestSpoiled_4", "TestPass_5"},
		{"TestTree_0", "TestTree_1", "TestSpoiler_2", "TestForlorn_3", "TestPass_4"},
	} {
		victim := tests[len(tests)-2]
		w := newWorld(t, 2, map[string][]string{"a": tests})
		w.directives = inTwoGroups(tests)
		w.meet = newMeeting(false)
		last := make(chan struct{})
		w.holds[tests[len(tests)-1]] = last // is there until the first attempt after the failure has ended
		end := sync.OnceFunc(func() { close(last) })
		s, r, err := w.runWith(t.Context(), func(e event.Event) {
			if _, ok := e.(event.UnitEnded); ok && w.ended("a::TestSpoiler_2") >= 2 {
				end()
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		w.check(s, r)
		w.wantCounts(s, map[event.Verdict]int{event.Pass: len(tests) - 1, event.Fail: 1})
		if n := w.starts("a::" + victim); n < 2 || s.Failed != 1 {
			t.Errorf("%s ran %d times, %d packages failed", victim, n, s.Failed)
		}
	}
}

// An agent that is lost right after a test has ended says nothing against it.
func TestAgentLostAfterTheEnd(t *testing.T) {
	for _, prove := range []bool{false, true} {
		w := newWorld(t, 2, map[string][]string{"a": {"TestWreck_0", "TestPass_1"}})
		w.prove = prove
		s, r, err := w.run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		w.check(s, r)
		w.wantCounts(s, map[event.Verdict]int{event.Pass: 2})
	}
}

// What hangs beside the others hangs there again: each such attempt has its limit, also among other
// tests.
func TestPatienceOfRetries(t *testing.T) {
	tests := []string{"TestTree_0", "TestTree_1", "TestStuck_2", "TestPass_3"}
	w := newWorld(t, 2, map[string][]string{"a": tests})
	w.cfg.History = new(history.Book)
	w.cfg.History.Learn(history.Run{ID: "before", Time: time.Now(), Tests: []history.TestRun{
		{Platform: "linux/amd64", Package: "a", Test: "TestStuck_2", Elapsed: time.Millisecond, Verdict: history.Pass}}})
	w.directives = inTwoGroups(tests)
	w.meet = newMeeting(false)
	last := make(chan struct{})
	w.holds["TestPass_3"] = last
	end := sync.OnceFunc(func() { close(last) })
	s, r, err := w.runWith(t.Context(), func(e event.Event) {
		if _, ok := e.(event.UnitEnded); ok && w.ended("a::TestStuck_2") >= 2 {
			end()
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	w.check(s, r)
	w.wantCounts(s, map[event.Verdict]int{event.Pass: 4})
	if n := w.starts("a::TestStuck_2"); n < 3 {
		t.Errorf("it ran %d times: nothing was tested, or it had no limit beside the others", n)
	}
}

// inTwoGroups has all tests but the last run in one process.
func inTwoGroups(tests []string) map[string]*gotest.Directives {
	groups := map[string]*gotest.Directives{tests[len(tests)-1]: {Group: "h"}}
	for _, test := range tests[:len(tests)-1] {
		groups[test] = &gotest.Directives{Group: "g"}
	}
	return groups
}

// What package attempt allows beside the others of a package.
const (
	besideTries = 2
	besideTime  = 10 * time.Second
)

// Attempts beside the others come to an end: what fails in them, too, runs with nothing of its
// package beside it.
func TestRetriesEnd(t *testing.T) {
	for _, tt := range []struct {
		name     string
		test     string
		spent    time.Duration // by its process, until it fails
		attempts int
		want     map[event.Verdict]int
	}{
		{"short", "TestFail_2", 0, 1 + besideTries + 1, map[event.Verdict]int{event.Pass: 3, event.Fail: 1}},
		{"so long that it waits for the others", "TestFail_2", besideTime * 3 / 4, 1 + 1, map[event.Verdict]int{event.Pass: 3, event.Fail: 1}},
		{"long", "TestFail_2", besideTime * 2, 1 + 1, map[event.Verdict]int{event.Pass: 3, event.Fail: 1}},
		{"more than is held back", "TestLoudFail_2", 0, 1 + besideTries + 1, map[event.Verdict]int{event.Pass: 3, event.Fail: 1}},
		{"more than is held back, and passes", "TestLoudFlaky_2", 0, 1 + 1, map[event.Verdict]int{event.Pass: 4}},
		{"long, and passes", "TestFlaky_2", besideTime * 2, 1 + 2, map[event.Verdict]int{event.Pass: 4}},
		{"long, and passes without those before it", "TestSpoiled_2", besideTime * 2, 1 + 2, map[event.Verdict]int{event.Pass: 3, event.Fail: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tests := []string{"TestTree_0", "TestTree_1", tt.test, "TestPass_3"}
			if tt.test == "TestSpoiled_2" {
				tests[1] = "TestSpoiler_1"
			}
			w := newWorld(t, 2, map[string][]string{"a": tests})
			w.directives = inTwoGroups(tests)
			w.meet = newMeeting(false)
			last := make(chan struct{})
			w.holds["TestPass_3"] = last // is there until all that may be beside it has been tried
			var c *controller
			w.adjust = func(made *controller) { c = made }
			end := sync.OnceFunc(func() { close(last) })
			early := "" // why an attempt was made apart before it was time, which depends on how fast this machine is
			s, r, err := w.runWith(t.Context(), func(e event.Event) {
				switch e := e.(type) {
				case event.Suspected:
					if n := w.ended("a::" + tt.test); n <= min(besideTries, tt.attempts-1) && tt.spent == 0 && !strings.Contains(e.Why, "tried again there") {
						early = e.Why
						end()
					}
				case event.Progress:
					if e.Test == tt.test && e.Action == "run" {
						for _, n := range c.nodes {
							if n.id == e.Gateway {
								n.job.started = n.job.started.Add(-tt.spent)
							}
						}
					}
				case event.UnitEnded:
					if n := w.ended("a::" + tt.test); n >= tt.attempts-1 || n >= 1 && tt.spent > 0 {
						end()
					}
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			w.check(s, r)
			w.wantCounts(s, tt.want)
			if n := w.starts("a::" + tt.test); early != "" {
				t.Logf("not compared: this machine is so slow that %s", early)
			} else if n != tt.attempts {
				t.Errorf("it ran %d times, want %d", n, tt.attempts)
			}
		})
	}
}

// What fails on a host with more processes than processors runs once more with nothing beside it,
// when all else has ended.
func TestFailuresInACrowd(t *testing.T) {
	for _, tt := range []struct {
		name     string
		packages map[string][]string
		test     string
		failures int // in the crowd, which then ends; one more where a unit of its package is still in flight
	}{
		{"a package that is split", map[string][]string{"a": append(mixed(60, "Tree"), "TestCrowded_60"), "b": names("Pass")}, "TestCrowded_60", 2},
		{"a package that runs whole", map[string][]string{"a": names("Crowded"), "b": names("Pass")}, "TestCrowded_0", 1},
		{"beside a failure of its own", map[string][]string{"a": names("Crowded", "Fail"), "b": names("Pass")}, "TestCrowded_0", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, 3, tt.packages)
			w.info = func(xspec.Spec) gateway.Info {
				return gateway.Info{Hostname: "here", GOOS: "linux", GOARCH: "amd64", CPUs: 1}
			}
			begun, failed := make(chan struct{}), make(chan struct{}) // the other process, and the test for the last time in a crowd
			w.holds[tt.test], w.holds["TestPass_0"] = begun, failed
			end := sync.OnceFunc(func() { close(failed) })
			s, r, err := w.runWith(t.Context(), func(e event.Event) {
				switch e := e.(type) {
				case event.Progress:
					if e.Package == "b" && e.Action == "run" {
						close(begun)
					}
				case event.UnitEnded:
					if e.Package != "a" {
						return
					}
					if w.ended("a::"+tt.test) >= tt.failures {
						end()
					}
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			w.check(s, r)
			items := len(tt.packages["a"]) + 1
			want := map[event.Verdict]int{event.Pass: items}
			if len(tt.packages["a"]) == 2 {
				want = map[event.Verdict]int{event.Pass: items - 1, event.Fail: 1}
			}
			w.wantCounts(s, want)
			if w.shied != tt.failures && w.shied != tt.failures+1 || !hasWarning(r, "passed when run again") {
				t.Errorf("%d failures in a crowd, want %d, or no warning of them", w.shied, tt.failures)
			}
		})
	}
}

// With -x a failure in doubt is settled at once, and the rest is not waited for.
func TestDoubtUnderMaxFail(t *testing.T) {
	w := newWorld(t, 4, map[string][]string{"a": append(many("Fail", 10), many("Pass", 20000)[10:]...)})
	w.cfg.MaxFail = 1
	s, r, err := w.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.check(s, r)
	if s.Counts[event.Fail] == 0 || s.Counts[event.NotRun] == 0 || s.Stopped == "" {
		t.Errorf("verdicts %v, stopped %q", s.Counts, s.Stopped)
	}
}

// A run that ends early counts and shows what was in doubt.
func TestDoubtWhenTheRunStops(t *testing.T) {
	w := newWorld(t, 2, map[string][]string{"a": append([]string{"TestHang_0"}, many("Fail", 60)[1:]...)})
	ctx, cancel := context.WithCancel(t.Context())
	s, r, err := w.runWith(ctx, func(e event.Event) {
		if _, ok := e.(event.UnitEnded); ok {
			cancel()
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	w.check(s, r)
	if !s.Interrupted || s.Counts[event.Fail] == 0 || s.Failed != 1 {
		t.Errorf("interrupted %t, counts %v, %d packages failed", s.Interrupted, s.Counts, s.Failed)
	}
}

// A test that takes far longer than it is known to is ended in its first attempt only, and in no
// way to blame.
func TestPatience(t *testing.T) {
	for gateways, kinds := range map[int][]string{1: {"Stuck", "Pass", "Stuck", "Tree"}, 4: slices.Repeat([]string{"Stuck", "Pass"}, 20)} {
		w := newWorld(t, gateways, map[string][]string{"a": names(kinds...)})
		w.teach()
		s, r, err := w.run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		w.check(s, r)
		w.wantCounts(s, map[event.Verdict]int{event.Pass: len(kinds)})
		if s.Failed != 0 {
			t.Errorf("%d packages failed", s.Failed)
		}
		if gateways == 4 && !hasWarning(r, "passed when run again") {
			t.Error("there is no warning: nothing was tested")
		}
	}
}

// A limit of the user's is one, and a shorter one than ours.
func TestPatienceOfTheUser(t *testing.T) {
	w := newWorld(t, 4, map[string][]string{"a": names(slices.Repeat([]string{"Stuck", "Pass"}, 20)...)})
	w.teach()
	w.cfg.TestTimeout = 5 * time.Second
	_, _, err := w.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(w.timeouts) != 0 {
		t.Errorf("limits of tests beside that of the user: %v", w.timeouts)
	}
}

// A test that takes all of -timeout beside another process of its package, and of which nothing is
// known, hangs for that reason or by itself: it runs again without, for a part of that time, and
// what is shown of a hang is what go test would show.
func TestHangsBesideAnotherProcess(t *testing.T) {
	for kind, want := range map[string]event.Verdict{"ShyWedge": event.Pass, "Wedge": event.Crash} {
		t.Run(kind, func(t *testing.T) {
			tests := append(mixed(60, "Tree", "Shy"), "Test"+kind+"_120")
			w := newWorld(t, 4, map[string][]string{"a": tests})
			w.meet = newMeeting(true)
			s, r, err := w.run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if w.shied == 0 {
				t.Fatal("no test met another process: nothing was tested")
			}
			w.check(s, r)
			counts := map[event.Verdict]int{event.Pass: len(tests)}
			if want != event.Pass {
				counts = map[event.Verdict]int{event.Pass: len(tests) - 1, want: 1}
			}
			w.wantCounts(s, counts)
			var text strings.Builder
			for _, e := range r.events {
				if e, ok := e.(event.Test); ok && e.Test == tests[len(tests)-1] {
					text.WriteString(e.Output)
				}
			}
			if told := strings.Contains(text.String(), "test timed out after 10m0s"); told != (want == event.Crash) {
				t.Errorf("of the hang it says %q", text.String())
			}
			if limit := w.timeouts[tests[len(tests)-1]]; limit != time.Minute {
				t.Errorf("it had %v the next time, want a minute", limit)
			}
		})
	}
}
