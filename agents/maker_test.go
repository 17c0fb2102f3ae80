package agents

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/internal/gobuild"
)

// tiny is a module that compiles quickly.
func tiny() fstest.MapFS {
	return fstest.MapFS{
		"go.mod":             {Data: []byte("module example.com/tiny\n\ngo 1.24\n")},
		"cmd/a/main.go":      {Data: []byte("package main\n\nfunc main() { println(\"agent\") }\n")},
		"cmd/a/main_test.go": {Data: []byte("package main\n\nthis is not compiled\n")},
	}
}

// newMaker returns a Maker for sources, and the count of its builds. Its program is a script, which
// is not self-contained.
func newMaker(t *testing.T, sources fs.FS) (*Maker, func() int) {
	t.Helper()
	goCommand, err := exec.LookPath("go")
	if err != nil {
		t.Skipf("no go command: %v", err)
	}
	dir := t.TempDir()
	log := filepath.Join(dir, "builds")
	wrapper := goCommand
	if runtime.GOOS != "windows" {
		wrapper = filepath.Join(dir, "go")
		write(t, wrapper, "#!/bin/sh\n[ \"$1\" = build ] && echo x >>'"+log+"'\nexec '"+goCommand+"' \"$@\"\n")
	}
	program := filepath.Join(dir, "bin", "xdist")
	write(t, program, "#!/bin/sh\n")
	m := New(Config{Dir: filepath.Join(dir, "cache"), Sources: sources, Package: "./cmd/a", Args: []string{"agent"}, Go: wrapper, Program: program})
	return m, func() int {
		data, err := os.ReadFile(log)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		return strings.Count(string(data), "x")
	}
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o777); err != nil {
		t.Fatal(err)
	}
}

func agent(t *testing.T, m *Maker, goos, goarch string) gateway.Agent {
	t.Helper()
	a, err := m.Agent(t.Context(), goos, goarch)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(a.Path)
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != a.Digest {
		t.Errorf("%s: the digest is not that of the file", a.Path)
	}
	return a
}

// magic is how the executables of a platform begin.
func magic(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data[:4])
}

func TestCompilesForOtherPlatforms(t *testing.T) {
	m, builds := newMaker(t, tiny())
	arm, win := agent(t, m, "linux", "arm64"), agent(t, m, "windows", "amd64")
	if got := magic(t, arm.Path); got != "\x7fELF" {
		t.Errorf("the agent for linux begins with %q", got)
	}
	if got := magic(t, win.Path); got[:2] != "MZ" || !strings.HasSuffix(win.Path, ".exe") {
		t.Errorf("the agent for windows is %s and begins with %q", win.Path, got)
	}
	if again := agent(t, m, "linux", "arm64"); again.Path != arm.Path || again.Digest != arm.Digest {
		t.Errorf("asked again: %+v, was %+v", again, arm)
	}
	other := New(m.cfg) // another xdist
	if again := agent(t, other, "linux", "arm64"); again.Digest != arm.Digest {
		t.Errorf("another one gets %+v, was %+v", again, arm)
	}
	if n := builds(); n != 2 && runtime.GOOS != "windows" {
		t.Errorf("%d builds, want 2", n)
	}
	left, err := filepath.Glob(filepath.Join(m.cfg.Dir, "*"+gobuild.Temporary))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

func TestChangedSourceIsCompiledAgain(t *testing.T) {
	m, _ := newMaker(t, tiny())
	before := agent(t, m, "linux", "arm64")

	withTest := tiny()
	withTest["cmd/a/main_test.go"] = &fstest.MapFile{Data: []byte("package main // another test")}
	m.cfg.Sources = withTest
	if a := agent(t, New(m.cfg), "linux", "arm64"); a.Path != before.Path {
		t.Error("a changed test file changes the agent's key")
	}
	changed := tiny()
	changed["cmd/a/main.go"] = &fstest.MapFile{Data: []byte("package main\n\nfunc main() { println(\"changed\") }\n")}
	m.cfg.Sources = changed
	if a := agent(t, New(m.cfg), "linux", "arm64"); a.Path == before.Path || a.Digest == before.Digest {
		t.Error("a changed source gives the same agent")
	}
}

func TestConcurrentCallersCompileOnce(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the builds are counted by a shell script")
	}
	m, builds := newMaker(t, tiny())
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			if _, err := m.Agent(t.Context(), "linux", "arm64"); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if n := builds(); n != 1 {
		t.Errorf("%d builds, want 1", n)
	}
}

