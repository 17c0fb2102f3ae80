package agents

import (
	"context"
	"debug/buildinfo"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/xdist-go/xdist/gateway"
)

var (
	stamp  string // that the linker is told to set
	tagged bool   // by a file with a build tag
)

// built is how a process was built.
type built struct {
	Stamp  string
	Tagged bool
}

var builtAs = gateway.Func("built", func(context.Context, string) (built, error) { return built{stamp, tagged}, nil })

// ownCache gives the programs of this test a place of their own, and leaves the go command its
// cache.
func ownCache(t *testing.T) {
	t.Helper()
	out, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		t.Skipf("skipped: there is no go command: %v", err)
	}
	t.Setenv("GOCACHE", strings.TrimSpace(string(out)))
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
}

// The agent of a test is the test binary, built for the other platform as it was for this one, but
// for what only this processor can do. Its functions are there.
func TestSelfOfATest(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: -short: compiling for another platform takes its time")
	}
	if runtime.GOOS != "linux" || runtime.GOARCH == "arm64" {
		t.Skip("skipped: linux/arm64 has to be another platform, of the same system")
	}
	ownCache(t)
	t.Setenv("GOARM64", "v9.0")
	t.Setenv("GOFLAGS", "-tags=another")
	agents := Self()
	a, err := agents(t.Context(), "linux", "arm64")
	if err != nil {
		t.Fatal(err)
	}
	info, err := buildinfo.ReadFile(a.Path)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range info.Settings {
		want, ok := map[string]string{"CGO_ENABLED": "0", "GOARCH": "arm64", "GOARM64": "v8.0", "-tags": "selftag"}[s.Key]
		if ok && s.Value != want {
			t.Errorf("it is built with %s=%s, want %s", s.Key, s.Value, want)
		}
	}
	const emulator = "qemu-aarch64-static"
	if _, err := exec.LookPath(emulator); err != nil {
		t.Skipf("not shown: that it runs, which needs %s: %v", emulator, err)
	}
	g := gateway.NewGroup(gateway.Config{Agent: agents})
	defer g.Close()
	gw, err := g.Open(t.Context(), "popen//goarch=arm64//exec="+emulator)
	if err != nil {
		t.Fatal(err)
	}
	got, err := builtAs.Call(t.Context(), gw, "")
	if want := (built{stamp, tagged}); err != nil || got != want || gw.Info().GOARCH != "arm64" {
		t.Errorf("the agent, of %s, is %+v (%v), want %+v", gw.Info().GOARCH, got, err, want)
	}
	t.Logf("the test and its agent are %+v", got)
}

// What a program was built with by its user's choice its agents have, too: tags, and what the
// linker sets.
func TestSelfKeepsSettings(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: -short: compiling for another platform takes its time")
	}
	program := filepath.Join(t.TempDir(), "agents.test")
	flags := "-ldflags=-linkmode=internal -X 'github.com/xdist-go/xdist/agents.stamp=v 2' -s"
	build := exec.Command("go", "test", "-c", "-tags=selftag", flags, "-o", program, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	run := exec.Command(program, "-test.run=^TestSelfOfATest$", "-test.v")
	out, err := run.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if !strings.Contains(string(out), "skipped") && !strings.Contains(string(out), "not shown") && !strings.Contains(string(out), "agent are {Stamp:v 2 Tagged:true}") {
		t.Errorf("%s", out)
	}
}
