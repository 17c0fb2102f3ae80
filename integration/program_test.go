package integration

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/xspec"
)

// readProgram builds examples/read, as a user would build a program of his own.
func readProgram(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "program")
	build := exec.Command("go", "build", "-o", program, "../examples/read")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return program
}

// plainServer starts xdist serve under wrap, with a cache of its own, and returns its address. It
// is killed at the end of the test.
func plainServer(t *testing.T, cache string, wrap []string, xdist string, args ...string) string {
	t.Helper()
	line := append(append(wrap, xdist, "serve", "--listen", "127.0.0.1:0"), args...)
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Dir, cmd.WaitDelay = t.TempDir(), 10*time.Second
	cmd.Env = append(os.Environ(), "XDG_CACHE_HOME="+cache)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	said, err := bufio.NewReader(out).ReadString('\n')
	m := regexp.MustCompile(`^xdist: serving on (\S+) `).FindStringSubmatch(said)
	if m == nil {
		t.Fatalf("the server said %q, %v", said, err)
	}
	return m[1]
}

// runRead runs the program on gateways, and wants each to have read the file.
func runRead(t *testing.T, program string, specs ...string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("hello"), 0o644); err != nil {
		t.Fatal(err)
	}
	run := exec.Command(program, append([]string{file}, specs...)...)
	run.Env = append(os.Environ(), "XDG_CACHE_HOME="+t.TempDir())
	out, err := run.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	slices.Sort(lines) // they come as the hosts answer
	for i, line := range lines {
		if want := fmt.Sprintf("gw%d on %s: \"hello\", missing: false", i, host); line != want {
			t.Errorf("%s, want %s", line, want)
		}
	}
}

// A program of a user's own runs on a server of plain xdist, which has never seen it, also on one
// of another platform, and on one that only has an emulator for it.
func TestServersRunThePrograms(t *testing.T) {
	program := readProgram(t)
	key := filepath.Join(t.TempDir(), "team.key")
	if r := command(t, ".", nil, xdist(t), "keygen", key); r.status != 0 {
		t.Fatal(r.stderr)
	}
	cache := t.TempDir()
	addr := plainServer(t, cache, nil, xdist(t), "--key", key)
	spec := "socket=" + addr + "//key=" + key
	runRead(t, program, "3*"+spec)
	runRead(t, program, spec, spec+"//compress=zstd")
	kept, err := filepath.Glob(filepath.Join(cache, "xdist", "agents", "*", "xdist"))
	if err != nil || len(kept) != 1 {
		t.Errorf("the server has kept %q, %v", kept, err)
	}
	if _, err := exec.LookPath("qemu-aarch64-static"); err != nil || runtime.GOOS != "linux" || runtime.GOARCH == "arm64" {
		t.Skip("not shown: another platform, which needs qemu-aarch64-static")
	}
	runRead(t, program, spec+"//goarch=arm64//exec=qemu-aarch64-static")
	kept, err = filepath.Glob(filepath.Join(cache, "xdist", "agents", "*", "xdist"))
	if err != nil || len(kept) != 2 {
		t.Errorf("the server has kept %q, %v", kept, err)
	}
}

// TestServerOfAnotherVersion has a server whose agents would speak another protocol. It runs the
// client's, and its own are refused with both versions.
func TestServerOfAnotherVersion(t *testing.T) {
	source, err := filepath.Abs("../gateway/handshake.go")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	ours := fmt.Sprintf("ProtocolVersion uint16 = %d\n", gateway.ProtocolVersion)
	changed := strings.Replace(string(text), ours, "ProtocolVersion uint16 = 999\n", 1)
	dir := t.TempDir()
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{source: filepath.Join(dir, "handshake.go")}})
	if err != nil || changed == string(text) {
		t.Fatalf("%s does not have %q (%v)", source, ours, err)
	}
	for name, content := range map[string]string{"handshake.go": changed, "overlay.json": string(overlay)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	other := filepath.Join(dir, "xdist")
	build := exec.Command("go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", other, "../cmd/xdist")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	program := readProgram(t)
	runRead(t, program, "socket="+plainServer(t, t.TempDir(), nil, other, "--insecure"))

	own := plainServer(t, t.TempDir(), nil, other, "--insecure", "--own-program")
	run := exec.Command(program, dir, "socket="+own)
	run.Env = append(os.Environ(), "XDG_CACHE_HOME="+t.TempDir())
	if out, err := run.CombinedOutput(); err == nil || !strings.Contains(string(out), "999") {
		t.Errorf("%v: %s", err, out)
	}
}

var hostOf = gateway.Func("host of", func(_ context.Context, name string) (string, error) {
	host, err := os.Hostname()
	return name + "@" + host, err
})

// Agents of plain xdist join run the controller's program.
func TestJoinersRunThePrograms(t *testing.T) {
	key := filepath.Join(t.TempDir(), "team.key")
	if r := command(t, ".", nil, xdist(t), "keygen", key); r.status != 0 {
		t.Fatal(r.stderr)
	}
	g := gateway.NewGroup(gateway.Config{})
	defer g.Close()
	spec, err := xspec.Parse("listen=127.0.0.1:0//key=" + key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := g.Listen(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	cache := t.TempDir()
	join := exec.Command(xdist(t), "join", l.Addr().String(), "--key", key, "-n", "2")
	join.Env = append(os.Environ(), "XDG_CACHE_HOME="+cache)
	join.Dir, join.WaitDelay = t.TempDir(), 10*time.Second
	var said strings.Builder
	join.Stderr = &said
	if err := join.Start(); err != nil {
		t.Fatal(err)
	}
	defer join.Process.Kill()
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for range 2 {
		gw, err := l.Accept(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := hostOf.Call(ctx, gw, gw.ID()); err != nil || got != gw.ID()+"@"+host {
			t.Errorf("%q, %v", got, err)
		}
		if dir := filepath.Join(cache, "xdist", "agents"); !strings.HasPrefix(gw.Info().Executable, dir) {
			t.Errorf("the agent is %s", gw.Info().Executable)
		}
	}
	g.Close()
	if err := join.Wait(); err != nil {
		t.Errorf("join: %v: %s", err, &said)
	}
}
