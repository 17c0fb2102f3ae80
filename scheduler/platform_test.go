package scheduler

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/scheduler/event"
	"github.com/xdist-go/xdist/scheduler/wire"
	"github.com/xdist-go/xdist/xspec"
)

// platformWorld is a world of these gateways. An agent's platform is what its spec says, or the
// name of its ssh host: ssh=s390x.
func platformWorld(t *testing.T, packages map[string][]string, specs ...string) *world {
	t.Helper()
	w := newWorld(t, 1, packages)
	var err error
	if w.cfg.Specs, err = xspec.Expand(specs, nil); err != nil {
		t.Fatal(err)
	}
	w.info = func(s xspec.Spec) gateway.Info {
		info := gateway.Info{Hostname: "here", GOOS: "linux", GOARCH: "amd64"}
		if s.SSH != "" {
			info.GOARCH = s.SSH
		}
		if s.GOARCH != "" {
			info.GOARCH = s.GOARCH
		}
		return info
	}
	return w
}

// mustRun returns the account and, by the name that events give it, how each package ended: exactly
// once.
func (w *world) mustRun() (event.Summary, *record, map[string]string) {
	w.t.Helper()
	s, r, err := w.run(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	if s.Unbalanced != "" {
		w.t.Errorf("the account does not add up: %s", s.Unbalanced)
	}
	starts, ends := make(map[string]int), make(map[string]string)
	for _, e := range r.events {
		test, ok := e.(event.Test)
		switch {
		case !ok || test.Test != "":
		case test.Action == "start":
			starts[test.Package]++
		case test.Terminal():
			ends[test.Package] = strings.TrimSpace(ends[test.Package] + " " + test.Action + " on " + test.Platform)
		}
	}
	for name := range ends {
		if starts[name] != 1 {
			w.t.Errorf("%s has %d start events", name, starts[name])
		}
	}
	return s, r, ends
}

// ran collects the verdicts of tests by platform.
func ran(s event.Summary) map[string]string {
	got := make(map[string]string)
	for _, it := range s.Durations {
		key := it.Test + " on " + it.Platform
		got[key] = strings.TrimSpace(got[key] + " " + string(it.Verdict))
	}
	return got
}

func sameSet[T comparable](a, b []T) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(x T) bool { return !slices.Contains(b, x) })
}

