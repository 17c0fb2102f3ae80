package integration

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xdist-go/xdist/integration/internal/compare"
	"github.com/xdist-go/xdist/integration/sshd"
)

// scenario is one command line that go test and xdist are both given.
type scenario struct {
	name   string
	module string // directory below testdata; "" is fixture
	sub    string // directory below the module
	args   []string
	goArgs []string // for go test, where they differ; see verbose
	env    []string
	dists  []string // "" is load and loadscope
	cc     bool     // needs a C compiler
}

// scenarios are run with two gateways in each of their modes.
var scenarios = []scenario{
	{name: "workspace", module: "workspace", args: []string{"./alpha/...", "./beta/..."}},
	{name: "vendored", module: "vendored", args: []string{"./..."}},
	{name: "order", module: "order", args: []string{"./..."}, dists: []string{"loadscope", "no"}},
	{name: "panics", module: "panics", dists: []string{"load", "loadscope", "worksteal", "no"}},
	{name: "package of the directory", sub: "filter"},
	{name: "files", args: []string{"./filter/filter_test.go"}},
	{name: "broken only", args: []string{"./broken/...", "./both"}},
	{name: "excluded by name", args: []string{"./excluded", "./both"}},
	{name: "no such package", args: []string{"./nosuch", "./both"}},
	{name: "import path", args: []string{"example.com/fixture/both", "example.com/fixture/filter"}},
	{name: "std", args: []string{"path", "unicode/utf8", "container/list"}},

	{name: "race", args: []string{"-race", "./race/...", "./filter"}, cc: true},
	{name: "count", args: []string{"-count=2", "./filter", "./skips", "./parallel", "./names", "./fuzz", "./examples", "./noise"}},
	{name: "cpu", args: []string{"-cpu=1,2", "./filter", "./parallel", "./skips", "./fails"}},
	{name: "count and cpu", args: []string{"-count=2", "-cpu", "1,2", "./filter"}},
	{name: "short", args: []string{"-short", "./skips", "./ownflags"}},
	{name: "run", args: []string{"-run", "A/b|C", "./filter", "./both", "./names"}},
	{name: "run subtest", args: []string{"-run=TestA$/^b$", "./filter"}},
	{name: "run odd names", args: []string{"-run", `TestOdd/pipe\|pipe|TestOdd/paren\(|Odd/日本`, "./names"}},
	{name: "run one example", args: []string{"-run=^Example", "./examples", "./both"}},
	{name: "run nothing in some", args: []string{"-run=^TestAnswer$", "./command", "./both", "./nofiles"}},
	{name: "skip", args: []string{"-skip", "B|A/c|D", "./filter", "./both"}},
	{name: "run and skip", args: []string{"-run=A", "-skip=A/b", "./filter"}},
	{name: "shuffle", args: []string{"-shuffle=123", "./shuffled", "./filter", "./failfast"}},
	{name: "failfast", args: []string{"-failfast", "./failfast"}},
	// With -json and -v, go test runs binaries with -test.v=true, whose output lets it attribute
	// less than what -json alone does (-test.v=test2json). xdist always has the better one: -v is a
	// matter of the console.
	{name: "verbose", args: []string{"-v", "./filter", "./noise", "./nofiles"}, goArgs: []string{"./filter", "./noise", "./nofiles"}},
	{name: "parallel", args: []string{"-parallel=1", "./parallel"}},
	{name: "own flags", args: []string{"./ownflags", "-update", "-level=3"}},
	{name: "args", args: []string{"./ownflags", "-args", "-level=4", "a", "b c", "-x"}},
	{name: "tags", args: []string{"-tags", "extra", "./tagged", "./both"}},
	{name: "GOFLAGS", args: []string{"./tagged"}, env: []string{"GOFLAGS=-tags=extra"}},
	{name: "vet off", args: []string{"-vet=off", "./broken/vet", "./broken/vetname"}},
	{name: "vet all", args: []string{"-vet=all", "./fails", "./both"}},
	{name: "trimpath", args: []string{"-trimpath", "./environ"}},
	{name: "fullpath", args: []string{"-fullpath", "./fails"}},
	{name: "ldflags", args: []string{"-ldflags=-s -w", "./both"}},
	{name: "environment", args: []string{"./environ"}, env: []string{"FIXTURE_CALLER=x y=z\tü"}},
	{name: "timeout", args: []string{"-timeout=3s", "./crash/hangs", "./both"}},
	{name: "leaked child", args: []string{"-timeout=40s", "./crash/leak", "./both"}},
	{name: "bench", args: []string{"-bench=.", "-benchtime=1x", "./benchonly", "./filter"}},
	{name: "bench alone", args: []string{"-run=^$", "-bench=Quick", "-benchtime=1x", "./benchonly"}},
	{name: "cover", args: []string{"-cover", "./cover/..."}},
	{name: "cover atomic", args: []string{"-covermode=atomic", "./cover/...", "./fails"}},
	{name: "coverpkg", args: []string{"-coverpkg=./cover/...", "./cover/..."}},
}

