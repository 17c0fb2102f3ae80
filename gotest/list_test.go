package gotest

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

// list runs List in dir.
func list(t *testing.T, dir, line string, export bool, env ...string) (*Listing, error) {
	t.Helper()
	c, err := ParseCommand(append([]string{"-C=" + dir}, strings.Fields(line)...), "")
	if err != nil {
		t.Fatal(err)
	}
	return List(t.Context(), ListConfig{Command: c, Env: goEnv(env...), Export: export})
}

func mustList(t *testing.T, dir, line string, export bool, env ...string) *Listing {
	t.Helper()
	l, err := list(t, dir, line, export, env...)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

var brokenModule = map[string]string{
	"go.mod":                     "module example.com/m\n\ngo 1.26\n",
	"ok/ok.go":                   "package ok\n",
	"ok/b_test.go":               "package ok\nimport \"testing\"\nfunc TestB(t *testing.T) {}\nfunc FuzzB(f *testing.F) {}\n",
	"ok/a_test.go":               "package ok_test\nimport \"testing\"\nfunc TestA(t *testing.T) {}\nfunc ExampleA() {\n// Output:\n}\n",
	"ok-not/a.go":                "package not\n",
	"ok/sub/a_test.go":           "package sub\nimport \"testing\"\nfunc TestMain(m *testing.M) { m.Run() }\n",
	"compile/a.go":               "package compile\nvar x int = \"\"\n",
	"compile/a_test.go":          "package compile\nimport \"testing\"\nfunc TestA(t *testing.T) {}\n",
	"dep/a_test.go":              "package dep\nimport (\n\"testing\"\n_ \"example.com/m/compile\"\n)\nfunc TestA(t *testing.T) {}\n",
	"missing/a.go":               "package missing\nimport _ \"example.com/m/nosuch\"\n",
	"missing/a_test.go":          "package missing\nimport \"testing\"\nfunc TestA(t *testing.T) {}\n",
	"wrong/a_test.go":            "package wrong\nimport \"testing\"\nfunc TestA() {}\nfunc TestB(t *testing.T) {}\n",
	"syntax/a_test.go":           "package syntax\nfunc {\n",
	"two/a.go":                   "package one\n",
	"two/b.go":                   "package two\n",
	"testdata/ignored/a_test.go": "package ignored\n",
}

func TestList(t *testing.T) {
	defer goleak.VerifyNone(t)
	dir := writeTree(t, brokenModule)
	at := func(name string) string { return filepath.Join(dir, filepath.FromSlash(name)) }
	testA := []Item{{Name: "TestA", Kind: KindTest, File: "a_test.go"}}
	missing := filepath.FromSlash("missing/a.go") + ":2:8: no required module provides package example.com/m/nosuch; to add it:\n\tgo get example.com/m/nosuch"
	want := []Package{
		{ImportPath: "example.com/m/compile", Dir: at("compile"), Items: testA},
		{ImportPath: "example.com/m/dep", Dir: at("dep"), Items: testA},
		{ImportPath: "example.com/m/missing", Dir: at("missing"), Items: testA, Err: missing},
		{ImportPath: "example.com/m/ok", Dir: at("ok"), Items: []Item{
			{Name: "TestB", Kind: KindTest, File: "b_test.go"}, {Name: "TestA", Kind: KindTest, File: "a_test.go"}, {Name: "FuzzB", Kind: KindFuzz, File: "b_test.go"}, {Name: "ExampleA", Kind: KindExample, File: "a_test.go"},
		}},
		{ImportPath: "example.com/m/ok/sub", Dir: at("ok/sub"), HasTestMain: true},
		{ImportPath: "example.com/m/ok-not", Dir: at("ok-not"), NoTestFiles: true},
		{ImportPath: "example.com/m/syntax", Dir: at("syntax"), Err: at("syntax/a_test.go") + ":2:6: expected 'IDENT', found '{'"},
		{ImportPath: "example.com/m/two", Dir: at("two"), NoTestFiles: true, Err: "found packages one (a.go) and two (b.go) in " + at("two")},
		{ImportPath: "example.com/m/wrong", Dir: at("wrong"), Err: at("wrong/a_test.go") + ":3:1: wrong signature for TestA, must be: func TestA(t *testing.T)"},
	}
	for _, export := range []bool{false, true} {
		l := mustList(t, dir, "./...", export)
		got := slices.Clone(l.Packages)
		for i := range got {
			if keyed := slices.Contains([]string{"example.com/m/ok", "example.com/m/ok/sub", "example.com/m/ok-not"}, got[i].ImportPath); (got[i].LinkKey != "") != (keyed && export) {
				t.Errorf("export %t: %s has the link key %q", export, got[i].ImportPath, got[i].LinkKey)
			}
			got[i].LinkKey = ""
			if got[i].Err != "" && got[i].ImportPath == "example.com/m/wrong" {
				got[i].Items = nil // how far discovery got does not matter
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("export %t (-want +got):\n%s", export, diff)
		}
	}
}

func TestListFilters(t *testing.T) {
	dir := writeTree(t, oddModule)
	for line, want := range map[string]string{
		"./odd -run ^Test$":                  "Test",
		"./odd -run ^Test$|Last -skip Fuzz":  "Test TestLast",
		"./odd -run Example_?None":           "",
		"./odd -run TestX/sub -skip TestX/a": "TestX",
		"./odd -run ^ExampleOut -skip X$":    "ExampleOut",
		"./odd -run ^Fuzz":                   "FuzzIt Fuzz FuzzLast",
	} {
		var names []string
		for _, it := range mustList(t, dir, line, false).Packages[0].Items {
			names = append(names, it.Name)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
	var usage *UsageError
	if _, err := list(t, dir, "./odd -run (", false); !errors.As(err, &usage) || !strings.Contains(err.Error(), "-test.run") {
		t.Errorf("bad pattern: %v", err)
	}
}

// TestListOrder compares the order of an Export listing, which has to be restored, with the order
// of go list and go test.
func TestListOrder(t *testing.T) {
	dir := writeTree(t, map[string]string{
		"go.mod":      "module example.com/m\n\ngo 1.26\n",
		"a/a.go":      "package a\nimport _ \"example.com/m/z\"\n",
		"a-b/a.go":    "package ab\n",
		"a/b/a.go":    "package b\nimport _ \"example.com/m/a-b\"\n",
		"a.b/a.go":    "package ab\n",
		"aa/a.go":     "package aa\n",
		"B/b.go":      "package b\n",
		"z/z.go":      "package z\n",
		"z/cmd/z.go":  "package main\nimport _ \"example.com/m/aa\"\nfunc main() {}\n",
		"root.go":     "package m\n",
		"z/a_test.go": "package z_test\n",
	})
	for _, line := range []string{"./...", "", ".", "./z/... ./a ./...", "./z ./a/b ./a", "example.com/m/... ./a", "./a/... ./B ./a-b", "unicode ./z errors", "container/... unicode/..."} {
		var want, got []string
		for i, names := range []*[]string{&want, &got} {
			for _, p := range mustList(t, dir, line, i == 1).Packages {
				*names = append(*names, p.ImportPath)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" || len(want) == 0 {
			t.Errorf("%q (-go list +export):\n%s", line, diff)
		}
	}
}

// TestListWithProfile covers packages that -pgo=auto compiles once for each main package.
func TestListWithProfile(t *testing.T) {
	dir := writeTree(t, map[string]string{
		"go.mod":            "module example.com/m\n\ngo 1.26\n",
		"a/a.go":            "package a\nfunc A() {}\n",
		"a/a_test.go":       "package a\nimport \"testing\"\nfunc TestA(t *testing.T) {}\n",
		"cmd/x/x.go":        "package main\nimport \"example.com/m/a\"\nfunc main() { a.A() }\n",
		"cmd/x/x_test.go":   "package main\nimport \"testing\"\nfunc TestX(t *testing.T) {}\n",
		"cmd/x/default.pgo": "",
		"cmd/y/y.go":        "package main\nimport \"example.com/m/a\"\nfunc main() { a.A() }\n",
	})
	for _, export := range []bool{false, true} {
		var got []string
		for _, p := range mustList(t, dir, "./...", export).Packages {
			got = append(got, p.ImportPath)
			if p.Err != "" {
				t.Error(p.Err)
			}
		}
		if diff := cmp.Diff([]string{"example.com/m/a", "example.com/m/cmd/x", "example.com/m/cmd/y"}, got); diff != "" {
			t.Errorf("export %t (-want +got):\n%s", export, diff)
		}
	}
}

func TestListArguments(t *testing.T) {
	dir := writeTree(t, oddModule)
	// A file as the argument, build tags, an overlay, and a directory to go to.
	l := mustList(t, dir, "only/x_test.go", true)
	if p := l.Packages[0]; p.ImportPath != "command-line-arguments" || len(p.Items) != 1 || len(l.Packages) != 1 {
		t.Errorf("a file: %+v", l.Packages)
	}
	has := func(l *Listing, name string) bool {
		return slices.ContainsFunc(l.Packages[0].Items, func(it Item) bool { return it.Name == name })
	}
	if has(mustList(t, dir, "./odd", false), "TestNever") || !has(mustList(t, dir, "-tags never -x -a -work -p=1 ./odd", false), "TestNever") {
		t.Error("-tags is not heeded")
	}
	overlay := writeTree(t, map[string]string{"o.json": `{"Replace": {"odd/c_test.go": "only/x_test.go"}}`})
	if l := mustList(t, dir, "./only -overlay="+filepath.Join(overlay, "o.json"), false); !has(l, "TestOnly") {
		t.Error("overlay breaks the rest")
	}
	if l := mustList(t, filepath.Join(dir, "only"), "", false); !has(l, "TestOnly") {
		t.Error("the default is not the current directory")
	}
}

func TestListWarnings(t *testing.T) {
	dir := writeTree(t, map[string]string{"go.mod": "module example.com/m\n", "a/a.go": "package a\n", "none/readme": ""})
	l := mustList(t, dir, "./a ./none/...", false)
	if want := []string{`"./none/..." matched no packages`}; !cmp.Equal(l.Warnings, want) || len(l.Packages) != 1 || l.Stderr != "" {
		t.Errorf("got %+v", l)
	}
	l = mustList(t, dir, "./a ./gone", false)
	if len(l.Packages) != 2 || !strings.Contains(l.Packages[1].Err, "directory not found") {
		t.Errorf("a directory that does not exist: %+v", l.Packages)
	}
}

func TestListErrors(t *testing.T) {
	dir := writeTree(t, map[string]string{
		"none/go.mod": "module example.com/m\n", "none/sub/readme": "",
		"bad/go.mod": "module example.com/m\nsurprise\n", "bad/a.go": "package m\n",
		"new/go.mod": "module example.com/m\n\ngo 1.999\n", "new/a.go": "package m\n",
		"outside/a.go": "package a\n",
	})
	for _, c := range []struct {
		sub, line string
		target    any
		text      string
	}{
		{"none", "./...", new(*NoPackagesError), `list packages ["./..."]: no packages to test: "./..." matched no packages`},
		{"none", "./sub/... x/...", new(*NoPackagesError), `"x/..." matched no packages`},
		{"bad", "./...", new(*ListError), "go.mod:2: unknown directive: surprise"},
		{"new", "./...", new(*ListError), "go.mod requires go >= 1.999"},
		{"outside", "./...", new(*NotInModuleError), "does not contain main module"},
		{"outside", ".", new(*NotInModuleError), "go.mod file not found"},
		{"outside", "", new(*NotInModuleError), "not in a Go module"},
		{"outside", "example.com/x", new(*NotInModuleError), "go.mod file not found"},
		{"gone", ".", new(*ListError), "chdir"},
		{"none", "-overlay=none.json .", new(*os.PathError), "read overlay"},
	} {
		for _, export := range []bool{false, true} {
			_, err := list(t, filepath.Join(dir, c.sub), c.line, export, "GO111MODULE=", "GOTOOLCHAIN=local")
			if err == nil || !errors.As(err, c.target) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%s %s (export %t): %T %v, want %T with %q", c.sub, c.line, export, err, err, c.target, c.text)
			}
		}
	}
	if l := mustList(t, filepath.Join(dir, "outside"), "a.go", false); len(l.Packages) != 1 {
		t.Errorf("a file outside of a module: %+v", l)
	}
	if l := mustList(t, filepath.Join(dir, "outside"), "errors", false); len(l.Packages) != 1 || len(l.Packages[0].Items) == 0 {
		t.Errorf("a package of Go outside of a module: %+v", l)
	}
}

func TestListWithoutGo(t *testing.T) {
	c, err := ParseCommand(nil, "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = List(t.Context(), ListConfig{Command: c, Go: "no-such-go-command"})
	if !errors.Is(err, exec.ErrNotFound) || !strings.Contains(err.Error(), "install Go") {
		t.Errorf("got %v", err)
	}
}

// fakeGo makes a shell script that stands for the go command.
func fakeGo(t *testing.T, script string) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("needs a shell script as the go command: not on Windows")
	}
	name := filepath.Join(t.TempDir(), "go")
	if err := os.WriteFile(name, []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestListWithOldGo(t *testing.T) {
	c, err := ParseCommand(nil, "")
	if err != nil {
		t.Fatal(err)
	}
	name := fakeGo(t, `case $1 in env) echo '{"GOVERSION":"go1.23.9","GOROOT":"/old"}';; *) echo "flag provided but not defined" >&2; exit 2;; esac`)
	_, err = List(t.Context(), ListConfig{Command: c, Go: name})
	var old *TooOldError
	if !errors.As(err, &old) || old.Version != "go1.23.9" || !strings.Contains(err.Error(), "in /old is too old") {
		t.Errorf("got %v", err)
	}
	for version, want := range map[string]bool{"go1.24": false, "go1.9": true, "go1.23rc1": true, "go1.30.1": false, "devel go1.23-abc": true, "go2.0": false, "custom": false} {
		if tooOld(version) != want {
			t.Errorf("tooOld(%q) = %t", version, !want)
		}
	}
}

func TestListReadsNoNonsense(t *testing.T) {
	c, err := ParseCommand(nil, "")
	if err != nil {
		t.Fatal(err)
	}
	name := fakeGo(t, `case $1 in env) echo '{}';; *) echo '{"ImportPath": 1}'; seq 100000;; esac`)
	if _, err = List(t.Context(), ListConfig{Command: c, Go: name}); err == nil || !strings.Contains(err.Error(), "read the answer of go list: ") {
		t.Errorf("got %v", err)
	}
}

func TestID(t *testing.T) {
	if got := ID("example.com/m", "TestA"); got != "example.com/m::TestA" {
		t.Error(got)
	}
}

// TestItemsSurviveJSON: they travel in the hand-off line.
func TestItemsSurviveJSON(t *testing.T) {
	want := []Item{{Name: "TestA", Kind: KindTest}, {Name: "ExampleÄ", Kind: KindExample, File: "ä_test.go", Directives: &Directives{Group: "g"}}}
	data, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got []Item
	if err := json.Unmarshal(data, &got); err != nil || !cmp.Equal(want, got) {
		t.Errorf("%s: %v, %v", data, got, err)
	}
}
