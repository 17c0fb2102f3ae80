package scheduler

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/scheduler/event"
	"github.com/xdist-go/xdist/scheduler/policy"
)

// attempts are the terminal events of a test, with the number of the attempt and whether it counts.
func attempts(r *record, test string) []string {
	var got []string
	for _, e := range r.events {
		if e, ok := e.(event.Test); ok && e.Test == test && (e.Terminal() || e.Action == test2json.ActionRun) {
			text := e.Action
			if e.Again {
				text += " again"
			}
			got = append(got, text)
		}
	}
	return got
}

// lines is what was said of a package beyond its tests.
func lines(r *record, path string) string {
	var b strings.Builder
	for _, e := range r.events {
		if e, ok := e.(event.Test); ok && e.Package == path && e.Test == "" {
			b.WriteString(e.Output)
		}
	}
	return b.String()
}

// A test that fails and then passes is flaky; both attempts are shown, and the package passes.
func TestRerunsOfAFlakyTest(t *testing.T) {
	for _, tt := range []struct {
		name  string
		nodes int
		tests []string
		dist  Dist
		live  bool
	}{
		{"whole package", 1, []string{"TestPass_0", "TestFlaky_1"}, DistLoad, false},
		{"one test", 1, []string{"TestFlaky_1"}, DistLoad, false},
		{"live", 1, []string{"TestPass_0", "TestFlaky_1"}, DistLoad, true},
		{"loadscope", 3, []string{"TestPass_0", "TestFlaky_1"}, DistLoadScope, false},
		{"no", 1, []string{"TestPass_0", "TestFlaky_1"}, DistNo, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, tt.nodes, map[string][]string{"a": tt.tests})
			w.cfg.Dist, w.cfg.Live, w.cfg.Reruns = tt.dist, tt.live, Reruns{Max: 2, Delay: time.Hour}
			s, r, err := w.run(t.Context())
			if err != nil || s.Unbalanced != "" {
				t.Fatal(err, s.Unbalanced)
			}
			if s.Counts[event.Flaky] != 1 || s.Counts[event.Pass] != len(tt.tests)-1 || s.Failed != 0 || s.Stopped != "" {
				t.Errorf("verdicts %v, %d packages failed", s.Counts, s.Failed)
			}
			if diff := cmp.Diff([]string{"run", "fail again", "run", "pass"}, attempts(r, "TestFlaky_1")); diff != "" {
				t.Errorf("attempts (-want +got):\n%s", diff)
			}
			if text := lines(r, "a"); strings.Count(text, "PASS\n") != 1 || strings.Contains(text, "FAIL") {
				t.Errorf("the package says %q", text)
			}
			if d := w.pauses["TestFlaky_1"]; d < 59*time.Minute || d > time.Hour {
				t.Errorf("the second attempt was told to wait %v", d)
			}
			for _, it := range s.Durations {
				if it.Verdict == event.Flaky && it.Failures != 1 {
					t.Errorf("%+v", it)
				}
			}
		})
	}
}

