//go:build unix

package gotest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// killer is a program for -toolexec that kills what matches a pattern, itself, as the kernel does
// for want of memory: so often, and then never again.
func killer(t *testing.T, pattern string, times int) string {
	t.Helper()
	dir := t.TempDir()
	script := fmt.Sprintf(`#!/bin/sh
case "$*" in
*-V=full*) ;;
%s)
	n=1
	while [ $n -le %d ]; do
		if mkdir %s/$n 2>/dev/null; then kill -9 $$; fi
		n=$((n+1))
	done;;
esac
exec "$@"
`, pattern, times, dir)
	name := filepath.Join(dir, "killer")
	if err := os.WriteFile(name, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return name
}

var killedModule = map[string]string{
	"go.mod":      "module example.com/m\n\ngo 1.24\n",
	"dep/dep.go":  "package dep\n\nfunc X() int { return 1 }\n",
	"a/a_test.go": "package a\n\nimport (\n\t\"testing\"\n\n\t\"example.com/m/dep\"\n)\n\nfunc TestA(t *testing.T) { dep.X() }\n",
	"b/b_test.go": "package b\n\nimport \"testing\"\n\nfunc TestB(t *testing.T) {}\n",
	"c/c_test.go": "package c\n\nimport \"testing\"\n\nfunc TestC(t *testing.T) { undefined() }\n",
}

// TestKilledTool has the tools of a build killed. What one kill has stopped is built again, and the
// rest is told once.
func TestKilledTool(t *testing.T) {
	for _, tt := range []struct {
		name, pattern string
		times         int
		extra         string
		ready         bool // a is built in the end
	}{
		{"compiler", "*/compile*' -p example.com/m/dep '*", 1, "", true},
		{"linker", "*/link*/a.test*", 1, "", true},
		{"vet", "*/vet*", 1, "", true},
		{"with coverage", "*/compile*' -p example.com/m/dep '*", 1, "-coverprofile=/dev/null", true},
		{"compiler always", "*/compile*' -p example.com/m/dep '*", 9, "", false},
		{"linker always", "*/link*/a.test*", 9, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLoads(t, killedModule)
			args := []string{"-toolexec=" + killer(t, tt.pattern, tt.times), "-p=4", "./..."}
			if tt.extra != "" {
				args = slices.Insert(args, 0, tt.extra)
			}
			got := l.mustLoad(Platform{}, args...)
			if _, ready := got.ready["example.com/m/a"]; ready != tt.ready {
				t.Errorf("a is ready: %t, reported: %v\n%v", ready, got.reported["example.com/m/a"], got.output)
			}
			if _, ready := got.ready["example.com/m/b"]; !ready {
				t.Errorf("b is not ready: %v", got.reported["example.com/m/b"])
			}
			var text strings.Builder
			for _, e := range got.output {
				text.WriteString(e.Output)
			}
			if n := strings.Count(text.String(), "undefined: undefined"); n != 1 {
				t.Errorf("the failure of c is told %d times:\n%s", n, &text)
			}
			told := strings.Contains(text.String(), "signal: killed\nxdist: killed twice: "+killedAdvice)
			if told == tt.ready {
				t.Errorf("said of what was killed:\n%s", &text)
			}
			if len(got.warnings) != 1 || !strings.Contains(got.warnings[0], "was killed") || !strings.HasSuffix(got.warnings[0], "building again with -p=2") {
				t.Errorf("warnings: %q", got.warnings)
			}
		})
	}
}

// TestKilledGo has the go command itself killed.
func TestKilledGo(t *testing.T) {
	real, err := exec.LookPath("go")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, which string
		times       int
		want        string // in the error
	}{
		{"list", "list", 1, ""},
		{"test", "test", 1, ""},
		{"list always", "list", 9, "list packages: go list: signal: killed: it says nothing: " + killedAdvice},
		{"test always", "test", 9, "go test: signal: killed: " + killedAdvice},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLoads(t, killedModule)
			l.goCommand = fakeGo(t, fmt.Sprintf("exec %s %s \"$@\"\n", killer(t, "*' "+tt.which+" '*", tt.times), real))
			got, err := l.load(Platform{}, "./a", "./b")
			if tt.want != "" {
				if err == nil || err.Error() != tt.want {
					t.Errorf("got %v, want %s", err, tt.want)
				}
				return
			}
			if err != nil || len(got.ready) != 2 || len(got.warnings) != 1 || !strings.Contains(got.warnings[0], "was killed") {
				t.Errorf("%d ready, %q, %v", len(got.ready), got.warnings, err)
			}
		})
	}
}

// TestKilledCompilerLeavesNothing has a C compiler killed that the go command asks for its version,
// after it has made a file for the time being.
func TestKilledCompilerLeavesNothing(t *testing.T) {
	runDir, temp, bin := t.TempDir(), t.TempDir(), t.TempDir()
	t.Setenv("TMPDIR", temp)
	cc := filepath.Join(bin, "cc")
	if err := os.WriteFile(cc, []byte("#!/bin/sh\nmktemp >&2\nkill -9 $$\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	env, err := buildEnv(runDir, append(os.Environ(), "CC="+cc, "CGO_ENABLED=1"), false)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "list", "-export", "runtime/cgo")
	cmd.Env = env
	if out, err := cmd.CombinedOutput(); err == nil {
		t.Errorf("the compiler was not asked: %s", out)
	}
	if left, err := filepath.Glob(temp + "/*"); err != nil || len(left) > 0 {
		t.Errorf("left are %q, %v", left, err)
	}
}
