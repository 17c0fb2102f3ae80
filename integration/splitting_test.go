package integration

import (
	"flag"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/xdist-go/xdist/integration/internal/compare"
)

var (
	splittingFull = flag.Bool("splitting.full", false,
		"TestSplitting runs the whole matrix, several times")
	splittingTimes = flag.Int("splitting.times", 5, "how often the whole matrix is run")
)

// A splitFault is a command line whose tests go wrong when somebody splits their package, runs
// packages beside each other or runs a test again.
type splitFault struct {
	name   string
	module string   // directory below testdata/splitting
	args   []string // for both commands
	judge  judge
	unix   bool // it kills processes by signals
	// uncounted: a terminal may say another number of tests than go test's events have. They run
	// more than once, end without an event, or chance decides how many have a verdict.
	uncounted bool
}

// A judge returns in what xdist's run differs from that of go test.
type judge func(want, got *compare.Model) []string

var splitFaults = []splitFault{
	{name: "mrunTwice-first", module: "mrunTwice", args: []string{"./first"}, judge: sameOutcomes, uncounted: true},
	{name: "mrunTwice-retry", module: "mrunTwice", args: []string{"./retry"}, judge: sameOutcomes, uncounted: true},
	{name: "mrunTwice-many", module: "mrunTwice", args: []string{"./many"}, judge: sameOutcomes, uncounted: true},
	{name: "mrunTwice-green", module: "mrunTwice", args: []string{"./green"}, judge: sameOutcomes, uncounted: true},
	{name: "reexec-passes", module: "reexec", args: []string{"./passes"}, judge: sameOutcomes, uncounted: true},
	{name: "reexec-fails", module: "reexec", args: []string{"./fails"}, judge: sameOutcomes, uncounted: true},
	{name: "reexec-itself", module: "reexec", args: []string{"./itself"}, judge: sameOutcomes, uncounted: true},
	{name: "portExit", module: "portExit", args: []string{"."}, judge: sameVerdicts},
	{name: "portSkip-one", module: "portSkip", args: []string{"./one"}, judge: sameVerdicts},
	{name: "portSkip-two", module: "portSkip", args: []string{"-p=1", "./p1", "./p2"}, judge: sameVerdicts},
	{name: "portSkip-sub", module: "portSkip", args: []string{"./sub"}, judge: sameVerdicts},
	{name: "onRequest-flag", module: "onRequest", args: []string{"./flag"}, judge: sameVerdicts},
	{name: "onRequest-args", module: "onRequest", args: []string{"./args"}, judge: sameVerdicts},
	{name: "serialFile-temp", module: "serialFile", args: []string{"-p=1", "./temp/..."}, judge: sameVerdicts},
	{name: "serialFile-beside", module: "serialFile", args: []string{"-p=1", "./beside/..."}, judge: sameVerdicts},
	{name: "chdir", module: "chdir", args: []string{"."}, judge: sameVerdicts},
	{name: "golden", module: "golden", args: []string{"."}, judge: sameVerdicts},
	{name: "needsEarlier-quick", module: "needsEarlier", args: []string{"./quick"}, judge: sameVerdicts},
	{name: "needsEarlier-slow", module: "needsEarlier", args: []string{"./slow"}, judge: sameVerdicts},
	{name: "needsEarlier-skips", module: "needsEarlier", args: []string{"./skips"}, judge: sameVerdicts},
	{name: "poisonEnv", module: "poisonEnv", args: []string{"."}, judge: sameVerdicts},
	{name: "agentKilled", module: "agentKilled", args: []string{"./..."}, judge: sameVerdicts, unix: true},
	{name: "panicBystander", module: "panicBystander", args: []string{"-parallel=4", "."}, judge: onePanics, uncounted: true},
	{name: "failfast", module: "failfast", args: []string{"-failfast", "./..."}, judge: stopsAtFailures, uncounted: true},
	{name: "exits", module: "exits", args: []string{"./..."}, judge: sameVerdicts, uncounted: true},
	{name: "testmainLeak", module: "testmainLeak", args: []string{"."}, judge: sameVerdicts},
	{name: "failing", module: "failing", args: []string{"./..."}, judge: sameVerdicts},
	{name: "portHang", module: "portHang", args: []string{"-timeout=8s", "."}, judge: sameVerdicts},
}

