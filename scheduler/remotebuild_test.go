package scheduler

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/scheduler/event"
	"github.com/xdist-go/xdist/scheduler/hostbuild"
	"github.com/xdist-go/xdist/scheduler/wire"
	"github.com/xdist-go/xdist/xspec"
)

// playedBuilds are builds on hosts: the first one that is asked for says what is in the first
// script, and so on. A script ends with an error, or else with the end of the build.
type playedBuilds struct {
	mu      sync.Mutex // guards the fields below
	scripts [][]any    // of wire.BuildReport and error
	args    []wire.BuildArgs
	open    int // builds that have not been ended
}

// builderLink is a played worker whose host can build.
type builderLink struct {
	link
	builds *playedBuilds
	at     hostbuild.Place
}

func (l builderLink) Place() hostbuild.Place { return l.at }

func (l builderLink) Build(_ context.Context, _ *gotest.Command, args wire.BuildArgs) (hostbuild.Link, error) {
	b := l.builds
	b.mu.Lock()
	defer b.mu.Unlock()
	b.args = append(b.args, args)
	if len(b.scripts) == 0 {
		return nil, errors.New("nobody expects another build")
	}
	p := &playedBuild{builds: b, script: b.scripts[0]}
	b.scripts = b.scripts[1:]
	b.open++
	return p, nil
}

type playedBuild struct {
	builds *playedBuilds
	script []any
}

func (p *playedBuild) Receive(ctx context.Context) (wire.BuildReport, error) {
	if len(p.script) == 0 {
		return wire.BuildReport{Done: &wire.BuildEnd{}}, nil
	}
	next := p.script[0]
	p.script = p.script[1:]
	if err, ok := next.(error); ok {
		return wire.BuildReport{}, err
	}
	return next.(wire.BuildReport), ctx.Err()
}

func (p *playedBuild) Exit() {
	p.builds.mu.Lock()
	defer p.builds.mu.Unlock()
	p.builds.open--
}

// runRemote runs a world whose gateways are on a host that builds for itself.
func runRemote(w *world, b *playedBuilds, gateways int) (event.Summary, *record, error) {
	w.t.Helper()
	var err error
	if w.cfg.Specs, err = xspec.Expand([]string{fmt.Sprintf("%d*ssh=h//build=remote", gateways)}, nil); err != nil {
		w.t.Fatal(err)
	}
	r := new(record)
	w.cfg.Reporter, w.cfg.RunDir, w.cfg.Toolchain = r, w.t.TempDir(), gotest.Toolchain{GOVERSION: "go1.26.1", GOFLAGS: "-tags=x"}
	c := newController(w.cfg)
	c.connect = func(ctx context.Context, n *node) (link, gateway.Info, error) {
		l, info, err := w.connect(ctx, n)
		return builderLink{l, b, hostbuild.Place{Gateway: n.id, Hostname: n.spec.SSH, Token: "token of " + n.spec.SSH}}, info, err
	}
	s, err := c.run(w.t.Context())
	if b.open != 0 {
		w.t.Errorf("%d builds were not ended", b.open)
	}
	if len(w.sources) > 0 {
		w.t.Errorf("the controller has built for %v", w.sources)
	}
	return s, r, err
}

func listedReports(w *world) []any {
	var all []any
	for path, names := range w.packages {
		p := gotest.Package{ImportPath: path}
		for _, n := range names {
			p.Items = append(p.Items, gotest.Item{Name: n})
		}
		all = append(all, wire.BuildReport{Listed: []gotest.Package{p}, More: len(all)+1 < len(w.packages)})
	}
	return all
}

func readyReport(path string) any {
	return wire.BuildReport{Ready: &wire.BuiltPackage{Package: path, Digest: make([]byte, 32), Binary: path, Dir: "/" + path}}
}

func warnings(r *record) string {
	var all []string
	for _, e := range r.events {
		if w, ok := e.(event.Warning); ok {
			all = append(all, w.Text)
		}
	}
	return strings.Join(all, "\n")
}

// TestRemoteBuild has one build for all gateways, with another Go than the controller's.
func TestRemoteBuild(t *testing.T) {
	w := newWorld(t, 1, map[string][]string{"p": many("Pass", 5), "q": names("Pass", "Fail")})
	w.cfg.CacheSize = 3 << 30
	b := &playedBuilds{scripts: [][]any{slices.Concat([]any{wire.BuildReport{Go: "go1.25.3"}}, listedReports(w), []any{readyReport("p"), readyReport("q")})}}
	s, r, err := runRemote(w, b, 3)
	if err != nil {
		t.Fatal(err)
	}
	w.check(s, r)
	w.wantCounts(s, map[event.Verdict]int{event.Pass: 6, event.Fail: 1})
	if got := warnings(r); !strings.Contains(got, "builds with go1.25.3, and this one has go1.26.1") {
		t.Errorf("warnings %q", got)
	}
	for _, e := range r.events {
		if e, ok := e.(event.Collected); ok && len(e.Dirs) > 0 {
			t.Errorf("packages that are not on this machine are in %q", e.Dirs)
		}
	}
	if want := (wire.BuildArgs{RunID: "run", GOFLAGS: "-tags=x", CacheSize: 3 << 30}); len(b.args) != 1 || fmt.Sprint(b.args[0]) != fmt.Sprint(want) {
		t.Errorf("builds %+v, want one of %+v", b.args, want)
	}
}

// TestRemoteBuildIsTakenOver loses the gateway that builds, in the middle of the collection and
// behind a package.
func TestRemoteBuildIsTakenOver(t *testing.T) {
	w := newWorld(t, 1, map[string][]string{"p": names("Pass"), "q": names("Pass", "Fail")})
	lost := &hostbuild.LostError{Err: errSilent}
	b := &playedBuilds{scripts: [][]any{
		append(listedReports(w)[:1:1], lost),
		append(listedReports(w), readyReport("p"), lost),
		append(listedReports(w), readyReport("p"), readyReport("q")),
	}}
	s, r, err := runRemote(w, b, 3)
	if err != nil {
		t.Fatal(err)
	}
	w.check(s, r)
	w.wantCounts(s, map[event.Verdict]int{event.Pass: 2, event.Fail: 1})
	if got := strings.Count(warnings(r), "another one is to build"); got != 2 || len(b.args) != 3 {
		t.Errorf("%d warnings, %d builds", got, len(b.args))
	}
}

// TestRemoteBuildFails ends the run with the host's own words, and its gateways' tests are all
// accounted for.
func TestRemoteBuildFails(t *testing.T) {
	for _, end := range []any{&gateway.RemoteError{Text: "the disk is full"}, wire.BuildReport{Done: &wire.BuildEnd{Error: "the disk is full"}}} {
		w := newWorld(t, 1, map[string][]string{"p": names("Pass"), "q": names("Pass", "Fail")})
		s, r, err := runRemote(w, &playedBuilds{scripts: [][]any{append(listedReports(w), end)}}, 2)
		if err == nil || !strings.Contains(err.Error(), "build on the host of gateway gw") || !strings.HasSuffix(err.Error(), "): the disk is full") {
			t.Errorf("error %v", err)
		}
		w.check(s, r)
		w.wantCounts(s, map[event.Verdict]int{event.NotRun: 3})
	}
}
