package integration

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/xdist-go/xdist/integration/sshd"
)

// A program uses trees and connections of hosts that it is sent to: by popen, through one and two
// others, by socket, by ssh, and of another platform.
func TestFilesOfHosts(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: it compiles a program for another platform")
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "program")
	build := exec.Command("go", "build", "-o", program, "./internal/files")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for name, content := range map[string]string{"old": "x", "bin/run": "#!/bin/sh\n", "large": strings.Repeat("0123456789", 300_000)} {
		name = filepath.Join(dir, "tree", name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	specs := []string{"popen//id=p1", "popen//via=p1//id=p2", "popen//via=p2//id=p3", "socket//installvia=p1//id=s"}
	arch := map[int]string{}
	if runtime.GOOS == "linux" {
		specs = append(specs, sshd.Start(t, sshd.Options{}).Spec()+"//id=ssh")
	} else {
		t.Log("not shown: ssh, which needs an sshd of our own")
	}
	if _, err := exec.LookPath("qemu-aarch64-static"); err == nil && runtime.GOOS == "linux" && runtime.GOARCH != "arm64" {
		arch[len(specs)] = "arm64"
		specs = append(specs, "popen//goarch=arm64//exec=qemu-aarch64-static//id=arm")
	} else {
		t.Log("not shown: another platform, which needs qemu-aarch64-static")
	}
	args := []string{filepath.Join(dir, "tree")}
	for i := range specs {
		args = append(args, fmt.Sprintf("%s//chdir=%s", specs[i], filepath.Join(dir, fmt.Sprint("host", i))))
	}
	run := exec.Command(program, args...)
	run.Env = append(os.Environ(), "XDG_CACHE_HOME="+t.TempDir())
	out, err := run.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != len(specs) {
		t.Fatalf("%d lines: %s", len(lines), out)
	}
	for i, line := range lines {
		goarch := runtime.GOARCH
		if arch[i] != "" {
			goarch = arch[i]
		}
		if want := goarch + ": tree bin bin/run large new, tcp ping pong, unix ping pong"; !strings.HasSuffix(line, " "+want) {
			t.Errorf("%s, want %s", line, want)
		}
	}
}

// The example of hot replication sends what changes until it is interrupted, and leaves nothing.
func TestHotSync(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("skipped: it is ended by an interrupt")
	}
	dir := t.TempDir()
	program, tree := filepath.Join(dir, "program"), filepath.Join(dir, "tree")
	build := exec.Command("go", "build", "-o", program, "../examples/hotsync")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(os.Mkdir(tree, 0o755))
	check(os.WriteFile(filepath.Join(tree, "one"), []byte("1"), 0o644))
	run := exec.Command(program, tree, "copy", "popen//chdir="+filepath.Join(dir, "a"), "popen//chdir="+filepath.Join(dir, "b"))
	run.Stderr = os.Stderr
	out, err := run.StdoutPipe()
	check(err)
	check(run.Start())
	defer run.Process.Kill()
	lines := bufio.NewScanner(out)
	round := func(want string) {
		t.Helper()
		for range 2 {
			if !lines.Scan() || !strings.HasPrefix(lines.Text(), "gw") || !strings.Contains(lines.Text(), ": "+want) {
				t.Fatalf("%q, want %s", lines.Text(), want)
			}
		}
	}
	round("1 files came and 0 went")
	check(os.Rename(filepath.Join(tree, "one"), filepath.Join(tree, "two")))
	round("1 files came and 1 went")
	for _, host := range []string{"a", "b"} {
		if text, err := os.ReadFile(filepath.Join(dir, host, "copy", "two")); err != nil || string(text) != "1" {
			t.Errorf("%s has %q, %v", host, text, err)
		}
	}
	check(run.Process.Signal(os.Interrupt))
	if lines.Scan() {
		t.Errorf("after the interrupt: %s", lines.Text())
	}
	check(run.Wait())
}