// TestScenarios holds xdist against go test with the flags of each scenario.
func TestScenarios(t *testing.T) {
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel() // most of the time goes into waiting for leaked children and timeouts
			if s.cc {
				needC(t)
			}
			if s.module == "" {
				s.module = "fixture"
			}
			if s.dists == nil {
				s.dists = []string{"load", "loadscope"}
			}
			dir := filepath.Join(fixture(t, s.module), s.sub)
			if s.goArgs == nil {
				s.goArgs = s.args
			}
			want, _ := goTest(t, dir, s.env, s.goArgs...)
			for _, dist := range s.dists {
				against(t, want, dir, s, "2*popen", dist)
			}
		})
	}
}

// everything is what go test says of the whole fixture, asked once.
var everything struct {
	once  sync.Once
	model *compare.Model
	ended ended
}

func goTestEverything(t *testing.T) (*compare.Model, ended) {
	t.Helper()
	everything.once.Do(func() { everything.model, everything.ended = goTest(t, fixture(t, "fixture"), nil, "./...") })
	if everything.model == nil {
		t.Fatal("go test of the fixture failed in an earlier test")
	}
	return everything.model, everything.ended
}

// TestFidelity holds xdist against go test over all traps, with one gateway, two and five.
func TestFidelity(t *testing.T) {
	want, goEnded := goTestEverything(t)
	if goEnded.status != 1 {
		t.Fatalf("go test ended with %d: %s", goEnded.status, goEnded.stderr)
	}
	for _, tx := range []string{"1*popen", "2*popen", "5*popen"} {
		for _, dist := range []string{"load", "loadscope"} {
			if tx == "1*popen" && dist != "load" {
				continue // packages run whole with one gateway, whatever the mode
			}
			t.Run(tx+" "+dist, func(t *testing.T) {
				if testing.Short() && tx != "2*popen" {
					t.Skip("-short: two gateways only")
				}
				against(t, want, fixture(t, "fixture"), scenario{args: []string{"./..."}}, tx, dist)
			})
		}
	}
}

// against runs xdist for the scenario and compares it with what go test said.
func against(t *testing.T, want *compare.Model, dir string, s scenario, tx, dist string) {
	t.Helper()
	got, e := runXdist(t, dir, s.env, append([]string{"--tx", tx, "--dist", dist}, s.args...)...)
	depth := compare.Split
	if dist != "load" || tx == "1*popen" {
		depth = compare.Whole
	}
	for _, d := range compare.Compare(want, got, depth, normal()) {
		t.Error(d)
	}
	if status := statusOf(want); e.status != status {
		t.Errorf("exit status %d, want %d (%s)\n%s", e.status, status, want.Verdict(), tail(e.stderr))
	}
	if t.Failed() {
		t.Logf("xdist --tx %s --dist %s %s", tx, dist, strings.Join(s.args, " "))
	}
}

func normal() compare.Normal { return compare.Normal{Temp: []string{os.TempDir()}} }

// statusOf is the exit status of xdist for what go test said.
func statusOf(m *compare.Model) int {
	return map[compare.Verdict]int{compare.Passed: 0, compare.TestsFailed: 1, compare.BuildFailed: 3}[m.Verdict()]
}