func TestDamagedAgentIsCompiledAgain(t *testing.T) {
	m, _ := newMaker(t, tiny())
	before := agent(t, m, "linux", "arm64")
	data, err := os.ReadFile(before.Path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := os.WriteFile(before.Path, data, 0o777); err != nil {
		t.Fatal(err)
	}
	if a := agent(t, m, "linux", "arm64"); a.Digest != before.Digest {
		t.Error("the damaged one is still in use")
	}
}

func TestReadyMadeComesFirst(t *testing.T) {
	m, builds := newMaker(t, tiny())
	m.cfg.Go = "there-is-no-such-command"
	bin := filepath.Dir(m.cfg.Program)
	for _, name := range []string{filepath.Join(filepath.Dir(bin), "libexec", "xdist", "xdist-windows-amd64.exe"), filepath.Join(bin, "xdist-windows-amd64.exe")} {
		write(t, name, "ready-made "+name)
		if a := agent(t, m, "windows", "amd64"); a.Path != name {
			t.Errorf("got %s, want %s", a.Path, name)
		}
	}
	if builds() != 0 {
		t.Error("something was compiled")
	}
}

// What a link to the executable points to is where the release was unpacked.
func TestReadyMadeBesideTheLinkedProgram(t *testing.T) {
	m, _ := newMaker(t, nil)
	link := filepath.Join(t.TempDir(), "xdist")
	if err := os.Symlink(m.cfg.Program, link); err != nil {
		t.Skipf("no symbolic links: %v", err)
	}
	want := filepath.Join(filepath.Dir(m.cfg.Program), "xdist-darwin-arm64")
	write(t, want, "ready-made")
	m.cfg.Program = link
	if a := agent(t, m, "darwin", "arm64"); a.Path != want {
		t.Errorf("got %s, want %s", a.Path, want)
	}
}

func TestOwnPlatform(t *testing.T) {
	m, builds := newMaker(t, tiny())
	program := m.cfg.Program

	m.cfg.Go = "there-is-no-such-command"
	if a := agent(t, m, runtime.GOOS, runtime.GOARCH); a.Path != program {
		t.Errorf("nothing can be compiled, and the agent is %s", a.Path)
	}
	before := agent(t, m, runtime.GOOS, runtime.GOARCH)
	write(t, program, "#!/bin/sh\nexit 1\n")
	if after := agent(t, m, runtime.GOOS, runtime.GOARCH); after.Digest == before.Digest {
		t.Error("the executable was replaced, and its digest was not")
	}
	if runtime.GOOS != "linux" {
		return
	}
	goCommand, err := exec.LookPath("go")
	if err != nil {
		t.Fatal(err)
	}
	m.cfg.Go = goCommand
	static := agent(t, m, runtime.GOOS, runtime.GOARCH)
	if static.Path == program || !selfContained(static.Path) {
		t.Errorf("the program is not self-contained, and the agent is %s", static.Path)
	}
	m.cfg.Program = static.Path
	if a := agent(t, m, runtime.GOOS, runtime.GOARCH); a.Path != static.Path || builds() != 0 {
		t.Errorf("the program is self-contained, and the agent is %s", a.Path)
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	broken := tiny()
	broken["cmd/a/main.go"] = &fstest.MapFile{Data: []byte("package main\n\nfunc main() { undefined() }\n")}
	for _, tt := range []struct {
		name, goos, goarch string
		change             func(*Config)
		want               string
	}{
		{"compiler", "linux", "arm64", func(c *Config) { c.Sources = broken }, "main.go:3:15: undefined: undefined"},
		{"no such platform", "linux", "z80", func(*Config) {}, "unsupported GOOS/GOARCH pair linux/z80"},
		{"no go", "linux", "arm64", func(c *Config) { c.Go = "there-is-no-such-command" }, "install Go"},
		{"no sources", "linux", "arm64", func(c *Config) { c.Sources = nil }, "no sources in it"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, _ := newMaker(t, tiny())
			tt.change(&m.cfg)
			_, err := New(m.cfg).Agent(t.Context(), tt.goos, tt.goarch)
			var unavailable *UnavailableError
			if !errors.As(err, &unavailable) {
				t.Fatalf("got %v", err)
			}
			beside := filepath.Join(filepath.Dir(m.cfg.Program), "xdist-"+tt.goos+"-"+tt.goarch)
			for _, want := range []string{tt.want, "for " + tt.goos + "/" + tt.goarch, beside} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in %q", want, err)
				}
			}
		})
	}
}

