package integration

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/xdist-go/xdist/integration/sshd"
)

// The program of a new user runs as README.md shows it: on two processes of this host, on one that
// ssh leads to, and on one of another platform.
func TestLibraryProgram(t *testing.T) {
	const source = "../examples/read/main.go"
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(source)
	if err != nil || !bytes.Contains(readme, text) {
		t.Errorf("README.md does not show %s as it is (%v)", source, err)
	}
	if lines := bytes.Count(text, []byte("\n")); lines > 25 {
		t.Errorf("a new user's program has %d lines, want 25", lines)
	}
	program := filepath.Join(t.TempDir(), "program")
	build := exec.Command("go", "build", "-o", program, filepath.Dir(source))
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("hello"), 0o644); err != nil {
		t.Fatal(err)
	}
	specs := []string{"2*popen"}
	if runtime.GOOS == "linux" {
		specs = append(specs, sshd.Start(t, sshd.Options{}).Spec())
	} else {
		t.Log("not shown: ssh, which needs an sshd of our own")
	}
	if _, err := exec.LookPath("qemu-aarch64-static"); err == nil && runtime.GOOS == "linux" && runtime.GOARCH != "arm64" {
		specs = append(specs, "popen//goarch=arm64//exec=qemu-aarch64-static")
	} else {
		t.Log("not shown: another platform, which needs qemu-aarch64-static")
	}
	for name, want := range map[string]string{file: `"hello", missing: false`, file + ".none": `"", missing: true`} {
		run := exec.Command(program, append([]string{name}, specs...)...)
		run.Env = append(os.Environ(), "XDG_CACHE_HOME="+t.TempDir())
		out, err := run.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		host, _ := os.Hostname()
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		slices.Sort(lines) // they come as the hosts answer
		for i, line := range lines {
			if wanted := fmt.Sprintf("gw%d on %s: %s", i, host, want); line != wanted {
				t.Errorf("%s, want %s", line, wanted)
			}
		}
		if len(lines) != len(specs)+1 {
			t.Errorf("%d lines: %s", len(lines), out)
		}
	}
}