// place is one cell of the matrix.
type place struct {
	gateways int
	dist     string
}

func (p place) String() string { return fmt.Sprintf("%s-%d", p.dist, p.gateways) }

// flags are those of xdist.
func (p place) flags() []string {
	return []string{"--tx", fmt.Sprintf("%d*popen", p.gateways), "--dist", p.dist}
}

// places are the cells that the i-th fault is run in. Without -splitting.full it is one of five,
// and each fault has another one than its neighbours.
func places(i int) []place {
	if !*splittingFull {
		some := []place{{4, "load"}, {16, "load"}, {4, "worksteal"}, {4, "load"}, {4, "loadscope"}, {1, "load"}}
		return []place{some[i%len(some)]}
	}
	var all []place
	for _, dist := range []string{"load", "loadscope", "worksteal"} {
		for _, gateways := range []int{1, 2, 4, 8, 16} {
			all = append(all, place{gateways, dist})
		}
	}
	return all
}

// TestSplitting holds xdist against go test over modules that are in trouble when they are split.
//
//	go test ./integration -run 'TestSplitting/^portExit$/load-4$' -splitting.full
//
// runs one of them in one mode. With -splitting.full each is run in all modes, -splitting.times
// times: first without a history, and then with that of the first run.
func TestSplitting(t *testing.T) {
	for i, f := range splitFaults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			if f.unix && runtime.GOOS == "windows" {
				t.Skip("skipped: there are no signals")
			}
			w := newSplitWork(t, f)
			want, e := goTest(t, w.fresh(t), w.env(t), f.args...)
			for _, p := range places(i) {
				t.Run(p.String(), func(t *testing.T) {
					w.against(t, want, e, p)
				})
			}
		})
	}
}

// against runs a module in one cell of the matrix.
func (w *splitWork) against(t *testing.T, want *compare.Model, goEnded ended, p place) {
	if !*splittingFull {
		w.run(t, want, goEnded, p, "without a history")
		return
	}
	for range *splittingTimes {
		w.forget(t)
		w.run(t, want, goEnded, p, "without a history")
		w.run(t, want, goEnded, p, "with a history")
	}
}

// splitWork is where the runs of a fault have their copies of its module. All copies have one place
// after the other, since the go command builds again what has moved.
type splitWork struct {
	fault splitFault
	dir   string
	cache string // binaries and history
}

func newSplitWork(t *testing.T, f splitFault) *splitWork {
	tmp := t.TempDir()
	return &splitWork{fault: f, dir: filepath.Join(tmp, "module"), cache: filepath.Join(tmp, "cache")}
}

// fresh replaces the module by a copy that no test has touched.
func (w *splitWork) fresh(t *testing.T) string {
	t.Helper()
	if err := os.RemoveAll(w.dir); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(w.dir, os.DirFS(fixture(t, "splitting/"+w.fault.module))); err != nil {
		t.Fatal(err)
	}
	return w.dir
}

// forget removes what runs have learned.
func (w *splitWork) forget(t *testing.T) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(w.cache, "history")); err != nil {
		t.Fatal(err)
	}
}

// env is the environment of one run: a port and a marker that no other run has.
func (w *splitWork) env(t *testing.T) []string {
	return []string{
		"SPLITTING_PORT=" + strconv.Itoa(unusedPort(t)),
		"SPLITTING_MARKER=" + filepath.Join(t.TempDir(), "killed"),
		"XDIST_CACHE=" + w.cache,
		"XDIST_NO_HISTORY=",
	}
}

var lastPort atomic.Int32

