package scheduler

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/scheduler/event"
	"github.com/xdist-go/xdist/scheduler/hosts"
	"github.com/xdist-go/xdist/xspec"
)

func TestRun(t *testing.T) {
	for _, tt := range []struct {
		name     string
		packages map[string][]string
		change   func(*world)
		want     map[event.Verdict]int
		failed   int
		build    int
	}{
		{
			name:     "pass, fail and skip",
			packages: map[string][]string{"a": names("Pass", "Fail", "Skip"), "b": names("Pass")},
			want:     map[event.Verdict]int{event.Pass: 2, event.Fail: 1, event.Skip: 1},
			failed:   1,
		},
		{
			name:     "a package without tests runs once and passes",
			packages: map[string][]string{"a": nil},
			want:     map[event.Verdict]int{},
		},
		{
			name:     "a package that does not build: its tests are not run, the others are",
			packages: map[string][]string{"a": names("Pass", "Pass"), "b": names("Pass")},
			change:   func(w *world) { w.broken = map[string]bool{"a": true} },
			want:     map[event.Verdict]int{event.Pass: 1, event.NotRun: 2},
			build:    1,
		},
		{
			name:     "a test that ends its process is blamed once, its neighbours run",
			packages: map[string][]string{"a": names("Pass", "Exit", "Pass", "Exit", "Pass")},
			want:     map[event.Verdict]int{event.Pass: 3, event.Crash: 2},
			failed:   1,
		},
		{
			name:     "a test that ends its agent is blamed once, its neighbours run",
			packages: map[string][]string{"a": names("Pass", "Kill", "Pass", "Fail"), "b": names("Pass")},
			want:     map[event.Verdict]int{event.Pass: 3, event.Crash: 1, event.Fail: 1},
			failed:   1,
		},
		{
			name:     "a test whose host falls silent is not to blame: it runs again",
			packages: map[string][]string{"a": names("Pass", "Lost", "Pass"), "b": names("Lost")},
			want:     map[event.Verdict]int{event.Pass: 4},
		},
		{
			name:     "a test whose host falls silent each time is to blame",
			packages: map[string][]string{"a": names("Pass", "Loser", "Pass")},
			want:     map[event.Verdict]int{event.Pass: 2, event.Crash: 1},
			failed:   1,
		},
		{
			name:     "a package that fails before its first test has no verdicts and fails",
			packages: map[string][]string{"a": names("Pass", "Pass"), "b": names("Pass")},
			change:   func(w *world) { w.initFail = map[string]bool{"a": true} },
			want:     map[event.Verdict]int{event.Pass: 1, event.NotRun: 2},
			failed:   1,
		},
		{
			name:     "tests that TestMain does not run are counted and fail nothing",
			packages: map[string][]string{"a": names("Pass", "Never")},
			want:     map[event.Verdict]int{event.Pass: 1, event.NotRun: 1},
		},
	} {
		for _, gateways := range []int{1, 2, 5} {
			for _, dist := range []Dist{DistLoad, DistLoadScope, DistNo} {
				w := newWorld(t, gateways, tt.packages)
				w.cfg.Dist = dist
				if tt.change != nil {
					tt.change(w)
				}
				s, r, err := w.run(t.Context())
				if err != nil {
					t.Errorf("%s, %d gateways, %s: %v", tt.name, gateways, dist, err)
				}
				w.check(s, r)
				w.wantCounts(s, tt.want)
				if s.Failed != tt.failed || s.BuildFailed != tt.build {
					t.Errorf("%s, %d gateways, %s: %d packages failed and %d did not build, want %d and %d",
						tt.name, gateways, dist, s.Failed, s.BuildFailed, tt.failed, tt.build)
				}
			}
		}
	}
}

// Two processes of one package that want the same port: the second one's failure is no verdict, and
// the package runs one process at a time.
func TestProcessesThatDisturbEachOther(t *testing.T) {
	w := newWorld(t, 4, map[string][]string{"a": many("Pass", 200)})
	w.meet = newMeeting(false)
	w.port = map[string]bool{"a": true}
	s, r, err := w.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.check(s, r)
	w.wantCounts(s, map[event.Verdict]int{event.Pass: 200})
	if s.Failed != 0 {
		t.Errorf("%d packages failed", s.Failed)
	}
	if w.shared == 0 {
		t.Error("no two processes of the package met: nothing was tested")
	}
	if !slices.ContainsFunc(r.events, func(e event.Event) bool {
		warning, ok := e.(event.Warning)
		return ok && strings.Contains(warning.Text, "one at a time")
	}) {
		t.Error("there is no warning")
	}
}