func tail(s string) string { return s[max(0, len(s)-2000):] }

// TestCoverProfiles compares the profiles that both write, line by line: a split package's counters
// are summed, and packages without tests are in it.
func TestCoverProfiles(t *testing.T) {
	for _, tt := range []struct{ flags, dists []string }{
		{[]string{"-covermode=set"}, []string{"load", "loadscope"}},
		{[]string{"-covermode=count"}, []string{"load", "loadscope"}},
		{[]string{"-covermode=atomic"}, []string{"load"}}, // a whole package's has nothing to add up, as with count
		{[]string{"-covermode=count", "-coverpkg=./cover/..."}, []string{"load", "loadscope"}},
		{[]string{"-covermode=count", "-count=2"}, []string{"load"}},
	} {
		want := goProfile(t, fixture(t, "fixture"), nil, append(tt.flags, "./cover/..."))
		for _, dist := range tt.dists {
			t.Run(strings.Join(tt.flags, " ")+" "+dist, func(t *testing.T) {
				want.compare(t, "--tx", "2*popen", "--dist", dist)
			})
		}
	}
}

// TestCoverProfilesOfHosts is TestCoverProfiles with gateways that have files of their own.
func TestCoverProfilesOfHosts(t *testing.T) {
	box, builder, mirror := sshd.Start(t, sshd.Options{}).Spec(), goHost(t, "builder"), t.TempDir()
	for _, tt := range []struct {
		name      string
		tx, flags []string
	}{
		{"ssh", []string{"--tx", "2*" + box}, []string{"-covermode=set"}},
		{"ssh coverpkg", []string{"--tx", "2*" + box}, []string{"-covermode=count", "-coverpkg=./cover/..."}},
		{"popen and ssh", []string{"--tx", "popen", "--tx", box}, []string{"-covermode=count"}},
		{"build=remote", []string{"--tx", "2*" + builder}, []string{"-covermode=count", "-coverpkg=./cover/..."}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			goProfile(t, fixture(t, "fixture"), nil, append(tt.flags, "./cover/...")).compare(t, append(tt.tx, "--mirror-dir", mirror)...)
		})
	}
}

// TestCoverProfilesCountBeginningsOnce splits a package that has initialisers and a TestMain. They
// have run once by the profile, as by that of go test, and not once for each process. What runs in
// one process has no other for that.
func TestCoverProfilesCountBeginningsOnce(t *testing.T) {
	module := fixture(t, "begins")
	sshLog := filepath.Join(t.TempDir(), "log")
	ssh := []string{"--tx", "popen", "--tx", "2*" + sshd.Start(t, sshd.Options{Env: []string{"BEGINS_LOG=" + sshLog}}).Spec(), "--min-nodes", "3", "--mirror-dir", t.TempDir()}
	for _, tt := range []struct {
		name      string
		options   []string
		flags     []string
		processes int // at least, but for go test's; 1 is no others
	}{
		{"count", []string{"--tx", "3*popen"}, []string{"-covermode=count"}, 3},
		{"atomic, all packages, twice", []string{"--tx", "3*popen"}, []string{"-covermode=atomic", "-coverpkg=./...", "-count=2"}, 3},
		{"ssh", ssh, []string{"-covermode=count"}, 3},
		{"set", []string{"--tx", "3*popen"}, []string{"-covermode=set"}, 2},
		{"whole", []string{"--tx", "3*popen", "--dist", "loadscope"}, []string{"-covermode=count"}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			log := sshLog
			if tt.name != "ssh" {
				t.Parallel() // most of the time goes into the fixture's waits
				log = filepath.Join(t.TempDir(), "log")
			}
			goProfile(t, module, []string{"BEGINS_LOG=" + log}, append(tt.flags, "./...")).compare(t, tt.options...)
			text, err := os.ReadFile(log)
			n := strings.Count(string(text), "\n") - 1
			if err != nil || n < tt.processes || tt.processes == 1 && n > 1 {
				t.Errorf("xdist ran %d processes, want %d (%v)", n, tt.processes, err)
			}
		})
	}
}

