package scheduler

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/scheduler/event"
	"github.com/xdist-go/xdist/scheduler/hosts"
	"github.com/xdist-go/xdist/scheduler/wire"
	"github.com/xdist-go/xdist/xspec"
)

// coveredWorld is a world with a package of 200 tests whose processes count 3 runs of what they
// begin with and one for each test, and the name of the profile that the run writes.
func coveredWorld(t *testing.T, mode string, more map[string][]string) (*world, string) {
	packages := map[string][]string{"p": many("Pass", 200)}
	for path, names := range more {
		packages[path] = names
	}
	w := newWorld(t, 2, packages)
	file := filepath.Join(t.TempDir(), "cover.out")
	cmd, err := gotest.ParseCommand([]string{"-covermode=" + mode, "-coverprofile=" + file, "./..."}, "")
	if err != nil {
		t.Fatal(err)
	}
	w.cfg.Command = cmd
	w.profile = func(names []string) string {
		begins, tests := 3, len(names)
		if mode == "set" {
			begins, tests = min(begins, 1), min(tests, 1)
		}
		return fmt.Sprintf("mode: %s\np/p.go:1.1,2.2 1 %d\np/p.go:3.1,4.2 1 %d\n", mode, begins, tests)
	}
	return w, file
}

// countsIn are the two counts of a profile that a coveredWorld has written.
func countsIn(t *testing.T, file string) (begins, tests int) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, blocks, _ := strings.Cut(string(text), "\n")
	if _, err := fmt.Sscanf(blocks, "p/p.go:1.1,2.2 1 %d\np/p.go:3.1,4.2 1 %d\n", &begins, &tests); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return begins, tests
}

// idleWarning is the warning about an idle run that failed, or "".
func idleWarning(r *record) string {
	for _, e := range r.events {
		if warning, ok := e.(event.Warning); ok && strings.Contains(warning.Text, "a run without tests failed") {
			return warning.Text
		}
	}
	return ""
}

