package scheduler

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/scheduler/event"
	"github.com/xdist-go/xdist/xspec"
)

// What fails or dies in the context of its package fails, though it passed in a part of it: a green
// run would be a lie.
func TestContradictionIsAFailure(t *testing.T) {
	for _, tt := range []struct {
		last string
		want event.Verdict
		says string
	}{
		{"TestFirst_100", event.Fail, "TestFirst_100 failed when it ran with all tests of its package"},
		{"TestFirstExit_100", event.Crash, "TestFirstExit_100 crashed (exit status 3) when it ran with all tests of its package"},
	} {
		w := newWorld(t, 4, map[string][]string{"a": append(mixed(50, "Pass", "Shy"), tt.last)})
		w.meet = newMeeting(true)
		s, r, err := w.run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if w.shied == 0 {
			t.Fatal("no test met another process: nothing was tested")
		}
		w.check(s, r)
		w.wantCounts(s, map[event.Verdict]int{event.Pass: 100, tt.want: 1})
		if s.Failed != 1 {
			t.Errorf("%d packages failed", s.Failed)
		}
		text, passed := "", false
		for _, e := range r.events {
			if e, ok := e.(event.Test); ok && e.Test == "" {
				text += e.Output
			} else if ok && e.Test == tt.last && e.Action == "pass" {
				passed = true
			}
		}
		if passed && !strings.Contains(text, tt.says) {
			t.Errorf("the package says %q", text)
		}
	}
}

// What fails in the context of its package on a host with more processes than processors does not
// count: the context is seen once more, with nothing beside it.
func TestContradictionInACrowd(t *testing.T) {
	for _, live := range []bool{false, true} {
		w := newWorld(t, 4, map[string][]string{"a": append(append([]string{"TestFlaky_0"}, mixed(60, "Long")[1:]...), "TestSqueezed_60"), "b": names("Pass")})
		w.cfg.Live = live
		w.meet = newMeeting(false)
		w.info = func(xspec.Spec) gateway.Info {
			return gateway.Info{Hostname: "here", GOOS: "linux", GOARCH: "amd64", CPUs: 1}
		}
		begun, squeezed := make(chan struct{}), make(chan struct{}) // the other package, and the test in the crowd
		w.holds["TestFlaky_0"], w.holds["TestPass_0"] = begun, squeezed
		end := sync.OnceFunc(func() { close(squeezed) })
		s, r, err := w.runWith(t.Context(), func(e event.Event) {
			switch e := e.(type) {
			case event.Progress:
				if e.Package == "b" && e.Action == "run" {
					close(begun)
				}
			case event.UnitEnded:
				if e.Package == "a" && w.ended("a::TestSqueezed_60") >= 2 {
					end()
				}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		w.check(s, r)
		w.wantCounts(s, map[event.Verdict]int{event.Pass: 62})
		if s.Failed != 0 {
			t.Errorf("%d packages failed", s.Failed)
		}
		if flaky := w.starts("a::TestFlaky_0"); w.shied != 1 || flaky != 3 {
			t.Errorf("%d failures in a crowd and %d runs of the test in doubt, want 1 and 3", w.shied, flaky)
		}
	}
}

// What demands more than the tests in doubt do is not run among them: it would fail for what it
// does not have.
func TestContextWithoutDemands(t *testing.T) {
	for name, d := range map[string]*gotest.Directives{
		"resource": {Resources: []gotest.Resource{{Name: "db", Units: 1, Limit: 1}}},
		"group":    {Group: "g"},
		"timeout":  {Timeout: time.Hour},
	} {
		w := newWorld(t, 4, map[string][]string{"a": append(mixed(50, "Pass", "Shy"), "TestFirst_100")})
		w.directives = map[string]*gotest.Directives{"TestFirst_100": d}
		w.meet = newMeeting(true)
		s, r, err := w.run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		w.check(s, r)
		want := map[event.Verdict]int{event.Pass: 101}
		if name == "timeout" { // demands nothing
			want = map[event.Verdict]int{event.Pass: 100, event.Fail: 1}
		}
		w.wantCounts(s, want)
		if w.shied == 0 {
			t.Fatalf("%s: no test was in doubt: nothing was tested", name)
		}
	}
}