// What fails each time fails, after as many attempts as were asked for, and what is not to run
// again does not.
func TestRerunsOfFailures(t *testing.T) {
	for _, tt := range []struct {
		name    string
		reruns  Reruns
		want    map[event.Verdict]int
		attempt map[string]int
		failed  int
	}{
		{"none", Reruns{}, map[event.Verdict]int{event.Pass: 2, event.Fail: 2, event.Crash: 1}, map[string]int{"TestFail_1": 1, "TestFlaky_2": 1}, 1},
		{"all", Reruns{Max: 2}, map[event.Verdict]int{event.Pass: 2, event.Fail: 1, event.Flaky: 1, event.Crash: 1}, map[string]int{"TestFail_1": 3, "TestFlaky_2": 2, "TestFlakyExit_3": 1}, 1},
		{"tests", Reruns{Max: 2, Tests: regexp.MustCompile(`^a::TestFlaky`)}, map[event.Verdict]int{event.Pass: 2, event.Fail: 1, event.Flaky: 1, event.Crash: 1}, map[string]int{"TestFail_1": 1, "TestFlaky_2": 2}, 1},
		{"errors", Reruns{Max: 2, Errors: regexp.MustCompile(`no such line`)}, map[event.Verdict]int{event.Pass: 2, event.Fail: 2, event.Crash: 1}, map[string]int{"TestFail_1": 1, "TestFlaky_2": 1}, 1},
		{"matching errors", Reruns{Max: 1, Errors: regexp.MustCompile(`^--- Fail`)}, map[event.Verdict]int{event.Pass: 2, event.Fail: 1, event.Flaky: 1, event.Crash: 1}, map[string]int{"TestFail_1": 2, "TestFlaky_2": 2}, 1},
		{"crashes", Reruns{Max: 1, Crashes: true}, map[event.Verdict]int{event.Pass: 2, event.Fail: 1, event.Flaky: 2}, map[string]int{"TestFlakyExit_3": 2}, 1},
		{"crashes by their errors", Reruns{Max: 1, Crashes: true, Errors: regexp.MustCompile(`exit status 3`)}, map[event.Verdict]int{event.Pass: 2, event.Fail: 2, event.Flaky: 1}, map[string]int{"TestFlakyExit_3": 2}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, 1, map[string][]string{"a": names("Pass", "Fail", "Flaky", "FlakyExit", "FlakyKill")})
			w.cfg.Dist, w.cfg.Reruns = DistLoadScope, tt.reruns
			s, r, err := w.run(t.Context())
			if err != nil || s.Unbalanced != "" {
				t.Fatal(err, s.Unbalanced)
			}
			w.wantCounts(s, tt.want)
			if s.Failed != tt.failed {
				t.Errorf("%d packages failed", s.Failed)
			}
			for test, want := range tt.attempt {
				if got := attempts(r, test); len(got) != 2*want || strings.Contains(got[len(got)-1], "again") {
					t.Errorf("%s: %q, want %d attempts and the last to count", test, got, want)
				}
				if got := w.runs["a::"+test]; got != want {
					t.Errorf("%s ran %d times, want %d", test, got, want)
				}
			}
		})
	}
}

// Only flaky tests: the package passes whatever its first processes said, crashes and lost agents
// included.
func TestRerunsAcquitThePackage(t *testing.T) {
	for _, nodes := range []int{1, 4} {
		w := newWorld(t, nodes, map[string][]string{"a": mixed(20, "Pass", "Flaky", "FlakyExit", "Skip"), "b": names("FlakyKill", "Pass"), "c": names("FlakySignal")})
		w.cfg.Reruns = Reruns{Max: 1, Crashes: true}
		s, r, err := w.run(t.Context())
		if err != nil || s.Unbalanced != "" {
			t.Fatal(err, s.Unbalanced)
		}
		if s.Failed != 0 || s.Counts[event.Fail]+s.Counts[event.Crash]+s.Counts[event.NotRun] != 0 || s.Counts[event.Pass]+s.Counts[event.Flaky] != 63 {
			t.Errorf("%d nodes: verdicts %v, %d packages failed", nodes, s.Counts, s.Failed)
		}
		if text := lines(r, "a"); strings.Contains(text, "FAIL") {
			t.Errorf("the package says %q", text)
		}
	}
}