func TestEachRunsEverythingOnEveryGateway(t *testing.T) {
	w := newWorld(t, 3, map[string][]string{"a": names("Pass", "Fail")})
	w.cfg.Dist = DistEach
	s, r, err := w.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.wantCounts(s, map[event.Verdict]int{event.Pass: 3, event.Fail: 3})
	if s.Failed != 3 || s.Unbalanced != "" {
		t.Errorf("%d packages failed, unbalanced %q", s.Failed, s.Unbalanced)
	}
	if got := w.runs["a::TestPass_0"]; got != 3 {
		t.Errorf("TestPass_0 ran %d times, want 3", got)
	}
	if !slices.ContainsFunc(r.events, func(e event.Event) bool {
		test, ok := e.(event.Test)
		return ok && test.Package == "a [gw2]" && test.Action == "fail"
	}) {
		t.Error("no event has the package name a [gw2]")
	}
}

func TestMaxFailStopsTheRun(t *testing.T) {
	w := newWorld(t, 2, map[string][]string{"a": names("Fail"), "b": names("Hang", "Pass"), "c": many("Pass", 10)})
	w.cfg.MaxFail = 1
	w.cfg.Dist = DistLoadScope
	hold := make(chan struct{})
	w.holds["TestFail_0"] = hold
	// The failure waits until the other gateway is in TestHang, so that there is something to stop.
	s, r, err := w.runWith(t.Context(), func(e event.Event) {
		if u, ok := e.(event.UnitStarted); ok && u.Package != "a" && hold != nil {
			close(hold)
			hold = nil
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	w.check(s, r)
	if s.Counts[event.Fail] != 1 || s.Counts[event.NotRun] == 0 || s.Stopped == "" {
		t.Errorf("counts %v, stopped %q", s.Counts, s.Stopped)
	}
	for _, it := range s.NotRun {
		if it.Reason == "" {
			t.Errorf("%s is not run and nobody says why", it.ID)
		}
	}
}

func TestInterrupt(t *testing.T) {
	w := newWorld(t, 2, map[string][]string{"a": names("Hang", "Pass"), "b": names("Hang"), "c": names("Pass")})
	w.cfg.Dist = DistLoadScope
	ctx, cancel := context.WithCancel(t.Context())
	started := 0
	s, r, err := w.runWith(ctx, func(e event.Event) {
		if _, ok := e.(event.UnitStarted); ok {
			if started++; started == 2 {
				cancel()
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	w.check(s, r)
	if !s.Interrupted || s.Counts[event.NotRun]+s.Counts[event.Pass] != 4 || s.Counts[event.NotRun] < 3 {
		t.Errorf("interrupted %t, counts %v", s.Interrupted, s.Counts)
	}
}

func TestNoGatewayOpens(t *testing.T) {
	w := newWorld(t, 2, map[string][]string{"a": names("Pass")})
	w.cfg.Reporter = new(record)
	c := newController(w.cfg)
	refused := errors.New("connection refused")
	c.connect = func(context.Context, *node) (link, gateway.Info, error) { return nil, gateway.Info{}, refused }
	s, err := c.run(t.Context())
	if !errors.Is(err, refused) {
		t.Errorf("err = %v, want the reason", err)
	}
	w.wantCounts(s, map[event.Verdict]int{event.NotRun: 1})
}

// Every gateway dies with its first test, and none is replaced: the run ends and says why.
func TestAllGatewaysDie(t *testing.T) {
	w := newWorld(t, 2, map[string][]string{"a": many("Kill", 8)})
	w.cfg.MaxWorkerRestart = -1
	s, r, err := w.run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "signal: killed") {
		t.Errorf("err = %v, want the reason", err)
	}
	w.check(s, r)
	if s.Counts[event.Crash] == 0 || s.Counts[event.Crash]+s.Counts[event.NotRun] != 8 {
		t.Errorf("counts %v", s.Counts)
	}
}

func TestGatewaysAreReplaced(t *testing.T) {
	w := newWorld(t, 2, map[string][]string{"a": many("Kill", 5), "b": many("Pass", 50)})
	s, r, err := w.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.check(s, r)
	w.wantCounts(s, map[event.Verdict]int{event.Crash: 5, event.Pass: 50})
	if w.agents < 5 {
		t.Errorf("%d agents were opened, want 2 and the replacements", w.agents)
	}
}

// A host that was there and is not any more is done without, but only while there are others.
func TestGatewayCannotBeReplaced(t *testing.T) {
	for _, gateways := range []int{2, 1} {
		w := newWorld(t, gateways, map[string][]string{"a": names("Pass", "Lost", "Pass"), "b": many("Pass", 20)})
		hold := make(chan struct{}) // the other gateway is busy until then
		if gateways > 1 {
			w.holds["TestPass_19"] = hold
		}
		refused := errors.New("connect: connection refused")
		w.refuse = func(s xspec.Spec) error {
			if !slices.Contains([]string{"gw0", "gw1"}[:gateways], s.ID) {
				return refused
			}
			return nil
		}
		s, r, err := w.runWith(t.Context(), func(e event.Event) {
			if down, ok := e.(event.GatewayDown); ok && down.Gateway == fmt.Sprintf("gw%d", gateways+1) { // the second try
				close(hold)
			}
		})
		w.check(s, r)
		if gateways == 1 {
			if err == nil || !strings.Contains(err.Error(), refused.Error()) {
				t.Errorf("err = %v, want the reason", err)
			}
			continue
		}
		if err != nil {
			t.Error(err)
		}
		w.wantCounts(s, map[event.Verdict]int{event.Pass: 23})
		warned := 0
		for _, e := range r.events {
			if warning, ok := e.(event.Warning); ok && strings.Contains(warning.Text, "is not replaced: its host cannot be reached") {
				warned++
			}
		}
		if warned != 1 {
			t.Errorf("%d warnings, want 1", warned)
		}
	}
}

// The connection to a host breaks down while its gateways are opened: each is tried once more. One
// that is silent then, too, ends the run.
func TestHostFallsSilentAtTheStart(t *testing.T) {
	lease, answer := fmt.Errorf("%w for 15s", gateway.ErrLease), &hosts.Error{Err: fmt.Errorf("%w for 5m0s", hosts.ErrSilent)}
	for _, tt := range []struct {
		name    string
		silence error
		silent  []string // gateways
		opens   bool
	}{
		{"once", lease, []string{"gw0", "gw1"}, true},
		{"twice", lease, []string{"gw0", "gw1", "gw2", "gw3"}, false},
		{"once, but for beats", answer, []string{"gw0", "gw1"}, true},
		{"twice, but for beats", answer, []string{"gw0", "gw1", "gw2", "gw3"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, 2, map[string][]string{"a": many("Pass", 20)})
			w.refuse = func(s xspec.Spec) error {
				if slices.Contains(tt.silent, s.ID) {
					return tt.silence
				}
				return nil
			}
			s, r, err := w.run(t.Context())
			w.check(s, r)
			if tt.opens {
				if err != nil {
					t.Fatal(err)
				}
				w.wantCounts(s, map[event.Verdict]int{event.Pass: 20})
			} else if !errors.Is(err, tt.silence) {
				t.Errorf("err = %v, want the reason", err)
			}
		})
	}
}

// A host that has worked and cannot be reached is tried once more.
func TestHostIsTriedOnceMore(t *testing.T) {
	w := newWorld(t, 1, map[string][]string{"a": names("Pass", "Lost", "Pass"), "b": many("Pass", 20)})
	w.refuse = func(s xspec.Spec) error {
		if s.ID == "gw1" {
			return errors.New("connect: connection refused")
		}
		return nil
	}
	s, r, err := w.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.check(s, r)
	w.wantCounts(s, map[event.Verdict]int{event.Pass: 23})
	if hasWarning(r, "is not replaced") {
		t.Error("the host is given up after one try")
	}
}

// The binary has a test that the collection does not: the binary is right.
func TestBinaryOverrulesCollection(t *testing.T) {
	w := newWorld(t, 1, map[string][]string{"a": names("Pass")})
	source := w.cfg.Source
	w.cfg.Source = func(ctx context.Context, p gotest.Platform, emit func(gotest.BuildEvent)) error {
		return source(ctx, p, func(e gotest.BuildEvent) {
			if r, ok := e.(gotest.Ready); ok {
				w.packages["a"] = names("Pass", "Fail")
				for _, n := range w.packages["a"] {
					r.Tests = append(r.Tests, gotest.Item{Name: n})
				}
				e = r
			}
			emit(e)
		})
	}
	s, r, err := w.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.check(s, r)
	w.wantCounts(s, map[event.Verdict]int{event.Pass: 1, event.Fail: 1})
}

// What the go command does not speak of must not vanish.
func TestPackageWithoutAWordIsNotGreen(t *testing.T) {
	w := newWorld(t, 1, map[string][]string{"a": names("Pass")})
	w.cfg.Source = func(_ context.Context, _ gotest.Platform, emit func(gotest.BuildEvent)) error {
		emit(gotest.Listed{Packages: []gotest.Package{{ImportPath: "a", Items: []gotest.Item{{Name: "TestPass_0"}}}}})
		return nil
	}
	s, r, err := w.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.check(s, r)
	w.wantCounts(s, map[event.Verdict]int{event.NotRun: 1})
	if s.Failed != 1 {
		t.Errorf("%d packages failed, want 1", s.Failed)
	}
}

func TestReporterErrorEndsNothingAndIsReturned(t *testing.T) {
	w := newWorld(t, 1, map[string][]string{"a": names("Pass", "Pass")})
	full := errors.New("no space left on device")
	w.cfg.Reporter = failingReporter{full}
	c := newController(w.cfg)
	c.connect = w.connect
	s, err := c.run(t.Context())
	if !errors.Is(err, full) {
		t.Errorf("err = %v, want the reporter's", err)
	}
	w.wantCounts(s, map[event.Verdict]int{event.Pass: 2})
}

type failingReporter struct{ err error }

func (r failingReporter) Handle(event.Event) error { return r.err }
func (r failingReporter) Close() error             { return nil }

// A TestMain that sets -test.run makes every process run everything. Each test is booked by the
// process that was given it, once.
func TestProcessesThatRunMoreThanTheyWereAsked(t *testing.T) {
	w := newWorld(t, 2, map[string][]string{"a": many("Pass", 200)})
	w.greedy = map[string]bool{"a": true}
	s, r, err := w.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.check(s, r)
	w.wantCounts(s, map[event.Verdict]int{event.Pass: 200})
	if !hasWarning(r, "not asked for") {
		t.Error("there is no warning")
	}
}

func hasWarning(r *record, text string) bool {
	return slices.ContainsFunc(r.events, func(e event.Event) bool {
		warning, ok := e.(event.Warning)
		return ok && strings.Contains(warning.Text, text)
	})
}

// --maxfail acts on the failure and not on the end of the unit, and what it stops is no pass.
func TestMaxFailActsWithinAUnit(t *testing.T) {
	w := newWorld(t, 1, map[string][]string{"a": names("Fail", "Hang", "Pass")})
	w.cfg.MaxFail, w.cfg.Dist = 1, DistLoadScope
	s, r, err := w.run(t.Context()) // would not end if TestHang were waited for
	if err != nil {
		t.Fatal(err)
	}
	w.check(s, r)
	if s.Counts[event.Fail] != 1 || s.Counts[event.NotRun] == 0 || s.Failed != 1 {
		t.Errorf("counts %v, %d packages failed", s.Counts, s.Failed)
	}
}

// What several processes of a package print alike is shown once.
func TestPackageOutputIsShownOnce(t *testing.T) {
	w := newWorld(t, 4, map[string][]string{"a": many("Pass", 200)})
	w.banner = map[string]bool{"a": true}
	_, r, err := w.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	banners, units := 0, 0
	for _, e := range r.events {
		switch e := e.(type) {
		case event.Test:
			if e.Output == "banner\n" {
				banners++
			}
		case event.UnitStarted:
			units++
		}
	}
	if banners != 1 || units < 2 {
		t.Errorf("%d units showed the banner %d times, want several and once", units, banners)
	}
}

// Live events of an attempt that came to nothing are not repeated by the next: every test begins
// and ends once.
func TestLiveEventsComeOnce(t *testing.T) {
	w := newWorld(t, 1, map[string][]string{"a": names("Long", "Exit", "Long", "Kill", "Long")})
	w.cfg.Live = true
	s, r, err := w.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.check(s, r)
	count := map[string]int{}
	for _, e := range r.events {
		if test, ok := e.(event.Test); ok && test.Test != "" && test.Action != "output" {
			count[test.Action+" "+test.Test]++
		}
	}
	for what, n := range count {
		if n != 1 {
			t.Errorf("%s comes %d times", what, n)
		}
	}
}

// A test that ends its agent runs once more, alone, and is blamed when that happens again.
func TestWhoEndsAnAgent(t *testing.T) {
	for kind, want := range map[string]map[event.Verdict]int{
		"Once": {event.Pass: 3},
		"Kill": {event.Crash: 1, event.Pass: 2},
	} {
		for _, dist := range []Dist{DistLoad, DistLoadScope, DistNo} {
			w := newWorld(t, 1, map[string][]string{"a": names(kind, "Pass", "Pass")})
			w.cfg.Dist = dist
			s, r, err := w.run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			w.check(s, r)
			w.wantCounts(s, want)
			if s.Failed != want[event.Crash] {
				t.Errorf("%s, %s: %d packages failed", kind, dist, s.Failed)
			}
		}
	}
}

func TestLedger(t *testing.T) {
	l := newLedger()
	p := &pkg{shown: "a", pool: &pool{supply: new(supply)}}
	p.setItems([]gotest.Item{{Name: "TestA"}, {Name: "TestB"}})
	l.collect(2)
	l.settle(p, 0, event.Pass, 0, "gw0", "")
	if got := l.check([]*pkg{p}); !strings.Contains(got, "a::TestB has no verdict") {
		t.Errorf("check = %q", got)
	}
	l = newLedger()
	p.setItems([]gotest.Item{{Name: "TestA"}})
	l.collect(1)
	l.settle(p, 0, event.Pass, 0, "gw0", "")
	l.replace(p, 0, event.Fail)
	if got := l.check([]*pkg{p}); !strings.Contains(got, "a::TestA has failed, and its package has not") {
		t.Errorf("a failure in a green package: check = %q", got)
	}
	l.faults, p.failed = nil, true
	if got := l.check([]*pkg{p}); got != "" || l.counts[event.Fail] != 1 || l.counts[event.Pass] != 0 {
		t.Errorf("after worsen: check = %q, counts %v", got, l.counts)
	}
	l.settle(p, 0, event.Pass, 0, "gw1", "")
	if got := l.check([]*pkg{p}); !strings.Contains(got, "two verdicts") {
		t.Errorf("check = %q", got)
	}
	l = newLedger()
	l.collect(1)
	if got := l.check(nil); !strings.Contains(got, "1 items collected, 0 verdicts") {
		t.Errorf("check = %q", got)
	}
}

// The collection has tests and the go command says that there are none: somebody is wrong, and the
// run is not green.
func TestReportedWithoutItsTestsIsNotGreen(t *testing.T) {
	w := newWorld(t, 1, map[string][]string{"a": names("Pass")})
	w.cfg.Source = func(_ context.Context, _ gotest.Platform, emit func(gotest.BuildEvent)) error {
		emit(gotest.Listed{Packages: []gotest.Package{{ImportPath: "a", Items: []gotest.Item{{Name: "TestPass_0"}}}}})
		emit(gotest.Reported{Package: "a", Events: []test2json.Event{{Action: "start", Package: "a"}, {Action: "skip", Package: "a"}}})
		return nil
	}
	s, r, err := w.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.check(s, r)
	w.wantCounts(s, map[event.Verdict]int{event.NotRun: 1})
	if s.Failed != 1 || !hasWarning(r, "ran none") {
		t.Errorf("%d packages failed, want 1 and a warning", s.Failed)
	}
}