func TestEachPlatformRunsEverything(t *testing.T) {
	packages := map[string][]string{"a": {"TestPass", "TestLittle"}, "b": {"TestPass"}}
	once := map[string]string{
		"a::TestPass on linux/amd64": "pass", "a::TestLittle on linux/amd64": "pass", "b::TestPass on linux/amd64": "pass",
		"a::TestPass on linux/s390x": "pass", "a::TestLittle on linux/s390x": "fail", "b::TestPass on linux/s390x": "pass",
	}
	twice := maps.Clone(once)
	for key, v := range twice {
		if strings.HasSuffix(key, "amd64") {
			twice[key] = v + " " + v
		}
	}
	for _, tt := range []struct {
		dist               Dist
		packages, verdicts map[string]string
	}{
		{DistLoad, map[string]string{
			"a [linux/amd64]": "pass on linux/amd64", "b [linux/amd64]": "pass on linux/amd64",
			"a [linux/s390x]": "fail on linux/s390x", "b [linux/s390x]": "pass on linux/s390x",
		}, once},
		{DistEach, map[string]string{
			"a [gw0 linux/amd64]": "pass on linux/amd64", "b [gw0 linux/amd64]": "pass on linux/amd64",
			"a [gw1 linux/amd64]": "pass on linux/amd64", "b [gw1 linux/amd64]": "pass on linux/amd64",
			"a [gw2 linux/s390x]": "fail on linux/s390x", "b [gw2 linux/s390x]": "pass on linux/s390x",
		}, twice},
	} {
		t.Run(string(tt.dist), func(t *testing.T) {
			w := platformWorld(t, packages, "2*popen", "popen//goarch=s390x//exec=qemu")
			w.cfg.Dist = tt.dist
			s, r, ends := w.mustRun()
			if diff := cmp.Diff(tt.packages, ends); diff != "" {
				t.Errorf("packages (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.verdicts, ran(s)); diff != "" {
				t.Errorf("verdicts (-want +got):\n%s", diff)
			}
			if want := []gotest.Platform{{}, {GOOS: "linux", GOARCH: "s390x"}}; !sameSet(w.sources, want) {
				t.Errorf("sources were asked for %v, want %v", w.sources, want)
			}
			items := 0
			for _, e := range r.events {
				if c, ok := e.(event.Collected); ok {
					items += c.Items
				}
			}
			if items != s.Collected {
				t.Errorf("%d items were announced, %d collected", items, s.Collected)
			}
		})
	}
}

// Spelling the controller's own platform out changes nothing, and another toolchain is another
// platform.
func TestPlatformsOfSpecs(t *testing.T) {
	for _, tt := range []struct{ specs, want []string }{ // want: packages as events name them
		{[]string{"popen", "popen//goos=linux", "popen//goarch=amd64//goos=linux"}, []string{"a"}},
		{[]string{"popen//goarch=arm64"}, []string{"a"}},
		{[]string{"popen", "popen//go=go1.25.3"}, []string{"a [linux/amd64]", "a [linux/amd64 go1.25.3]"}},
		{[]string{"popen", "ssh=amd64"}, []string{"a"}},
		{[]string{"ssh=amd64"}, []string{"a"}},
		{[]string{"popen", "ssh=arm64"}, []string{"a", "a [linux/arm64]"}},
		{[]string{"popen", "ssh=arm64//goos=linux//goarch=arm64"}, []string{"a [linux/amd64]", "a [linux/arm64]"}},
		{[]string{"3*ssh=arm64"}, []string{"a"}},
		{[]string{"3*ssh=arm64", "ssh=arm64//id=mine"}, []string{"a"}},
	} {
		t.Run(strings.Join(tt.specs, " "), func(t *testing.T) {
			w := platformWorld(t, map[string][]string{"a": names("Pass")}, tt.specs...)
			s, _, ends := w.mustRun()
			if got := slices.Collect(maps.Keys(ends)); !sameSet(got, tt.want) {
				t.Errorf("got packages %q, want %q", got, tt.want)
			}
			if s.Collected != len(tt.want) || s.Counts[event.Pass] != len(tt.want) {
				t.Errorf("got %d items and %v", s.Collected, s.Counts)
			}
		})
	}
}

// onEvent is a reporter that looks at each event.
type onEvent func(event.Event)

func (f onEvent) Handle(e event.Event) error { f(e); return nil }
func (onEvent) Close() error                 { return nil }

// A gateway answers when everything that is known has run, and may bring a platform of its own.
func TestLatePlatformRuns(t *testing.T) {
	for _, tt := range []struct {
		dist   Dist
		goarch string
		want   int
	}{{DistLoad, "s390x", 2}, {DistLoad, "amd64", 1}, {DistEach, "s390x", 2}, {DistEach, "amd64", 2}} {
		t.Run(string(tt.dist)+" "+tt.goarch, func(t *testing.T) {
			w := platformWorld(t, map[string][]string{"a": {"TestPass"}}, "popen", "ssh="+tt.goarch)
			w.cfg.Dist = tt.dist
			answer, once := make(chan struct{}), sync.Once{}
			w.reach = func(s xspec.Spec) {
				if s.SSH != "" {
					<-answer
				}
			}
			w.cfg.Reporter = onEvent(func(e event.Event) {
				if e, ok := e.(event.Test); ok && e.Test == "" && e.Terminal() {
					once.Do(func() { close(answer) })
				}
			})
			c := newController(w.cfg)
			c.connect = w.connect
			s, err := c.run(t.Context())
			if err != nil || s.Unbalanced != "" {
				t.Fatal(err, s.Unbalanced)
			}
			if s.Counts[event.Pass] != tt.want || s.Collected != tt.want {
				t.Errorf("got %v of %d, want %d", s.Counts, s.Collected, tt.want)
			}
		})
	}
}

// The controller's platform is built for on suspicion. That nobody has it is no failure, whatever
// becomes of it.
func TestPlatformThatNobodyHas(t *testing.T) {
	for name, err := range map[string]error{"fails": errors.New("no go command for this one"), "does not build": &gotest.BuildError{Status: "exit status 1"}} {
		t.Run(name, func(t *testing.T) {
			w := platformWorld(t, map[string][]string{"a": names("Pass")}, "ssh=arm64")
			source := w.cfg.Source
			ended := make(chan struct{})
			w.cfg.Source = func(ctx context.Context, p gotest.Platform, emit func(gotest.BuildEvent)) error {
				if p == (gotest.Platform{}) {
					defer close(ended)
					emit(gotest.Listed{Packages: []gotest.Package{{ImportPath: "only/here", Items: []gotest.Item{{Name: "TestX"}}}}})
					return err
				}
				return source(ctx, p, emit)
			}
			w.reach = func(xspec.Spec) { <-ended }
			s, _, ends := w.mustRun()
			if s.Counts[event.Pass] != 1 || s.Collected != 1 || s.BuildFailed > 0 || len(ends) != 1 {
				t.Errorf("got %+v", s)
			}
		})
	}
}

// It takes for ever, and is told to stop when it is known that nobody needs it.
func TestPlatformThatNobodyHasIsGivenUp(t *testing.T) {
	w := platformWorld(t, map[string][]string{"a": names("Pass")}, "ssh=arm64")
	source := w.cfg.Source
	w.cfg.Source = func(ctx context.Context, p gotest.Platform, emit func(gotest.BuildEvent)) error {
		if p == (gotest.Platform{}) {
			<-ctx.Done()
			return ctx.Err()
		}
		return source(ctx, p, emit)
	}
	if s, _, _ := w.mustRun(); s.Counts[event.Pass] != 1 {
		t.Errorf("got %+v", s)
	}
}

// A platform whose toolchain cannot be had ends the run: its tests would be missing.
func TestFailedSourceNamesItsPlatform(t *testing.T) {
	w := platformWorld(t, map[string][]string{"a": names("Pass")}, "popen", "popen//go=go1.25.99")
	source := w.cfg.Source
	w.cfg.Source = func(ctx context.Context, p gotest.Platform, emit func(gotest.BuildEvent)) error {
		if p.Go != "" {
			return errors.New("toolchain not available")
		}
		return source(ctx, p, emit)
	}
	_, _, err := w.run(t.Context())
	if want := "linux/amd64 go1.25.99: toolchain not available"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestLastGatewayOfAPlatform(t *testing.T) {
	w := platformWorld(t, map[string][]string{"a": {"TestKill", "TestPass"}}, "popen", "popen//goarch=s390x")
	w.cfg.MaxWorkerRestart = -1
	s, _, err := w.run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "no gateway is left to run the tests on linux/") {
		t.Errorf("got %v", err)
	}
	if s.Unbalanced != "" {
		t.Error(s.Unbalanced)
	}
}

// Both platforms fail to build one package, each with its own compiler's words.
func TestBuildFailuresOfPlatformsAreApart(t *testing.T) {
	w := platformWorld(t, map[string][]string{"a": names("Pass")}, "popen", "popen//goarch=s390x")
	w.broken = map[string]bool{"a": true}
	s, r, ends := w.mustRun()
	if s.BuildFailed != 2 || len(ends) != 2 {
		t.Errorf("got %d failed builds of %v", s.BuildFailed, ends)
	}
	outputs, blamed := make(map[string]bool), make(map[string]bool)
	for _, e := range r.events {
		switch e, ok := e.(event.Test); {
		case ok && e.Action == test2json.ActionBuildOutput:
			outputs[e.ImportPath] = true
		case ok && e.FailedBuild != "":
			blamed[e.FailedBuild] = true
		}
	}
	if len(outputs) != 2 || !maps.Equal(outputs, blamed) {
		t.Errorf("output of %v, failures by %v", outputs, blamed)
	}
}

func TestExcludedPackageIsNotRunAndSaysSo(t *testing.T) {
	w := platformWorld(t, map[string][]string{"a": names("Pass"), "c": names("Pass", "Pass")}, "popen")
	source := w.cfg.Source
	w.cfg.Source = func(ctx context.Context, p gotest.Platform, emit func(gotest.BuildEvent)) error {
		return source(ctx, p, func(e gotest.BuildEvent) {
			if r, ok := e.(gotest.Ready); ok && r.Package == "c" {
				zero := 0.0
				e = gotest.Reported{Package: "c", Excluded: "needs a thing", Events: []test2json.Event{
					{Action: "start", Package: "c"}, {Action: "skip", Package: "c", Elapsed: &zero},
				}}
			}
			emit(e)
		})
	}
	s, r, ends := w.mustRun()
	if s.Failed+s.BuildFailed > 0 || ends["c"] != "skip on linux/amd64" {
		t.Errorf("got %+v, %v", s, ends)
	}
	w.wantCounts(s, map[event.Verdict]int{event.Pass: 1, event.NotRun: 2})
	for _, it := range s.NotRun {
		if it.Reason != "needs a thing" {
			t.Errorf("%s is not run: %s", it.ID, it.Reason)
		}
	}
	if !slices.ContainsFunc(r.events, func(e event.Event) bool { w, ok := e.(event.Warning); return ok && w.Text == "c: needs a thing" }) {
		t.Error("no warning")
	}
}

func TestLocalize(t *testing.T) {
	base := func() wire.Order {
		return wire.Order{
			Binary: "/store/p.test", Dir: "/src/p", CoverMeta: "/run/meta", Exec: []string{"time"}, Env: []string{"PATH=/bin", "A=/b"},
			Args: []string{"-test.v", "-test.outputdir=/src", "-x=/y"},
		}
	}
	native, wine := base(), base()
	native.Exec = []string{"qemu", "-cpu", "max", "time"}
	wine.Binary, wine.Dir, wine.CoverMeta, wine.Env = `Z:\store\p.test`, `Z:\src\p`, `Z:\run\meta`, []string{"A=/b"}
	wine.Args = []string{"-test.v", `-test.outputdir=Z:\src`, "-x=/y"}
	for _, tt := range []struct {
		spec, goos string
		want       wire.Order
	}{
		{"popen//goarch=arm64//exec=qemu -cpu max", "linux", native},
		{"popen//goos=windows//exec=wine", "windows", wine},
	} {
		spec, err := xspec.Parse(tt.spec)
		if err != nil {
			t.Fatal(err)
		}
		got := base()
		shared := got.Args
		n := &node{spec: spec, info: gateway.Info{GOOS: tt.goos}}
		n.localize(&got, false)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.spec, diff)
		}
		if fmt.Sprint(shared) != fmt.Sprint(base().Args) {
			t.Error("the arguments of the package were changed for all nodes")
		}
	}
}