// TestCoverProfilesIdleRunHangs has a TestMain that does not end without tests: the run does, is
// green, and says what the profile has instead.
func TestCoverProfilesIdleRunHangs(t *testing.T) {
	profile := filepath.Join(t.TempDir(), "cover.out")
	_, e := runXdist(t, fixture(t, "begins"), []string{"BEGINS_HANG=1"}, "--tx", "3*popen", "-covermode=count", "-coverprofile="+profile, "./...")
	const warning = "a run without tests failed: it had not ended after 5s"
	if e.status != 0 || strings.Count(e.stderr, warning) != 1 {
		t.Errorf("exit status %d, want 0 and %q\n%s", e.status, warning, tail(e.stderr))
	}
	if lines := profileLines(t, profile); len(lines) != 13 {
		t.Errorf("the profile has %d lines, want 13:\n%s", len(lines), strings.Join(lines, "\n"))
	}
}

// profiled is what go test has said and written in a module.
type profiled struct {
	module string
	env    []string
	args   []string
	said   *compare.Model
	lines  []string
}

func goProfile(t *testing.T, module string, env, args []string) profiled {
	t.Helper()
	file := filepath.Join(t.TempDir(), "go.out")
	said, _ := goTest(t, module, env, append([]string{"-coverprofile=" + file}, args...)...)
	return profiled{module, env, args, said, profileLines(t, file)}
}

// compare runs xdist with options of its own, and compares what it says and writes.
func (p profiled) compare(t *testing.T, options ...string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "xdist.out")
	got, e := runXdist(t, p.module, p.env, slices.Concat(options, []string{"-coverprofile=" + file}, p.args)...)
	for _, d := range compare.Compare(p.said, got, compare.Split, normal()) {
		t.Error(d)
	}
	if e.status != 0 || strings.Contains(e.stderr, "a run without tests failed") {
		t.Errorf("exit status %d\n%s", e.status, tail(e.stderr))
	}
	if diff := cmp.Diff(p.lines, profileLines(t, file)); diff != "" {
		t.Errorf("profile (-go test +xdist):\n%s", diff)
	}
}

func profileLines(t *testing.T, path string) []string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	mode, blocks, _ := strings.Cut(strings.TrimSpace(string(b)), "\n")
	lines := strings.Split(blocks, "\n")
	slices.Sort(lines)
	return append([]string{mode}, lines...)
}

// TestArtifacts looks for the files of -artifacts below -outputdir.
func TestArtifacts(t *testing.T) {
	dir := fixture(t, "fixture")
	for _, dist := range []string{"load", "loadscope"} {
		t.Run(dist, func(t *testing.T) {
			goOut, ourOut := t.TempDir(), t.TempDir()
			want, _ := goTest(t, dir, nil, "-artifacts", "-outputdir="+goOut, "./artifacts")
			got, e := runXdist(t, dir, nil, "--tx", "2*popen", "--dist", dist, "-artifacts", "-outputdir="+ourOut, "./artifacts")
			for _, d := range compare.Compare(want, got, compare.Split, normal()) {
				t.Error(d)
			}
			if e.status != 0 {
				t.Errorf("exit status %d\n%s", e.status, tail(e.stderr))
			}
			if g, w := files(t, ourOut), files(t, goOut); !slices.Equal(g, w) || len(w) == 0 {
				t.Errorf("got files %q, want %q", g, w)
			}
		})
	}
}

// files are the base names of all regular files below dir.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			names = append(names, d.Name())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	return names
}

// blamedByXdistOnly are the tests that end their process in a way that go test attributes to no
// test.
var blamedByXdistOnly = []string{
	"example.com/fixture/crash/exit3::TestExits", "example.com/fixture/crash/fatal::TestFatal",
	"example.com/fixture/crash/killed::TestKilled", "example.com/fixture/crash/panicgo::TestPanics",
}

