package gotest

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xdist-go/xdist/gotest/store"
	"github.com/xdist-go/xdist/gotest/test2json"
)

// handoffWord makes the test binary the hand-off program.
const handoffWord = "be-the-handoff-program"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == handoffWord {
		if err := Handoff(context.Background(), os.Args[2:], os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// loaded is what Load had to say.
type loaded struct {
	listed   []Package
	ready    map[string]Ready
	reported map[string]Reported
	output   []test2json.Event
	warnings []string
	profile  string
	runDir   string
}

// loads makes runs of a module that share a store.
type loads struct {
	t     *testing.T
	dir   string
	store *store.Store
	claim *store.Run

	goCommand string // "" is "go"
}

func newLoads(t *testing.T, files map[string]string) *loads {
	t.Helper()
	dir, err := filepath.EvalSymlinks(writeTree(t, files))
	if err != nil {
		t.Fatal(err)
	}
	l := &loads{t: t, dir: dir}
	if l.store, err = store.Open(t.TempDir(), -1, nil); err != nil {
		t.Fatal(err)
	}
	if l.claim, err = l.store.Begin(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.claim.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// config is what Load needs for a command and a platform.
func (l *loads) config(p Platform, runDir string, args ...string) (LoadConfig, error) {
	l.t.Helper()
	toolchain, err := p.FindToolchain(l.t.Context(), "", "")
	if err != nil {
		return LoadConfig{}, err
	}
	c, err := ParseCommand(args, toolchain.GOFLAGS)
	if err != nil {
		l.t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		l.t.Fatal(err)
	}
	return LoadConfig{
		Command: c, Platform: p, Toolchain: toolchain, Store: l.store, Claim: l.claim, RunID: "r", RunDir: runDir, Handoff: []string{self, handoffWord},
		Go: l.goCommand,
	}, nil
}

// load makes the packages of a command for a platform.
func (l *loads) load(p Platform, args ...string) (loaded, error) {
	l.t.Helper()
	l.t.Chdir(l.dir)
	got := loaded{ready: make(map[string]Ready), reported: make(map[string]Reported), runDir: l.t.TempDir()}
	cfg, err := l.config(p, got.runDir, args...)
	if err != nil {
		return got, err
	}
	err = Load(l.t.Context(), cfg, func(e BuildEvent) {
		switch e := e.(type) {
		case Listed:
			got.listed = e.Packages
		case Ready:
			got.ready[e.Package] = e
		case Reported:
			got.reported[e.Package] = e
		case BuildOutput:
			got.output = append(got.output, e.Event)
		case Profile:
			got.profile += string(e.Text)
		case Warning:
			got.warnings = append(got.warnings, e.Text)
		}
	})
	return got, err
}

func (l *loads) mustLoad(p Platform, args ...string) loaded {
	l.t.Helper()
	got, err := l.load(p, args...)
	if err != nil {
		l.t.Fatal(err)
	}
	return got
}

var platformModule = map[string]string{
	"go.mod":              "module example.com/m\n\ngo 1.24\n",
	"p/p.go":              "package p\n\nfunc F() int { return 1 }\n",
	"p/p_test.go":         "package p\n\nimport \"testing\"\n\nfunc TestP(t *testing.T) { F() }\n",
	"p/p_windows_test.go": "package p\n\nimport \"testing\"\n\nfunc TestWindows(t *testing.T) { F() }\n",
}

// Packages without test files are in -coverprofile by what the go command writes there, with
// whatever renaming of paths it builds.
func TestLoadProfile(t *testing.T) {
	files := maps.Clone(platformModule)
	files["q/q.go"] = "package q\n\nfunc F() int { return 1 }\n"
	l := newLoads(t, files)
	for _, p := range []Platform{{}, {Trim: Trim{Root: l.dir, Mirror: "/mirror"}}} {
		const want = "mode: count\nexample.com/m/q/q.go:3.14,3.26 1 0\n"
		if got := l.mustLoad(p, "-covermode=count", "-coverprofile=c.out", "./...").profile; got != want {
			t.Errorf("%+v: profile %q, want %q", p, got, want)
		}
		if got := l.mustLoad(p, "./...").profile; got != "" {
			t.Errorf("%+v: profile %q of a run that wants none", p, got)
		}
	}
}

// A binary of another platform is never run to hand it off, and no platform gets that of another
// from the store.
func TestLoadForOtherPlatforms(t *testing.T) {
	l := newLoads(t, platformModule)
	const path = "example.com/m/p"
	platforms := []struct {
		Platform
		binary  string // file name
		machine elf.Machine
		tests   []string
	}{
		{Platform{}, "p.test", 0, []string{"TestP"}},
		{Platform{GOOS: "linux", GOARCH: "arm64"}, "p.test", elf.EM_AARCH64, []string{"TestP"}},
		{Platform{GOOS: "windows", GOARCH: "amd64"}, "p.test.exe", 0, []string{"TestP", "TestWindows"}},
	}
	digests := make(map[store.Digest]bool)
	// What is built right after its sources were written is not kept, so it takes a second round
	// for all to be.
	for _, round := range []string{"built", "built or not", "from the store"} {
		for _, tt := range platforms {
			if tt.Platform == (Platform{}) && runtime.GOOS == "windows" {
				continue
			}
			got := l.mustLoad(tt.Platform, "./...")
			r := got.ready[path]
			digests[r.Digest] = true
			if fromStore := r.Tests == nil; fromStore != (round == "from the store") && round != "built or not" {
				t.Errorf("%v, %s: the tests of the binary are %v", tt.Platform, round, r.Tests)
			}
			var names []string
			for _, it := range got.listed[0].Items {
				names = append(names, it.Name)
			}
			if !slices.Equal(names, tt.tests) || filepath.Base(r.Binary) != tt.binary {
				t.Errorf("%v, %s: got %s with %q, want %s with %q", tt.Platform, round, r.Binary, names, tt.binary, tt.tests)
			}
			if tt.machine == 0 {
				continue
			}
			f, err := elf.Open(r.Binary)
			if err != nil {
				t.Fatal(err)
			}
			if f.Machine != tt.machine {
				t.Errorf("%v, %s: the binary is for %v", tt.Platform, round, f.Machine)
			}
			f.Close()
		}
	}
	if want := len(platforms); len(digests) != want && runtime.GOOS != "windows" {
		t.Errorf("%d binaries, want %d", len(digests), want)
	}
}

var trimWorkspace = map[string]string{
	"go.work":                "go 1.24\n\nuse ./alpha\nuse ./beta\n",
	"alpha/go.mod":           "module example.com/alpha\n\ngo 1.24\n\nrequire example.com/in v0.0.0\n\nreplace example.com/in => ../in\n",
	"alpha/a.go":             "package alpha\n\nimport (\n\t\"runtime\"\n\n\t\"example.com/in\"\n)\n\nfunc Where() []string { _, f, _, _ := runtime.Caller(0); return append(in.Where(), f) }\n",
	"alpha/a_test.go":        "package alpha\n\nimport (\n\t\"fmt\"\n\t\"testing\"\n)\n\nfunc TestWhere(t *testing.T) { fmt.Println(\"WHERE\", Where()) }\n",
	"beta/go.mod":            "module example.com/beta\n\ngo 1.24\n",
	"beta/sub/b_test.go":     "package sub\n\nimport (\n\t\"fmt\"\n\t\"runtime\"\n\t\"testing\"\n)\n\nfunc TestWhere(t *testing.T) { _, f, _, _ := runtime.Caller(0); fmt.Println(\"WHERE\", []string{f}) }\n",
	"in/go.mod":              "module example.com/in\n\ngo 1.24\n",
	"in/in.go":               "package in\n\nimport \"runtime\"\n\nfunc Where() []string { _, f, _, _ := runtime.Caller(0); return []string{f} }\n",
	"alpha/broken/b.go":      "package broken\n\nfunc F() int { return \"x\" }\n",
	"alpha/vetted/v.go":      "package vetted\n\nimport \"fmt\"\n\nfunc F() { fmt.Printf(\"%d\", \"x\") }\n",
	"alpha/vetted/v_test.go": "package vetted\n\nimport \"testing\"\n\nfunc TestF(t *testing.T) { F() }\n",
	"alpha/broken/b_test.go": "package broken\n\nimport \"testing\"\n\nfunc TestF(t *testing.T) { F() }\n",
}

// What a binary says of its sources leads to the mirror: for all modules of the workspace, and for
// what they replace in the tree.
func TestTrimLeadsToTheMirror(t *testing.T) {
	mirror := t.TempDir()
	want := map[string][]string{
		"example.com/alpha":    {filepath.Join(mirror, "in", "in.go"), filepath.Join(mirror, "alpha", "a.go")},
		"example.com/beta/sub": {filepath.Join(mirror, "beta", "sub", "b_test.go")},
	}
	for _, tt := range []struct {
		name, goflags string
		args          []string
		trimmed       bool
	}{
		{name: "plain", trimmed: true},
		{name: "cover", args: []string{"-cover"}, trimmed: true},
		{name: "all", args: []string{"-gcflags=all=-N"}, trimmed: true},
		{name: "named packages", args: []string{"-gcflags=-N -l"}, trimmed: true},
		{name: "a pattern", args: []string{"-gcflags=example.com/alpha=-N"}, trimmed: true},
		{name: "nothing", args: []string{"-gcflags="}, trimmed: true},
		{name: "GOFLAGS", goflags: "-gcflags=all=-N", trimmed: true},
		{name: "other directory", args: []string{"-C=alpha"}, trimmed: true},
		{name: "trimpath", args: []string{"-trimpath"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLoads(t, trimWorkspace)
			t.Setenv("GOFLAGS", tt.goflags)
			packages := []string{"example.com/alpha", "example.com/beta/sub"}
			got := l.mustLoad(Platform{Trim: Trim{l.dir, mirror}}, append(tt.args, packages...)...)
			for _, path := range packages {
				out, err := exec.Command(got.ready[path].Binary, "-test.run=TestWhere").CombinedOutput()
				if err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
				line, _, _ := strings.Cut(string(out), "\n")
				if is := line == fmt.Sprint("WHERE ", want[path]); is != tt.trimmed {
					t.Errorf("%s says %q, want %q: %v", path, line, want[path], tt.trimmed)
				}
				if strings.Contains(line, l.dir) {
					t.Errorf("%s says %q", path, line)
				}
			}
		})
	}
}

// The compiler gets the flags that the user has for a package, and the renaming.
func TestTrimKeepsTheUsersFlags(t *testing.T) {
	l := newLoads(t, trimWorkspace)
	t.Chdir(l.dir)
	trim := "-trimpath=" + l.dir + "=>/mirror"
	for _, tt := range []struct {
		name, goflags string
		args          []string
		want          map[string]string // by package: what follows the compiler's own flags
	}{
		{"none", "", nil, map[string]string{"alpha": trim, "in": trim}},
		{"all", "", []string{"-gcflags=all=-N -l"}, map[string]string{"alpha": trim + " -N -l", "in": trim + " -N -l"}},
		{"named", "", []string{"-gcflags=-N"}, map[string]string{"alpha": trim + " -N", "in": trim}},
		{"last counts", "", []string{"-gcflags=all=-N", "-gcflags=example.com/in=-l"}, map[string]string{"alpha": trim + " -N", "in": trim + " -l"}},
		{"GOFLAGS and more", "-gcflags=all=-N", []string{"-gcflags=-l"}, map[string]string{"alpha": trim + " -l", "in": trim + " -N"}},
		{"switched off", "", []string{"-gcflags=all=-N", "-gcflags="}, map[string]string{"alpha": trim, "in": trim + " -N"}},
		{"the user's own renaming", "", []string{"-gcflags=-trimpath=x=>y"}, map[string]string{"alpha": trim + " -trimpath=x=>y", "in": trim}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("GOFLAGS", tt.goflags)
			c, err := ParseCommand(append(tt.args, "example.com/alpha"), tt.goflags)
			if err != nil {
				t.Fatal(err)
			}
			if c, err = c.For(Platform{Trim: Trim{l.dir, "/mirror"}}, tt.goflags); err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command("go", append(append([]string{"build", "-a", "-n"}, c.BuildFlags...), "example.com/alpha")...).CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			got := make(map[string]string)
			for line := range strings.Lines(string(out)) {
				for name := range tt.want {
					if strings.Contains(line, " -p example.com/"+name+" ") {
						got[name] = userFlags(line)
					}
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// userFlags are those among the compiler's flags that cmd/go has from -gcflags.
func userFlags(line string) string {
	var flags []string
	for _, f := range strings.Fields(strings.ReplaceAll(line, `"`, "")) {
		if f == "-N" || f == "-l" || strings.HasPrefix(f, "-trimpath=") {
			flags = append(flags, f)
		}
	}
	return strings.Join(flags, " ")
}

// What the compiler and vet have to say is the same with other file names in the binaries.
func TestTrimChangesNoMessages(t *testing.T) {
	l := newLoads(t, trimWorkspace)
	for _, flags := range [][]string{nil, {"-cover"}} {
		args := append(flags, "example.com/alpha/broken", "example.com/alpha/vetted")
		plain, trimmed := l.mustLoad(Platform{}, args...), l.mustLoad(Platform{Trim: Trim{l.dir, "/mirror"}}, args...)
		if len(plain.reported) != 2 || len(plain.output) < 2 {
			t.Fatalf("got %+v", plain)
		}
		if diff := cmp.Diff(messages(plain), messages(trimmed)); diff != "" {
			t.Errorf("%q: (-plain +trimmed):\n%s", flags, diff)
		}
	}
}

func messages(l loaded) []string {
	var lines []string
	for _, e := range l.output {
		lines = append(lines, e.ImportPath+" "+e.Action+" "+e.Output)
	}
	for _, path := range slices.Sorted(maps.Keys(l.reported)) {
		for _, e := range l.reported[path].Events {
			lines = append(lines, path+" "+e.Action+" "+e.Output+e.FailedBuild)
		}
	}
	slices.Sort(lines)
	return lines
}

func TestTrimRefusesPathsThatCannotBeNamed(t *testing.T) {
	dir, err := filepath.Abs("some")
	if err != nil {
		t.Fatal(err)
	}
	for _, trim := range []Trim{
		{filepath.Join(dir, "a=b"), "/m"}, {filepath.Join(dir, "a...b"), "/m"}, {dir, "/m=>n"}, {filepath.Join(dir, "a;b"), "/m"}, {dir, `/m'"`},
	} {
		c := &Command{Dir: dir}
		if got, err := c.For(Platform{Trim: trim}, ""); err == nil {
			t.Errorf("%+v: got %q", trim, got.BuildFlags)
		}
	}
	c := &Command{Dir: filepath.Join(dir, "sub")}
	got, err := c.For(Platform{Trim: Trim{dir, "/m n"}}, "")
	if want := "-gcflags=../...='-trimpath=" + dir + "=>/m n'"; err != nil || !slices.Equal(got.BuildFlags, []string{want}) {
		t.Errorf("got %q, %v, want %q", got.BuildFlags, err, want)
	}
}

var cgoModule = map[string]string{
	"go.mod":           "module example.com/m\n\ngo 1.24\n",
	"only/o.go":        "package only\n\nimport \"C\"\n",
	"only/o_test.go":   "//go:build cgo\n\npackage only\n\nimport \"testing\"\n\nfunc TestOnly(t *testing.T) {}\n\nfunc TestOther(t *testing.T) {}\n",
	"some/s_test.go":   "package some\n\nimport \"testing\"\n\nfunc TestSome(t *testing.T) {}\n",
	"some/c_test.go":   "//go:build cgo\n\npackage some\n\nimport \"testing\"\n\nfunc TestWithC(t *testing.T) {}\n",
	"needed/n.go":      "package needed\n\nimport \"C\"\n\nfunc F() {}\n",
	"needed/n_test.go": "package needed\n\nimport \"testing\"\n\nfunc TestNeeded(t *testing.T) { F() }\n",
}

// foreign is a platform that this one is not.
func foreign() Platform {
	if runtime.GOARCH == "arm64" {
		return Platform{GOOS: "linux", GOARCH: "amd64"}
	}
	return Platform{GOOS: "linux", GOARCH: "arm64"}
}

// The go command says nothing of packages that build constraints take out of its patterns. A run
// must.
func TestLoadTellsOfWhatNeedsCgo(t *testing.T) {
	l := newLoads(t, cgoModule)
	for _, round := range []string{"built", "from the store"} {
		got := l.mustLoad(foreign(), "-run=Only|Some|WithC|Needed", "./...")
		only := got.reported["example.com/m/only"]
		if only.Excluded == "" || only.Events[len(only.Events)-1].Action != "skip" {
			t.Errorf("%s: only: got %+v", round, only)
		}
		var names []string
		for _, p := range got.listed {
			for _, it := range p.Items {
				names = append(names, ID(p.ImportPath, it.Name))
			}
		}
		slices.Sort(names)
		if want := []string{"example.com/m/needed::TestNeeded", "example.com/m/only::TestOnly", "example.com/m/some::TestSome"}; !slices.Equal(names, want) {
			t.Errorf("%s: collected %q, want %q", round, names, want)
		}
		if needed := got.reported["example.com/m/needed"]; len(needed.Events) == 0 || needed.Events[len(needed.Events)-1].Action != "fail" {
			t.Errorf("%s: needed: got %+v", round, needed)
		}
		for _, want := range []string{"m/some: c_test.go needs cgo", "m/needed: some of its code needs cgo"} {
			if !strings.Contains(strings.Join(got.warnings, "\n"), want) {
				t.Errorf("%s: no warning %q in %q", round, want, got.warnings)
			}
		}
	}
	if got := l.mustLoad(foreign(), "./only/..."); got.reported["example.com/m/only"].Excluded == "" {
		t.Errorf("a run of what is left out: got %+v", got)
	}
	if got := l.mustLoad(Platform{}, "./some"); len(got.warnings) > 0 {
		t.Errorf("warnings for the platform that can: %q", got.warnings)
	}
}

func TestEnviron(t *testing.T) {
	f := foreign()
	for _, tt := range []struct {
		p    Platform
		env  []string
		want string
	}{
		{Platform{}, []string{"A=b"}, "A=b"},
		{Platform{Go: "go1.25.3"}, []string{"GOTOOLCHAIN=local"}, "GOTOOLCHAIN=local GOTOOLCHAIN=go1.25.3"},
		{Platform{GOOS: runtime.GOOS, GOARCH: runtime.GOARCH}, []string{"CGO_ENABLED=1"}, "CGO_ENABLED=1 GOOS=" + runtime.GOOS + " GOARCH=" + runtime.GOARCH},
		{f, []string{"CGO_ENABLED=1"}, "CGO_ENABLED=1 GOOS=linux GOARCH=" + f.GOARCH + " CGO_ENABLED=0"},
		{f, []string{"CGO_ENABLED=1", "CC=cross-gcc"}, "CGO_ENABLED=1 CC=cross-gcc GOOS=linux GOARCH=" + f.GOARCH},
	} {
		if got := strings.Join(tt.p.Environ(tt.env), " "); got != tt.want {
			t.Errorf("%v: got %q, want %q", tt.p, got, tt.want)
		}
	}
}

func TestRunDirs(t *testing.T) {
	seen := make(map[string]Platform)
	for _, p := range []Platform{
		{}, {GOOS: "linux", GOARCH: "arm64"}, {GOOS: "linux", GOARCH: "amd64"}, {Go: "go1.25.3"}, {Go: "../.."}, {Go: `a\b`}, {Trim: Trim{"/a", "/b"}}, {Trim: Trim{"/a", "/c"}},
	} {
		dir := p.RunDir("run")
		if had, ok := seen[dir]; ok {
			t.Errorf("%v and %v share %s", had, p, dir)
		}
		seen[dir] = p
		if p != (Platform{}) && filepath.Dir(dir) != "run" {
			t.Errorf("%v has %s", p, dir)
		}
	}
}

func TestToolchainThatCannotBeHad(t *testing.T) {
	t.Setenv("GOPROXY", "off")
	t.Setenv("GOFLAGS", "-modcacherw")
	t.Setenv("GOMODCACHE", t.TempDir())
	for name, want := range map[string]string{
		"go1.22.77": "go1.22.77", "go1.23": "toolchain", "nonsense": "nonsense",
	} {
		_, err := Platform{Go: name}.FindToolchain(t.Context(), "", "")
		var missing *ToolchainError
		if !errors.As(err, &missing) || !strings.Contains(err.Error(), "use toolchain "+name) || !strings.Contains(missing.Err.Error(), want) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	have, err := Platform{}.FindToolchain(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	version, _, _ := strings.Cut(have.GOVERSION, " ")
	if got, err := (Platform{Go: version}).FindToolchain(t.Context(), "", ""); release.MatchString(version) && (err != nil || got.GOVERSION != have.GOVERSION) {
		t.Errorf("the go command's own toolchain: got %v, %v", got, err)
	}
	// A go command that does not know GOTOOLCHAIN runs as it is.
	name := fakeGo(t, `echo '{"GOVERSION": "go1.20.1"}'`)
	if _, err := (Platform{Go: "go1.25.3"}).FindToolchain(t.Context(), name, ""); err == nil || !strings.Contains(err.Error(), "go1.20.1 and takes no notice") {
		t.Errorf("got %v", err)
	}
}
