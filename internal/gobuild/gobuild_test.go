package gobuild

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o777); err != nil {
		t.Fatal(err)
	}
}

// module is one with two packages and a file that is embedded.
func module(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skipf("skipped: there is no go command: %v", err)
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "go.mod"), "module example.com/m\n\ngo 1.24\n")
	write(t, filepath.Join(dir, "words", "words.go"), "package words\n\nimport \"embed\"\n\n//go:embed texts\nvar Texts embed.FS\n\nfunc Say() { es, _ := Texts.ReadDir(\"texts\"); println(Greeting, len(es)) }\n")
	write(t, filepath.Join(dir, "words", "greeting.go"), "package words\n\nconst Greeting = \"hello\"\n")
	write(t, filepath.Join(dir, "words", "texts", "one"), "1")
	return dir
}

func program(dir string) Program {
	return Program{
		Dir: dir, Package: "nowhere", Env: append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS="), Flags: []string{"-trimpath"},
		Files: map[string]string{"main.go": "package main\n\nimport \"example.com/m/words\"\n\nfunc main() { words.Say() }\n"},
	}
}

// counted is a Dir whose go command leaves a mark for each build, and how many there were.
func counted(t *testing.T) (Dir, func() int) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("skipped: the builds are counted by a shell script")
	}
	real, err := exec.LookPath("go")
	if err != nil {
		t.Skipf("skipped: there is no go command: %v", err)
	}
	dir := t.TempDir()
	log, wrapper := filepath.Join(dir, "log"), filepath.Join(dir, "go")
	write(t, wrapper, "#!/bin/sh\necho \"$1\" >>'"+log+"'\nexec '"+real+"' \"$@\"\n")
	return Dir{Path: filepath.Join(dir, "kept"), Go: wrapper}, func() int {
		text, _ := os.ReadFile(log) // not there before the first
		os.Remove(log)
		return strings.Count(string(text), "\n")
	}
}

// A program is made when something that it is made of has changed, and else the go command is not
// even started.
func TestExecutable(t *testing.T) {
	dir := module(t)
	d, asked := counted(t)
	run := func(p Program) string {
		t.Helper()
		name, err := d.Executable(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(name).CombinedOutput()
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(out))
	}
	if got := run(program(dir)); got != "hello 1" || asked() == 0 {
		t.Errorf("it says %q", got)
	}
	if got := run(program(dir)); got != "hello 1" {
		t.Errorf("it says %q", got)
	}
	if n := asked(); n != 0 {
		t.Errorf("the go command was started %d times for what had not changed", n)
	}
	p := program(dir)
	p.Files = map[string]string{"main.go": "package main\n\nfunc main() { println(42) }\n"}
	if got := run(p); got != "42" {
		t.Errorf("another program says %q", got)
	}
	asked()
	for _, change := range []struct {
		name string
		do   func()
		want string
	}{
		{"a file", func() {
			write(t, filepath.Join(dir, "words", "greeting.go"), "package words\n\nconst Greeting = \"hi\"\n")
		}, "hi 1"},
		{"another file", func() {
			write(t, filepath.Join(dir, "words", "more.go"), "package words\n\nfunc init() { print(\"well \") }\n")
		}, "well hi 1"},
		{"another embedded file", func() { write(t, filepath.Join(dir, "words", "texts", "two"), "2") }, "well hi 2"},
		{"no file any more", func() { os.Remove(filepath.Join(dir, "words", "more.go")) }, "hi 2"},
		{"the module", func() { write(t, filepath.Join(dir, "go.mod"), "module example.com/m\n\ngo 1.25\n") }, "hi 2"},
		{"a go.sum", func() { write(t, filepath.Join(dir, "go.sum"), "") }, "hi 2"},
	} {
		change.do()
		if got := run(program(dir)); got != change.want {
			t.Errorf("after a change of %s it says %q, want %q", change.name, got, change.want)
		}
		if asked() == 0 {
			t.Errorf("after a change of %s the go command was not asked", change.name)
		}
	}
	write(t, filepath.Join(dir, "README"), "of no interest")
	name, err := d.Executable(t.Context(), program(dir))
	if err != nil || asked() != 0 {
		t.Errorf("a file that counts for nothing: %v", err)
	}
	// A damaged executable is made anew.
	if err := os.WriteFile(name, []byte("damaged"), 0o700); err != nil {
		t.Fatal(err)
	}
	if got := run(program(dir)); got != "hi 2" {
		t.Errorf("it says %q", got)
	}
	if left, err := filepath.Glob(filepath.Join(d.Path, "*"+Temporary)); err != nil || len(left) > 0 {
		t.Errorf("%v are left, %v", left, err)
	}
}

