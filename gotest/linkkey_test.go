package gotest

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var keyModule = map[string]string{
	"go.mod":              "module example.com/m\n\ngo 1.25\n\nrequire example.com/dep v1.0.0\n\nreplace example.com/dep => ./dep\n",
	"dep/go.mod":          "module example.com/dep\n\ngo 1.25\n",
	"dep/dep.go":          "package dep\nconst X = 1\n",
	"p/p.go":              "package p\nimport (\n_ \"embed\"\n\"example.com/dep\"\n\"example.com/m/q\"\n)\nvar X = dep.X + q.X\n//go:embed data/text\nvar Text string\n",
	"p/data/text":         "text",
	"p/p_test.go":         "package p\nimport \"testing\"\nfunc TestP(t *testing.T) {}\n",
	"p/x_test.go":         "package p_test\nimport (\n_ \"embed\"\n\"testing\"\n)\n//go:embed testdata/embedded\nvar e string\nfunc TestX(t *testing.T) {}\n",
	"p/testdata/embedded": "e",
	"p/testdata/read":     "only read",
	"p/never.go":          "//go:build never\n\npackage p\n",
	"q/q.go":              "package q\nconst X = 1\n",
	"r/r_test.go":         "package r\nimport \"testing\"\nfunc TestR(t *testing.T) {}\n",
	"s/s.go":              "package s\nimport _ \"example.com/m/q\"\n",
}

// keys lists dir with Export and returns the link keys by the last element of the import path.
func keys(t *testing.T, dir, line string, env ...string) map[string]string {
	t.Helper()
	m := make(map[string]string)
	for _, p := range mustList(t, dir, line, true, env...).Packages {
		if p.Err != "" {
			t.Fatalf("%s: %s", p.ImportPath, p.Err)
		}
		m[filepath.Base(p.ImportPath)] = p.LinkKey
	}
	return m
}