// What each process of a package counts besides its tests is counted once. It shows in one process
// more, which runs when nothing of its package does and of which nothing else is told. When that
// comes to nothing the sums stay, and the run is no other for it.
func TestIdleRun(t *testing.T) {
	for _, tt := range []struct {
		name, mode string
		dist       Dist
		idle       func(p *fakeProcess, n int) after // the n-th idle run
		runs       int                               // idle runs
		warning    string
		sums       bool // the profile has them
	}{
		{name: "count", mode: "count", runs: 1},
		{name: "atomic", mode: "atomic", runs: 1},
		{name: "set", mode: "set"},
		{name: "one process", mode: "count", dist: DistLoadScope},
		{name: "fails", mode: "count", runs: 1, sums: true, warning: "exit status 3", idle: func(p *fakeProcess, _ int) after {
			p.print("no tests, no start\n")
			p.die("", 3, "")
			return goesOn
		}},
		{name: "too long", mode: "count", runs: 1, sums: true, warning: "it had not ended after 5s", idle: func(p *fakeProcess, _ int) after {
			p.die("", -1, "")
			p.result.Interrupted = true
			return goesOn
		}},
		{name: "its agent is lost", mode: "count", runs: 2, idle: func(_ *fakeProcess, n int) after {
			return map[bool]after{true: agentEnds, false: goesOn}[n == 1]
		}},
		{name: "each agent is lost", mode: "count", runs: 2, sums: true, warning: "its gateway ended", idle: func(*fakeProcess, int) after { return agentEnds }},
		{name: "runs a test", mode: "count", runs: 1, idle: func(p *fakeProcess, _ int) after { return p.test("TestPass_7") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, file := coveredWorld(t, tt.mode, nil)
			w.cfg.Dist = tt.dist
			var runs, processes atomic.Int32
			profile := w.profile
			w.profile = func(names []string) string {
				if len(names) > 0 {
					processes.Add(1)
				}
				return profile(names)
			}
			w.idle = func(p *fakeProcess) after {
				n := runs.Add(1)
				if !p.alone {
					t.Error("another process of the package runs beside the idle run")
				}
				if p.o.Limit != leastIdle {
					t.Errorf("the idle run has a limit of %v, want %v", p.o.Limit, leastIdle)
				}
				if tt.idle == nil {
					return goesOn
				}
				return tt.idle(p, int(n))
			}
			closed := false
			s, r, err := w.runWith(context.Background(), func(e event.Event) {
				switch e := e.(type) {
				case event.Test:
					if closed {
						t.Errorf("after the end of the package: %+v", e)
					}
					closed = e.Package == "p" && e.Test == "" && e.Terminal()
				case event.UnitStarted:
					if e.Items == 0 {
						t.Errorf("a unit of no tests is told of: %+v", e)
					}
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			w.check(s, r)
			w.wantCounts(s, map[event.Verdict]int{event.Pass: 200})
			if s.Failed != 0 {
				t.Errorf("%d packages failed", s.Failed)
			}
			if got := int(runs.Load()); got != tt.runs {
				t.Errorf("%d idle runs, want %d", got, tt.runs)
			}
			if got := idleWarning(r); (got != "") != (tt.warning != "") || !strings.Contains(got, tt.warning) {
				t.Errorf("warning %q, want %q in it", got, tt.warning)
			}
			begins, tests := countsIn(t, file)
			want := []int{3, 200}
			switch {
			case tt.mode == "set":
				want = []int{1, 1}
			case tt.sums:
				want[0] = 3 * int(processes.Load())
			}
			if diff := cmp.Diff(want, []int{begins, tests}); diff != "" {
				t.Errorf("counts (-want +got):\n%s", diff)
			}
		})
	}
}

// An idle run is no test: a run that has lost its last gateway over it is not stranded.
func TestIdleRunStranded(t *testing.T) {
	w, file := coveredWorld(t, "count", nil)
	w.unfit = func(o *wire.Order) error {
		if idles(o) {
			return &hosts.Error{Err: errors.New("its disk is full")}
		}
		return nil
	}
	s, r, err := w.run(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	w.check(s, r)
	w.wantCounts(s, map[event.Verdict]int{event.Pass: 200})
	if got, want := idleWarning(r), "no gateway is left for it"; !strings.Contains(got, want) {
		t.Errorf("warning %q, want %q in it", got, want)
	}
	if begins, tests := countsIn(t, file); begins <= 3 || tests != 200 {
		t.Errorf("counts %d and %d, want sums", begins, tests)
	}
}

// A run waits for its idle run when that has to wait for a gateway, unless it is interrupted.
func TestIdleRunAwaited(t *testing.T) {
	for _, interrupt := range []bool{false, true} {
		t.Run(fmt.Sprintf("interrupt %t", interrupt), func(t *testing.T) {
			w, file := coveredWorld(t, "count", nil)
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			w.cfg.TerminateTimeout = time.Hour // nothing is ended for lack of an answer
			var idle, agents atomic.Int32
			alone := make(chan struct{})
			w.idle = func(*fakeProcess) after { // ends the first agent, which is replaced
				return map[bool]after{true: agentEnds, false: goesOn}[idle.Load() == 1]
			}
			w.unfit = func(o *wire.Order) error { // the second gateway ends then
				if idles(o) && idle.Add(1) == 2 {
					return &hosts.Error{Err: errors.New("its disk is full")}
				}
				return nil
			}
			w.reach = func(xspec.Spec) {
				if agents.Add(1) == 3 {
					<-alone
				}
			}
			downs := 0
			s, r, err := w.runWith(ctx, func(e event.Event) {
				if _, ok := e.(event.GatewayDown); !ok {
					return
				}
				if downs++; downs != 2 {
					return
				}
				if interrupt {
					cancel()
				}
				time.AfterFunc(map[bool]time.Duration{true: 50 * time.Millisecond}[interrupt], func() { close(alone) })
			})
			if err != nil {
				t.Fatal(err)
			}
			w.check(s, r)
			begins, tests := countsIn(t, file)
			if s.Interrupted != (begins > 3) || tests != 200 {
				t.Errorf("counts %d and %d, interrupted %t", begins, tests, s.Interrupted)
			}
		})
	}
}

// An interrupt ends an idle run with all else, however its agent takes it.
func TestIdleRunInterrupted(t *testing.T) {
	for name, then := range map[string]after{"agent goes on": goesOn, "agent ends": agentEnds} {
		t.Run(name, func(t *testing.T) {
			w, file := coveredWorld(t, "count", nil)
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			w.cfg.TerminateTimeout = time.Hour // nothing is ended for lack of an answer
			w.idle = func(p *fakeProcess) after {
				cancel()
				p.misbehave("", "Hang", true)
				return then
			}
			s, r, err := w.run(ctx)
			if err != nil {
				t.Fatal(err)
			}
			w.check(s, r)
			w.wantCounts(s, map[event.Verdict]int{event.Pass: 200})
			if got := idleWarning(r); got != "" {
				t.Errorf("a run that is interrupted tells of its idle runs: %s", got)
			}
			if begins, tests := countsIn(t, file); begins <= 3 || tests != 200 {
				t.Errorf("counts %d and %d, want sums", begins, tests)
			}
		})
	}
}