// The test binary of a package is made when a file has changed of the package, of its tests, or of
// what they are made of, and flags say which files count.
func TestExecutableOfTests(t *testing.T) {
	dir := module(t)
	d, asked := counted(t)
	const testMain = "package words_test\n\nimport (\n\t\"os\"\n\t\"testing\"\n\n\t\"example.com/m/words\"\n)\n\n" +
		"func TestMain(*testing.M) { words.Say(); os.Exit(0) }\n"
	write(t, filepath.Join(dir, "words", "words_test.go"), testMain)
	write(t, filepath.Join(dir, "words", "inside_test.go"), "package words\n\nfunc init() { print(\"inside \") }\n")
	write(t, filepath.Join(dir, "words", "tagged_test.go"), "//go:build tagged\n\npackage words\n\nimport \"example.com/m/tag\"\n\nfunc init() { print(tag.Text) }\n")
	write(t, filepath.Join(dir, "tag", "tag.go"), "package tag\n\nconst Text = \"tagged \"\n")
	p := Program{Dir: filepath.Join(dir, "words"), Package: ".", Tests: true, Env: append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS="), Flags: []string{"-trimpath"}}
	run := func() string {
		t.Helper()
		name, err := d.Executable(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(name).CombinedOutput()
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(out))
	}
	for _, step := range []struct {
		name string
		do   func()
		made bool
		want string
	}{
		{"the first time", func() {}, true, "inside hello 1"},
		{"no change", func() {}, false, "inside hello 1"},
		{"a tag", func() { p.Flags = append(p.Flags, "-tags=tagged") }, true, "inside tagged hello 1"},
		{"what a file with the tag imports", func() {
			write(t, filepath.Join(dir, "tag", "tag.go"), "package tag\n\nconst Text = \"still tagged \"\n")
		}, true, "inside still tagged hello 1"},
		{"a test of the package", func() {
			write(t, filepath.Join(dir, "words", "inside_test.go"), "package words\n\nfunc init() { print(\"deep inside \") }\n")
		}, true, "deep inside still tagged hello 1"},
		{"a test from outside", func() {
			write(t, filepath.Join(dir, "words", "words_test.go"), strings.Replace(testMain, "words.Say()", "words.Say(); println(2)", 1))
		}, true, "deep inside still tagged hello 1\n2"},
		{"the package", func() {
			write(t, filepath.Join(dir, "words", "greeting.go"), "package words\n\nconst Greeting = \"hi\"\n")
		}, true, "deep inside still tagged hi 1\n2"},
		{"another test", func() {
			write(t, filepath.Join(dir, "words", "more_test.go"), "package words\n\nfunc init() { print(\"more \") }\n")
		}, true, "deep inside more still tagged hi 1\n2"},
	} {
		step.do()
		got, n := run(), asked()
		if got != step.want || (n > 0) != step.made {
			t.Errorf("after %s it says %q, want %q; the go command was started %d times", step.name, got, step.want, n)
		}
	}
}

// What is kept under a key is there until somebody changes it, and goes with the executable.
func TestKept(t *testing.T) {
	dir := module(t)
	d := Dir{Path: t.TempDir()}
	p := program(dir)
	if _, ok := d.Kept("key"); ok || !d.ChangedSince(p, time.Now()) {
		t.Error("something is there before it was made")
	}
	name, err := d.Executable(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Keep("key", name); err != nil {
		t.Fatal(err)
	}
	if d.ChangedSince(p, time.Now().Add(time.Minute)) || !d.ChangedSince(p, time.Now().Add(-time.Hour)) {
		t.Error("the files were written just now")
	}
	if err := os.RemoveAll(filepath.Join(dir, "words")); err != nil {
		t.Fatal(err)
	}
	if got, ok := d.Kept("key"); !ok || got != name {
		t.Errorf("without the sources %q, %t are kept", got, ok)
	}
	if _, ok := d.Kept("another key"); ok {
		t.Error("another key has it, too")
	}
	if err := os.WriteFile(name, []byte("damaged"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, ok := d.Kept("key"); ok {
		t.Error("a damaged executable is kept")
	}
}

// Its errors are those of the go command, and an ended context's.
func TestExecutableFails(t *testing.T) {
	dir := module(t)
	d := Dir{Path: t.TempDir()}
	p := program(dir)
	p.Files = map[string]string{"main.go": "package main\n\nfunc main() { nonsense }\n"}
	_, err := d.Executable(t.Context(), p)
	if e, ok := errors.AsType[*Error](err); !ok || !strings.Contains("\n"+e.Text, "\n"+filepath.Join("nowhere", "main.go")+":3:15: undefined: nonsense") || e.Command != "build" {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("no longer wanted"))
	if _, err := d.Executable(ctx, p); err == nil || err.Error() != "no longer wanted" {
		t.Errorf("got %v", err)
	}
	d.Go = filepath.Join(dir, "no-such-go")
	if _, err := d.Executable(t.Context(), p); err == nil {
		t.Error("without a go command there was no error")
	}
	if left, err := os.ReadDir(d.Path); err != nil || len(left) > 0 {
		t.Errorf("%v are left, %v", left, err)
	}
}

// Of too many executables those used last stay, and what is old goes.
func TestDirIsBounded(t *testing.T) {
	d := Dir{Path: t.TempDir(), Most: 25}
	now := time.Now()
	for i, name := range []string{"a", "b", "c", "d"} {
		name = filepath.Join(d.Path, name)
		write(t, name, strings.Repeat("x", 10))
		if _, err := d.Digest(name); err != nil {
			t.Fatal(err)
		}
		used := now.Add(time.Duration(i-10) * time.Hour)
		if err := os.Chtimes(d.StampFile(name), used, used); err != nil {
			t.Fatal(err)
		}
	}
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	write(t, elsewhere, strings.Repeat("x", 100))
	if _, err := d.Digest(elsewhere); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(d.Path, "old"+knownSuffix), "{}")
	past := now.Add(-UnusedFor - time.Hour)
	if err := os.Chtimes(filepath.Join(d.Path, "old"+knownSuffix), past, past); err != nil {
		t.Fatal(err)
	}
	d.Prune(now)
	for name, want := range map[string]bool{
		filepath.Join(d.Path, "a"): false, filepath.Join(d.Path, "b"): false, filepath.Join(d.Path, "c"): true, filepath.Join(d.Path, "d"): true,
		elsewhere: true, filepath.Join(d.Path, "old"+knownSuffix): false,
	} {
		if _, err := os.Stat(name); (err == nil) != want {
			t.Errorf("%s is there: %t, want %t", name, err == nil, want)
		}
	}
}
