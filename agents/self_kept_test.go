package agents

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// countedGo has the go command on PATH leave a mark for each start. It returns how many there were
// since the last call.
func countedGo(t *testing.T) func() int {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("skipped: starts of the go command are counted by a shell script")
	}
	real, err := exec.LookPath("go")
	if err != nil {
		t.Skipf("skipped: there is no go command: %v", err)
	}
	dir := t.TempDir()
	log := filepath.Join(dir, "log")
	write(t, filepath.Join(dir, "go"), "#!/bin/sh\necho \"$1\" >>'"+log+"'\nexec '"+real+"' \"$@\"\n")
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return func() int {
		text, _ := os.ReadFile(log) // not there before the first
		os.Remove(log)
		return strings.Count(string(text), "\n")
	}
}

// What was compiled for a program is found again by its next process, whatever has become of Go and
// of the sources. A program that was built anew has it compiled again when its sources have
// changed.
func TestSelfIsKept(t *testing.T) {
	started := countedGo(t)
	dir, bin, cache := filepath.Join(t.TempDir(), "src"), t.TempDir(), t.TempDir()
	hours := 0 // that have gone by, so that all is younger than the go command
	at := func(name, text string) {
		t.Helper()
		write(t, name, text)
		now := time.Now().Add(time.Duration(hours+1) * time.Hour)
		if err := os.Chtimes(name, now, now); err != nil {
			t.Fatal(err)
		}
		hours++
	}
	change := func(statement string) {
		at(filepath.Join(dir, "main.go"), "package main\n\nfunc main() { "+statement+" }\n")
	}
	built := func(name string) { at(filepath.Join(bin, name), name) }
	goarch := map[string]string{"amd64": "arm64"}[runtime.GOARCH]
	if goarch == "" {
		goarch = "amd64"
	}
	ask := func(name string) (string, error) { // a fresh process of a program
		a, err := (&self{recipe: recipe{dir: dir}, program: filepath.Join(bin, name), cache: cache}).agent(t.Context(), "linux", goarch)
		return a.Path, err
	}
	want := func(what, program, path string, compiled bool) string {
		t.Helper()
		got, err := ask(program)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if path != "" && got != path {
			t.Errorf("%s: got %s, want %s", what, got, path)
		}
		if n := started(); (n > 0) != compiled {
			t.Errorf("%s: the go command was started %d times", what, n)
		}
		return got
	}
	refuse := func(what, program, text string) {
		t.Helper()
		if got, err := ask(program); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: got %s, %v, want %q", what, got, err, text)
		}
		started()
	}
	path := os.Getenv("PATH")
	at(filepath.Join(dir, "go.mod"), "module example.com/tiny\n\ngo 1.24\n")

	change(`println("first")`)
	built("first")
	first := want("the first time", "first", "", true)
	want("the next process", "first", first, false)
	built("same")
	want("a program that was built of the same", "same", first, false)
	change(`println("second")`)
	want("a program that is older than its sources", "first", first, false)
	built("second")
	second := want("the program built anew", "second", "", true)
	if second == first {
		t.Error("a program of other sources is given the same")
	}
	built("late")
	change(`println("third")`)
	third := want("of a program that has changed, and was never compiled before", "late", "", true)

	t.Setenv("PATH", t.TempDir())
	want("without Go", "first", first, false)
	refuse("without Go, and never compiled", "gone", "install Go")
	refuse("without Go, and compiled of other sources", "late", "install Go")
	t.Setenv("PATH", path)
	want("with Go again", "late", third, false)
	want("of a program that is gone while it runs", "gone", third, false)
	change("nonsense")
	refuse("sources that do not compile", "late", "undefined: nonsense")
	want("they were compiled when they did", "second", second, false)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	want("without sources", "second", second, false)
	refuse("without sources, and compiled of other ones", "late", "its sources are not on this host")
	if left, err := filepath.Glob(filepath.Join(cache, "build-*")); err != nil || len(left) > 0 {
		t.Errorf("%v are left, %v", left, err)
	}
	if err := os.WriteFile(second, []byte("damaged"), 0o700); err != nil {
		t.Fatal(err)
	}
	refuse("what is kept is damaged", "second", "its sources are not on this host")
}
