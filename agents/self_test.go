package agents

import (
	"context"
	"debug/elf"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/xdist-go/xdist/internal/ownfile"
)

// A program is compiled from its own sources for another platform, once, and again when they have
// changed.
func TestSelf(t *testing.T) {
	dir, cache := t.TempDir(), t.TempDir()
	write(t, filepath.Join(dir, "go.mod"), "module example.com/tiny\n\ngo 1.24\n")
	write(t, filepath.Join(dir, "main.go"), "package main\n\nfunc main() { println(\"agent\") }\n")
	goarch := map[string]string{"amd64": "arm64"}[runtime.GOARCH]
	if goarch == "" {
		goarch = "amd64"
	}
	program := func() *self { return &self{recipe: recipe{dir: dir}, cache: cache} }
	one := program()
	a, err := one.agent(t.Context(), "linux", goarch)
	if err != nil {
		t.Fatal(err)
	}
	f, err := elf.Open(a.Path)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]elf.Machine{"arm64": elf.EM_AARCH64, "amd64": elf.EM_X86_64}[goarch]
	if f.Machine != want || len(a.Args) != 1 || a.Args[0] != "agent" || len(a.Digest) != 64 {
		t.Errorf("%v, %+v", f.Machine, a)
	}
	f.Close()
	if again, err := one.agent(t.Context(), "linux", goarch); err != nil || again.Digest != a.Digest {
		t.Errorf("once more: %+v, %v", again, err)
	}
	write(t, filepath.Join(dir, "main.go"), "package main\n\nfunc main() { println(\"changed\") }\n")
	if changed, err := program().agent(t.Context(), "linux", goarch); err != nil || changed.Digest == a.Digest || changed.Path == a.Path {
		t.Errorf("after a change: %+v, %v", changed, err)
	}
	write(t, filepath.Join(dir, "main.go"), "package main\n\nfunc main() { nonsense }\n")
	if _, err := program().agent(t.Context(), "linux", goarch); err == nil || !strings.Contains(err.Error(), "undefined: nonsense") {
		t.Errorf("of a program that does not compile: %v", err)
	}
	gone := &self{recipe: recipe{dir: filepath.Join(dir, "gone")}, cache: cache}
	if _, err := gone.agent(t.Context(), "linux", goarch); err == nil || !strings.Contains(err.Error(), "its sources are not on this host") {
		t.Errorf("without its sources: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := gone.agent(ctx, "linux", goarch); err == nil {
		t.Error("an ended context was no error")
	}
	if left, err := filepath.Glob(filepath.Join(cache, "build-*")); err != nil || len(left) > 0 {
		t.Errorf("%v are left, %v", left, err)
	}
}

// Where somebody else may put programs none is taken, and none is compiled.
func TestSelfAmongStrangers(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("skipped: modes say nothing of who may write on Windows")
	}
	cache := t.TempDir()
	if err := os.Chmod(cache, 0o777); err != nil {
		t.Fatal(err)
	}
	_, err := (&self{cache: cache}).agent(t.Context(), runtime.GOOS, runtime.GOARCH)
	if !errors.Is(err, ownfile.ErrShared) || !strings.Contains(err.Error(), cache) {
		t.Errorf("got %v", err)
	}
}