// unusedPort is a port that nobody listens on and that no other caller has. It is below those that
// the system gives out by itself, and below those of XDIST_PORT_BASE.
func unusedPort(t *testing.T) int {
	t.Helper()
	lastPort.CompareAndSwap(0, int32(12000+os.Getpid()%20*300))
	for range 300 {
		port := int(lastPort.Add(1))
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}

// run compares one run with that of go test.
func (w *splitWork) run(t *testing.T, want *compare.Model, goEnded ended, p place, history string) {
	t.Helper()
	args := append(p.flags(), w.fault.args...)
	got, e := runXdist(t, w.fresh(t), w.env(t), args...)
	diffs := w.fault.judge(want, got)
	if (e.status == 0) != (goEnded.status == 0) || e.status > 3 {
		diffs = append(diffs, fmt.Sprintf("exit status %d, go test has %d", e.status, goEnded.status))
	}
	if len(diffs) > 0 {
		t.Errorf("xdist %s, %s:\n%s\nit said: %s", strings.Join(args, " "), history, strings.Join(diffs, "\n"), tail(e.stderr))
	}
}

// sameVerdicts wants each run of each test to end as it does under go test.
func sameVerdicts(want, got *compare.Model) []string {
	var diffs []string
	for _, d := range compare.Compare(want, got, compare.Verdicts, normal()) {
		diffs = append(diffs, d.String())
	}
	return diffs
}

// sameOutcomes is for tests that run more than once in one process, or whose output has that of
// other tests. Each test must have the same outcomes, however often.
func sameOutcomes(want, got *compare.Model) []string {
	return sameVerdicts(onceEach(want), onceEach(got))
}

// onceEach is a model in which no test has an outcome twice, whose stream counts as orderly.
func onceEach(m *compare.Model) *compare.Model {
	c := &compare.Model{Packages: map[string]*compare.Package{}}
	for name, p := range m.Packages {
		cp := &compare.Package{Outcome: p.Outcome, Output: p.Output, FailedBuild: p.FailedBuild, Tests: map[string]*compare.Test{}}
		for test, t := range p.Tests {
			outcomes := slices.Clone(t.Outcomes)
			slices.Sort(outcomes)
			cp.Tests[test] = &compare.Test{Outcomes: slices.Compact(outcomes), Actions: t.Actions, Output: t.Output}
		}
		c.Packages[name] = cp
	}
	return c
}

// onePanics wants the test that panics to be the only one that failed, and the text of the panic in
// its output or in that of a parallel test: the runtime prints it, and it counts as the output of
// whoever spoke last, under go test too. Who else has a verdict there depends on who was first.
func onePanics(want, got *compare.Model) []string {
	var diffs []string
	for name, p := range want.Packages {
		g := got.Packages[name]
		if g == nil || g.Outcome != p.Outcome {
			return []string{fmt.Sprintf("%s is not there or did not %s", name, p.Outcome)}
		}
		wanted := map[string]string{"TestBefore": "pass", "TestLogs": "pass", "TestPanics": "fail", "TestAlsoLogs": "pass"}
		var told []string
		for test, outcome := range wanted {
			t := g.Tests[test]
			if t.Outcome() != outcome {
				diffs = append(diffs, fmt.Sprintf("%s: got %s, want %s", test, t.Outcome(), outcome))
			}
			if t != nil && strings.Contains(t.Output, "panic: the bystander is innocent") {
				told = append(told, test)
			}
		}
		if len(told) != 1 || told[0] == "TestBefore" {
			diffs = append(diffs, fmt.Sprintf("the text of the panic is in the output of %q", told))
		}
	}
	slices.Sort(diffs)
	return diffs
}

// stopsAtFailures wants packages to end with their first failure. All packages of the module have
// the same tests. How many packages have begun by the first failure depends on their speed, with
// either command; xdist ends those that run, and tells it of their tests.
func stopsAtFailures(want, got *compare.Model) []string {
	var diffs []string
	outcomes := map[string]string{"TestA": "pass", "TestB": "pass", "TestC": "fail"}
	for name, p := range got.Packages {
		for test, t := range p.Tests {
			cutShort := strings.Contains(t.Output, "did not come to its end")
			if o := t.Outcome(); o != "none" && o != outcomes[test] && !cutShort {
				diffs = append(diffs, fmt.Sprintf("%s::%s: got %s, want %q or none", name, test, o, outcomes[test]))
			}
		}
	}
	// Which packages begin before the first failure is chance, but for the first of them.
	if first := slices.Min(slices.Collect(maps.Keys(want.Packages))); got.Packages[first] == nil {
		diffs = append(diffs, first+" is not there")
	}
	slices.Sort(diffs)
	return diffs
}