// Attempts that are to come when the run ends early do not come, and what has failed counts as
// failed.
func TestRerunsWhenTheRunStops(t *testing.T) {
	w := newWorld(t, 2, map[string][]string{"a": {"TestFlaky_0", "TestPass_1"}, "b": {"TestFail_0"}, "c": {"TestHang_0"}})
	w.cfg.Reruns, w.cfg.MaxFail = Reruns{Max: 1, Tests: regexp.MustCompile("^a::")}, 1
	w.cfg.Dist = DistLoadScope
	w.holds["TestFail_0"] = make(chan struct{})
	w.holds["TestPass_1"] = make(chan struct{})
	s, r, err := w.runWith(t.Context(), func(e event.Event) {
		if e, ok := e.(event.Progress); ok && e.Test == "TestPass_1" && e.Action == "run" {
			close(w.holds["TestFail_0"])
		}
		if e, ok := e.(event.Test); ok && e.Test == "TestFail_0" && e.Action == "fail" {
			close(w.holds["TestPass_1"])
		}
	})
	if err != nil || s.Unbalanced != "" {
		t.Fatal(err, s.Unbalanced)
	}
	if s.Stopped == "" || s.Counts[event.Fail] != 2 || s.Counts[event.Flaky] != 0 {
		t.Errorf("verdicts %v, stopped %q", s.Counts, s.Stopped)
	}
	for _, it := range s.Durations {
		if it.Failures != 0 {
			t.Errorf("%+v: the failure that counts is no earlier one", it)
		}
	}
	if got := attempts(r, "TestFlaky_0"); len(got) != 2 {
		t.Errorf("attempts %q", got)
	}
}

// A test that is out of time is a crash that says so, once its attempts are used up; its neighbours
// run.
func TestTestTimeouts(t *testing.T) {
	for _, reruns := range []int{0, 1} {
		w := newWorld(t, 2, map[string][]string{"a": names("Pass", "Late", "FlakyLate", "Pass"), "b": many("Pass", 50)})
		w.cfg.TestTimeout, w.cfg.Reruns = 5*time.Second, Reruns{Max: reruns}
		s, r, err := w.run(t.Context())
		if err != nil || s.Unbalanced != "" {
			t.Fatal(err, s.Unbalanced)
		}
		w.wantCounts(s, []map[event.Verdict]int{{event.Pass: 52, event.Crash: 2}, {event.Pass: 52, event.Crash: 1, event.Flaky: 1}}[reruns])
		if got := len(attempts(r, "TestLate_1")); got != 2*(reruns+1) {
			t.Errorf("%d reruns: %d attempts", reruns, got/2)
		}
		text := ""
		for _, e := range r.events {
			if e, ok := e.(event.Test); ok && e.Test == "TestLate_1" {
				text += e.Output
			}
		}
		if want := "xdist: TestLate_1 timed out after 5s (--test-timeout)\n"; strings.Count(text, want) != reruns+1 {
			t.Errorf("%d reruns: the test says %q", reruns, text)
		}
	}
}

// The coverage of a process counts when one item of it has a verdict there; tests that it runs for
// company are counted elsewhere.
func TestAsideOnly(t *testing.T) {
	ended, again, doubted := &itemRun{rounds: 1}, &itemRun{rounds: 1, fate: fateAgain}, &itemRun{rounds: 1, fate: fateAside}
	for i, tt := range []struct {
		items []*itemRun
		want  bool
	}{
		{[]*itemRun{again, doubted}, true},
		{[]*itemRun{doubted}, true},
		{[]*itemRun{doubted, ended}, false},
		{[]*itemRun{doubted, nil}, false},
		{nil, false},
	} {
		j := &job{pkg: &pkg{contents: contents{names: []string{"TestA", "TestB"}}}, heard: heard{items: map[string]*itemRun{"TestCompany": ended}}}
		for k, it := range tt.items {
			j.unit.Items = append(j.unit.Items, k)
			if it != nil {
				j.items[j.pkg.names[k]] = it
			}
		}
		if got := j.asideOnly(); got != tt.want {
			t.Errorf("%d: %v, want %v", i, got, tt.want)
		}
	}
}

// A process whose test passed on trial counts for the coverage, but where the pass needs another
// attempt because subtests were skipped.
func TestLackingPassIsAside(t *testing.T) {
	for _, lacks := range []bool{false, true} {
		tried := &trial{said: said{verdict: event.Pass, lacks: lacks}}
		p := new(pkg)
		p.names = []string{"TestA"}
		p.trials = map[int]*trial{0: tried}
		j := &job{pkg: p, unit: policy.Unit{Items: []int{0}}}
		j.items = map[string]*itemRun{"TestA": {fate: fateAside}}
		if got := j.asideOnly(); got != lacks {
			t.Errorf("lacks %t: aside %t", lacks, got)
		}
	}
}