// changed names the packages whose keys differ.
func changed(before, after map[string]string) string {
	var names []string
	for name, key := range before {
		if after[name] != key {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

func TestLinkKeyFollowsTheSources(t *testing.T) {
	dir := writeTree(t, keyModule)
	before := keys(t, dir, "./...")
	for name, key := range before {
		if len(key) != 64 {
			t.Fatalf("%s has the key %q", name, key)
		}
	}
	for _, c := range []struct {
		what, file, old, new string
		want                 string // the packages whose keys change
	}{
		{"a dependency's constant", "q/q.go", "X = 1", "X = 2", "p q s"},
		{"a dependency's comment", "q/q.go", "X = 1", "X = 1 // c", "p q s"},
		{"a file more in a dependency", "q/new.go", "", "package q\n", "p q s"},
		{"the test file", "p/p_test.go", "{}", "{ t.Log() }", "p"},
		{"the external test file", "p/x_test.go", "{}", "{ t.Log() }", "p"},
		{"a test file more", "r/new_test.go", "", "package r_test\n", "r"},
		{"an embedded file", "p/data/text", "text", "next", "p"},
		{"a test's embedded file", "p/testdata/embedded", "e", "f", "p"},
		{"a file that tests read", "p/testdata/read", "only", "just", ""},
		{"an ignored file", "p/never.go", "never", "never && x", "p"},
		{"a foreign file", "p/README", "", "text", ""},
		{"a dependency of another module", "dep/dep.go", "X = 1", "X = 2", "p"},
		{"a module's version", "go.mod", "v1.0.0", "v1.1.0", "p q r s"},
		{"the language version", "go.mod", "go 1.25", "go 1.26", "p q r s"},
		{"the module's GODEBUG", "go.mod", "go 1.25\n", "go 1.25\n\ngodebug panicnil=1\n", "p q r s"},
		{"a test's GODEBUG", "r/r_test.go", "package", "//go:debug panicnil=1\npackage", "r"},
	} {
		name := filepath.Join(dir, filepath.FromSlash(c.file))
		old, err := os.ReadFile(name)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		if c.old != "" && !strings.Contains(string(old), c.old) {
			t.Fatalf("%s: %q is not in %s", c.what, c.old, c.file)
		}
		text := c.new
		if c.old != "" {
			text = strings.Replace(string(old), c.old, c.new, 1)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := changed(before, keys(t, dir, "./...")); got != c.want {
			t.Errorf("%s changes the keys of %q, want %q", c.what, got, c.want)
		}
		if old == nil {
			err = os.Remove(name)
		} else {
			err = os.WriteFile(name, old, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}

	later := time.Now().Add(time.Hour)
	for file := range keyModule {
		if err := os.Chtimes(filepath.Join(dir, filepath.FromSlash(file)), later, later); err != nil {
			t.Fatal(err)
		}
	}
	if got := changed(before, keys(t, dir, "./...")); got != "" {
		t.Errorf("the restored tree with other times has other keys for %q", got)
	}
	if got := changed(keys(t, dir, "./p ./r"), before); got != "" {
		t.Errorf("listed by themselves packages have other keys: %q", got)
	}
	if got := changed(before, keys(t, writeTree(t, keyModule), "./...")); got != "p q r s" {
		t.Errorf("a copy of the module has its own paths in it, but only other keys for %q", got)
	}
}

func TestLinkKeyFollowsTheSettings(t *testing.T) {
	dir := writeTree(t, keyModule)
	before := keys(t, dir, "./r ./s")
	for _, c := range []struct {
		line, env string
		want      string
	}{
		{"-v -count=3 -run X -short -p=1 -x -work", "", ""},
		{"-ldflags=-X=main.x=y", "", "r s"},
		{"-ldflags=-s", "", "r s"},
		{"-tags=x", "", "r s"},
		{"-buildmode=exe", "", "r s"},
		{"-vet=off", "", "r s"},
		{"", "GOFLAGS=-ldflags=-s", "r s"},
		{"", "GO_EXTLINK_ENABLED=0", "r s"},
		{"", "CGO_LDFLAGS=-lm", "r s"},
		{"", "CC=other", "r s"},
		{"", "HOME=" + t.TempDir() + "\x00GOCACHE=" + goCache(t), ""},
		{"", "SOME_VARIABLE=x", ""},
	} {
		if got := changed(before, keys(t, dir, "./r ./s "+c.line, strings.Split(c.env, "\x00")...)); got != c.want {
			t.Errorf("%s %s changes the keys of %q, want %q", c.env, c.line, got, c.want)
		}
	}
	for _, line := range []string{"-cover", "-coverpkg=./...", "-fuzz=F ./r", "-toolexec=env", "-linkshared -n"} {
		c, err := ParseCommand(append([]string{"-C=" + dir, "./r"}, strings.Fields(line)...), "")
		if err != nil {
			t.Fatal(err)
		}
		in := newLinkInputs(ListConfig{Command: c, Env: goEnv()}, nil, nil)
		if !in.refused {
			t.Errorf("%s has link keys", line)
		}
	}
	c, err := ParseCommand(nil, "")
	if err != nil {
		t.Fatal(err)
	}
	if in := newLinkInputs(ListConfig{Command: c}, map[string]string{"GOFLAGS": "'-toolexec=a b'"}, nil); !in.refused {
		t.Error("-toolexec in GOFLAGS has link keys")
	}
}

func goCache(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// TestLinkKeyIgnoresTheRepository: go test stamps no test binary with the state of the repository
// unless it is told to.
func TestLinkKeyIgnoresTheRepository(t *testing.T) {
	git, err := exec.LookPath("git")
	if err != nil {
		t.Skip("needs git: ", err)
	}
	dir := writeTree(t, keyModule)
	before := keys(t, dir, "./...")
	for _, args := range [][]string{{"init", "-q"}, {"add", "."}, {"-c", "commit.gpgsign=false", "-c", "user.name=n", "-c", "user.email=e@example.com", "commit", "-q", "-m", "m"}} {
		cmd := exec.Command(git, args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %q: %v\n%s", args, err, out)
		}
	}
	if got := changed(before, keys(t, dir, "./...")); got != "" {
		t.Errorf("a commit changes the keys of %q", got)
	}
}

func TestNoLinkKeyWithForeignLibraries(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	listed := func() []listedPackage {
		return []listedPackage{
			{ImportPath: "runtime", BuildID: "r/r", Standard: true},
			{ImportPath: "unsafe", Standard: true},
			{ImportPath: "m", Dir: dir, BuildID: "m/m", Imports: []string{"unsafe", "c"}, IgnoredGoFiles: []string{"i.go"}, Match: []string{"./..."}},
			{ImportPath: "c", BuildID: "c/c", Imports: []string{"C"}},
		}
	}
	key := func(change func([]listedPackage)) string {
		packages := listed()
		change(packages)
		c, err := ParseCommand(nil, "")
		if err != nil {
			t.Fatal(err)
		}
		return newLinkInputs(ListConfig{Command: c}, nil, packages).linkKey("m")
	}
	if k := key(func([]listedPackage) {}); k != "" {
		t.Errorf("key %q although an ignored file cannot be read", k)
	}
	if err := os.WriteFile(file("i.go"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if k := key(func([]listedPackage) {}); k == "" {
		t.Fatal("no key at all")
	}
	for what, change := range map[string]func([]listedPackage){
		"linker flags":                     func(p []listedPackage) { p[3].CgoLDFLAGS = []string{"-lx"} },
		"pkg-config":                       func(p []listedPackage) { p[3].CgoPkgConfig = []string{"x"} },
		"no build id":                      func(p []listedPackage) { p[3].BuildID = "" },
		"an import that is not known":      func(p []listedPackage) { p[3].Imports = []string{"gone"} },
		"cgo, whose imports are not known": func(p []listedPackage) { p[3].CgoFiles = []string{"c.go"} },
		"an error":                         func(p []listedPackage) { p[2].Error = &listedError{Err: "# m\nx"} },
		"a dependency's error":             func(p []listedPackage) { p[2].DepsErrors = []*listedError{{Err: "# c\nx"}} },
		"tests without their main package": func(p []listedPackage) { p[2].TestGoFiles = []string{"a_test.go"} },
	} {
		if k := key(change); k != "" {
			t.Errorf("%s: has the key %q", what, k)
		}
	}
}

// TestClosureIsGosDeps compares what is taken to be linked with go list's own reckoning, for
// packages with and without cgo.
func TestClosureIsGosDeps(t *testing.T) {
	cmd := exec.Command("go", "list", "-e", "-test", "-deps", "-json=Deps,"+listFields+exportFields, "strings", "net", "os/user", "plugin", "encoding/json")
	cmd.Env = goEnv()
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	deps := make(map[string][]string)
	var listed []listedPackage
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			listedPackage
			Deps []string
		}
		if err := dec.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		listed = append(listed, p.listedPackage)
		if strings.HasSuffix(p.ImportPath, ".test") {
			deps[p.ImportPath] = append(p.Deps, p.ImportPath)
		}
	}
	c, err := ParseCommand(nil, "")
	if err != nil {
		t.Fatal(err)
	}
	in := newLinkInputs(ListConfig{Command: c}, nil, listed)
	for name, want := range deps {
		slices.Sort(want)
		got, ok := in.closure(name)
		if diff := cmp.Diff(want, got); diff != "" || !ok {
			t.Errorf("%s (-go list +ours):\n%s", name, diff)
		}
	}
	if len(deps) != 5 {
		t.Errorf("compared %d packages", len(deps))
	}
}

func TestChangedSince(t *testing.T) {
	dir := writeTree(t, keyModule)
	// A while ago, so that the files' own times are before it by more than the clock's slack.
	age := time.Now().Add(-time.Hour)
	l := mustList(t, dir, "./...", true)
	for _, p := range l.Packages {
		if !l.ChangedSince(p, age) {
			t.Errorf("%s: its files were made within the hour", p.ImportPath)
		}
		if l.ChangedSince(p, time.Now().Add(time.Hour)) {
			t.Errorf("%s has changed in the future", p.ImportPath)
		}
		if !(&Listing{}).ChangedSince(p, time.Now().Add(time.Hour)) {
			t.Error("a listing without Export knows of no change")
		}
	}
	for _, c := range []struct{ file, text, want string }{
		{"q/q.go", "package q\nconst X = 3\n", "p q s"},
		{"q/new.go", "package q\n", "p q s"},
		{"q/note.txt", "", "p q s"}, // no source, but its directory has changed as when a source is removed
		{"dep/dep.go", "package dep\nconst X = 3\n", "p"},
		{"p/data/text", "other", "p"},
		{"p/testdata/embedded", "other", "p"},
		{"p/testdata/read", "other", ""},
		{"p/p_test.go", "package p\n", "p"},
		{"p/never.go", "//go:build never\n\npackage p\n//\n", "p"},
		{"go.sum", "", "p q r s"},
		{"r/r_test.go", "", "r"},
	} {
		l := mustList(t, dir, "./...", true)
		since := lastChange(t, dir).Add(2 * clockSlack)
		for probe := filepath.Join(t.TempDir(), "probe"); !lastChange(t, filepath.Dir(probe)).After(since); {
			if err := os.WriteFile(probe, nil, 0o644); err != nil { // until the file system's clock has passed since
				t.Fatal(err)
			}
		}
		name := filepath.Join(dir, filepath.FromSlash(c.file))
		if err := os.WriteFile(name, []byte(c.text), 0o644); err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, p := range l.Packages {
			if l.ChangedSince(p, since) {
				names = append(names, filepath.Base(p.ImportPath))
			}
		}
		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("%s: %q changed, want %q", c.file, got, c.want)
		}
		if text, ok := keyModule[c.file]; ok {
			if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		} else if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
}

// lastChange is the newest change of any file below dir.
func lastChange(t *testing.T, dir string) time.Time {
	t.Helper()
	var last time.Time
	err := filepath.WalkDir(dir, func(name string, _ os.DirEntry, err error) error {
		if c := changeTime(name); c.After(last) {
			last = c
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return last
}

// What is in a library that only CGO_LDFLAGS or -extldflags names is in no key, so cgo packages
// have none then.
func TestNoLinkKeyWithLibrariesFromOutside(t *testing.T) {
	if _, err := exec.LookPath("cc"); err != nil {
		t.Skip("needs a C compiler: ", err)
	}
	dir := writeTree(t, map[string]string{
		"go.mod":      "module example.com/m\n\ngo 1.25\n",
		"c/c.go":      "package c\nimport \"C\"\nfunc F() {}\n",
		"c/c_test.go": "package c\nimport \"testing\"\nfunc TestC(t *testing.T) {}\n",
		"p/p_test.go": "package p\nimport \"testing\"\nfunc TestP(t *testing.T) {}\n",
	})
	if k := keys(t, dir, "./..."); k["c"] == "" || k["p"] == "" {
		t.Fatalf("keys %v, want one for each package", k)
	}
	for _, c := range []struct{ line, env string }{{"", "CGO_LDFLAGS=-lm"}, {"-ldflags=-extldflags=-lm", "X="}, {"", "GOFLAGS=-ldflags=-extldflags=-lm"}} {
		if k := keys(t, dir, "./... "+c.line, c.env); k["c"] != "" || k["p"] == "" {
			t.Errorf("%s %s: keys %v, want one for p alone", c.env, c.line, k)
		}
	}
}

func TestChangedSinceSeesWhatIsGone(t *testing.T) {
	dir := writeTree(t, map[string]string{
		"go.mod":      "module example.com/m\n\ngo 1.25\n",
		"p/p_test.go": "package p\nimport \"testing\"\nfunc TestP(t *testing.T) {}\n",
		"p/q_test.go": "package p\n",
	})
	began := time.Now()
	if err := os.Remove(filepath.Join(dir, "p", "q_test.go")); err != nil {
		t.Fatal(err)
	}
	listing := mustList(t, dir, "./...", true)
	if !listing.ChangedSince(listing.Packages[0], began) {
		t.Error("a test file was removed and the package counts as unchanged")
	}
}