// The user's settings for other code do not reach the agent's.
func TestUserSettingsStayOut(t *testing.T) {
	m, _ := newMaker(t, tiny())
	m.cfg.Env = append(os.Environ(), "GOFLAGS=-mod=vendor -tags=nonsense", "CGO_ENABLED=1", "GOWORK="+filepath.Join(t.TempDir(), "no.work"), "GOARM64=v9.0")
	if a := agent(t, m, "linux", "arm64"); magic(t, a.Path) != "\x7fELF" {
		t.Error("no agent")
	}
}

func TestCancelledCallerLeavesTheTurn(t *testing.T) {
	m, _ := newMaker(t, tiny())
	_, pass, err := m.platforms.Take(t.Context(), "linux/arm64")
	if err != nil {
		t.Fatal(err)
	}
	why := errors.New("no longer wanted")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	if _, err := m.Agent(ctx, "linux", "arm64"); !errors.Is(err, why) {
		t.Errorf("got %v while another has the turn", err)
	}
	pass()
	if _, err := m.Agent(ctx, "linux", "arm64"); !errors.Is(err, why) {
		t.Errorf("got %v", err)
	}
	agent(t, m, "linux", "arm64")
}

func TestPrune(t *testing.T) {
	m, _ := newMaker(t, tiny())
	a := agent(t, m, "linux", "arm64")
	program := agent(t, m, "windows", "amd64") // stays
	old := filepath.Join(m.cfg.Dir, "build-1"+gobuild.Temporary)
	write(t, filepath.Join(old, "src", "main.go"), "left by a killed process")
	past := time.Now().Add(-gobuild.UnusedFor - time.Hour)
	for _, name := range []string{m.kept().StampFile(a.Path), old} {
		if err := os.Chtimes(name, past, past); err != nil {
			t.Fatal(err)
		}
	}
	m.kept().Prune(time.Now())
	var left []string
	entries, err := os.ReadDir(m.cfg.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		left = append(left, e.Name())
	}
	want := map[string]bool{filepath.Base(program.Path): true, filepath.Base(m.kept().StampFile(program.Path)): true}
	got := make(map[string]bool)
	for _, name := range left {
		got[name] = true
	}
	if !maps.Equal(got, want) {
		t.Errorf("left are %q", left)
	}
	// One that is in use is not old.
	if err := os.Chtimes(m.kept().StampFile(program.Path), past, past); err != nil {
		t.Fatal(err)
	}
	agent(t, m, "windows", "amd64")
	m.kept().Prune(time.Now())
	if _, err := os.Stat(program.Path); err != nil {
		t.Error(err)
	}
}
