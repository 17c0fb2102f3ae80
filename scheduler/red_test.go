package scheduler

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/history"
	"github.com/xdist-go/xdist/scheduler/event"
	"github.com/xdist-go/xdist/xspec"
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

// A test that is to count in the whole is not settled as not run when the whole dies of another
// test before it: it was cut off. In a crowd that death does not count, and the run would have been
// green without the test.
func TestWholeThatDiesBeforeTheTest(t *testing.T) {
	for _, tt := range []struct {
		crowd bool
		want  map[event.Verdict]int
	}{
		{false, map[event.Verdict]int{event.Pass: 42, event.Crash: 1}},
		{true, map[event.Verdict]int{event.Pass: 43}},
	} {
		all := names(append([]string{"SecondExit"}, slices.Repeat([]string{"Pass"}, 41)...)...)
		w := newWorld(t, 4, map[string][]string{"a": all, "b": names("Pass")})
		if tt.crowd {
			w.info = func(xspec.Spec) gateway.Info {
				return gateway.Info{Hostname: "here", GOOS: "linux", GOARCH: "amd64", CPUs: 1}
			}
		}
		w.cfg.History = new(history.Book)
		w.cfg.History.Learn(history.Run{ID: "before", Time: time.Now(),
			Tests:   []history.TestRun{{Platform: "linux/amd64", Package: "a", Test: all[41], Elapsed: time.Millisecond, Verdict: history.Fail}},
			Lessons: []history.Lesson{{Platform: "linux/amd64", Package: "a", Test: all[41], Kind: history.Red}}})
		died := make(chan struct{}) // the whole; b runs until then
		w.holds["TestPass_0"] = died
		end := sync.OnceFunc(func() { close(died) })
		s, r, err := w.runWith(t.Context(), func(e event.Event) {
			if e, ok := e.(event.UnitEnded); ok && e.Package == "a" && w.ended("a::TestSecondExit_0") >= 2 {
				end()
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		w.check(s, r)
		w.wantCounts(s, tt.want)
		if failed := tt.want[event.Crash]; s.Failed != failed {
			t.Errorf("%d packages failed, want %d", s.Failed, failed)
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

// The text of a failure is the same whether it was shown as it came or held.
func TestTextOfAFailure(t *testing.T) {
	events := []test2json.Event{{Action: "run"}, {Action: "output", Output: "a\n"}, {Action: "output", Output: "b\n"}, {Action: "fail"}}
	held := &itemRun{transcript: transcript{events: events}}
	shown := &itemRun{transcript: transcript{streamed: true, events: events[2:]}}
	shown.told = appendOutput(nil, events[:2])
	if held.text() != "a\nb\n" || shown.text() != held.text() {
		t.Errorf("held %q, shown %q", held.text(), shown.text())
	}
	if long := appendOutput(nil, slices.Repeat(events, textBytes)); len(long) > textBytes+2 {
		t.Errorf("%d bytes of output are kept", len(long))
	}
}

// learnLastFailed gives the world the history of a run in which the tests of package a took so long
// each, and the last one failed.
func (w *world) learnLastFailed(took time.Duration, lessons ...history.Lesson) {
	run := history.Run{ID: "before", Time: time.Now(), Lessons: lessons}
	run.Packages = []history.PackageRun{{Platform: "linux/amd64", Package: "a", Key: gotest.Ready{}.Digest.Hex()}}
	tests := w.packages["a"]
	for i, name := range tests {
		v := history.Pass
		if i == len(tests)-1 {
			v = history.Fail
		}
		run.Tests = append(run.Tests, history.TestRun{Platform: "linux/amd64", Package: "a", Test: name, Elapsed: took, Verdict: v})
	}
	w.cfg.History = new(history.Book)
	w.cfg.History.Learn(run)
}

// A failure that the run before has confirmed counts at once, under --json too.
func TestKnownFailureCountsAtOnce(t *testing.T) {
	for _, live := range []bool{false, true} {
		tests := append(slices.Repeat([]string{"Tree"}, 6), "LongFail")
		first := newWorld(t, 4, map[string][]string{"a": names(tests...)})
		first.cfg.Live = live
		_, r, err := first.run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		w := newWorld(t, 4, map[string][]string{"a": names(tests...)})
		w.cfg.Live = live
		var lessons []history.Lesson
		for _, e := range r.events {
			if l, ok := e.(event.Learned); ok {
				lessons = append(lessons, l.Lesson)
			}
		}
		w.learnLastFailed(time.Second, lessons...)
		w.cfg.LongTest = -1
		w.meet = newMeeting(false)
		s, r, err := w.run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		w.check(s, r)
		if n := w.starts("a::TestLongFail_6"); n != 1 {
			t.Errorf("live %t: the test ran %d times", live, n)
		}
	}
}

// A test whose failure may be that of what another process has, as far as the last run could tell,
// runs once, with nothing of its package beside it.
func TestContenderRunsWhenOthersHaveEnded(t *testing.T) {
	for kind, want := range map[string]event.Verdict{"Fail": event.Fail, "Shy": event.Pass} {
		tests := names(append(slices.Repeat([]string{"Pass"}, 6), kind)...)
		w := newWorld(t, 4, map[string][]string{"a": tests})
		last := tests[len(tests)-1]
		w.learnLastFailed(spareWhole, history.Lesson{Kind: history.Failed, Platform: "linux/amd64", Package: "a", Test: last})
		w.cfg.LongTest = -1
		w.meet = newMeeting(false)
		s, r, err := w.run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		w.check(s, r)
		if n := w.starts("a::" + last); n != 1 || s.Counts[want] < 1 || s.Counts[event.Pass]+s.Counts[want] < 7 {
			t.Errorf("%s ran %d times: %v", last, n, s.Counts)
		}
	}
}

// What a test takes includes its parallel subtests, for which package testing reports no time.
func TestTookCountsParallelSubtests(t *testing.T) {
	p := new(pkg)
	p.setItems([]gotest.Item{{Name: "TestA"}})
	p.note(0, &itemRun{watch: stopwatch{spent: 6 * time.Second}})
	if got := p.estimate(0); got != 6*time.Second {
		t.Errorf("estimated at %v", got)
	}
}

// Which tests run before the first failure depends on the order of the packages. With -failfast it
// is that of go test, whatever they are known to cost.
func TestFailFastKeepsTheOrder(t *testing.T) {
	w := newWorld(t, 1, map[string][]string{"a": names("Pass"), "b": names("Fail"), "c": nil})
	cmd, err := gotest.ParseCommand([]string{"-failfast", "./..."}, "")
	if err != nil {
		t.Fatal(err)
	}
	w.cfg.Command = cmd
	w.cfg.History = new(history.Book)
	w.cfg.History.Learn(history.Run{ID: "before", Time: time.Now(), Tests: []history.TestRun{
		{Platform: "linux/amd64", Package: "a", Test: "TestPass_0", Elapsed: time.Millisecond, Verdict: history.Pass},
		{Platform: "linux/amd64", Package: "b", Test: "TestFail_0", Elapsed: time.Second, Verdict: history.Fail},
	}})
	w.broken = map[string]bool{"c": true}
	built := make(chan struct{}) // a and b can run, since what comes after them was told
	w.reach = func(xspec.Spec) { <-built }
	s, r, err := w.runWith(t.Context(), func(e event.Event) {
		if t, ok := e.(event.Test); ok && t.Action == "build-output" {
			close(built)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	w.check(s, r)
	w.wantCounts(s, map[event.Verdict]int{event.Pass: 1, event.Fail: 1})
}