// TestComparisonBites holds go test against itself, where only what xdist does better may differ,
// and against streams that were tampered with, where each change must be found.
func TestComparisonBites(t *testing.T) {
	want, e := goTestEverything(t)
	again, _ := goTest(t, fixture(t, "fixture"), nil, "./...")
	var blamed []string
	for _, d := range compare.Compare(want, again, compare.Whole, normal()) {
		switch {
		case d.What == "outcome of the test that ended the process":
			blamed = append(blamed, d.Package+"::"+d.Test)
		case d.What == "stream" && strings.HasPrefix(d.Got, "example.com/fixture/output/closes: "): // go test loses the end of this package
		default:
			t.Errorf("go test differs from itself: %v", d)
		}
	}
	if !slices.Equal(blamed, blamedByXdistOnly) {
		t.Errorf("tests that end their process without a verdict: %q, want %q", blamed, blamedByXdistOnly)
	}
	tamper(t, e.stdout)
}

// tamper takes one line in each 20 out of a stream and looks whether Compare notices.
func tamper(t *testing.T, stream string) {
	t.Helper()
	lines := slices.DeleteFunc(strings.SplitAfter(stream, "\n"), func(line string) bool { return !matters(line) })
	read := func(lines []string) *compare.Model {
		m, err := compare.Read(strings.NewReader(strings.Join(lines, "")))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	want, tried := read(lines), 0
	for at := 7; at < len(lines)-1; at += 20 {
		tried++
		if len(compare.Compare(want, read(slices.Delete(slices.Clone(lines), at, at+1)), compare.Whole, normal())) == 0 {
			t.Errorf("nothing noticed without line %d: %s", at+1, lines[at])
		}
	}
	if tried < 50 {
		t.Errorf("only %d lines tried", tried)
	}
}

// matters reports whether the loss of this line has to be noticed and is quickly tried: not the 5
// MB of output, a stack or the tests of a crashed package.
func matters(line string) bool {
	return !slices.ContainsFunc([]string{"/crash/", "/testmain/panics", "/output/closes", "/output/flood", "/output/long", `"build-output"`, `"build-fail"`}, func(s string) bool {
		return strings.Contains(line, s)
	})
}

// TestFixtureHasItsTraps keeps the fixture honest: what each trap is for is what go test sees in
// it.
func TestFixtureHasItsTraps(t *testing.T) {
	m, _ := goTestEverything(t)
	for _, c := range []struct{ pkg, outcome, says string }{
		{"broken/pkg", "fail", "[build failed]"},
		{"broken/testfile", "fail", "[build failed]"},
		{"broken/usesone", "fail", "[build failed]"},
		{"broken/usestwo", "fail", "[build failed]"},
		{"broken/dep", "fail", "[build failed]"},
		{"broken/vet", "fail", "[build failed]"},
		{"broken/vetname", "fail", "[build failed]"},
		{"broken/signature", "fail", "[setup failed]"},
		{"broken/syntax", "fail", "[setup failed]"},
		{"setup/missingpkg", "fail", "[setup failed]"},
		{"setup/missingmod", "fail", "[setup failed]"},
		{"setup/cyclea", "fail", "[setup failed]"},
		{"setup/testcycle", "fail", "[setup failed]"},
		{"setup/twonames", "fail", "[setup failed]"},
		{"nofiles", "skip", "[no test files]"},
		{"benchonly", "pass", "[no tests to run]"},
		{"testmain/exit0", "pass", "skipping all of it\nok"},
		{"testmain/exit3", "fail", "PASS\nFAIL\t"},
		{"testmain/after", "fail", "PASS\ncheck after the tests"},
		{"testmain/hides", "pass", "FAIL\nok"},
		{"testmain/panics", "fail", "panic: in TestMain"},
		{"crash/panicinit", "fail", "panic: in init"},
		{"noise", "fail", "init by println"},
	} {
		p := m.Packages["example.com/fixture/"+c.pkg]
		if p == nil || p.Outcome != c.outcome || !strings.Contains(p.Output, c.says) {
			t.Errorf("%s: got %+v, want %s with %q", c.pkg, p, c.outcome, c.says)
		}
	}
	names := slices.Sorted(maps.Keys(m.Packages))
	if slices.Contains(names, "example.com/fixture/excluded") {
		t.Error("excluded is not excluded")
	}
	if len(names) < 60 {
		t.Errorf("only %d packages", len(names))
	}
}
