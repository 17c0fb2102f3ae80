package store

import (
	"bufio"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRun shows the file that a run executes, and that it survives everything until Close.
func TestRun(t *testing.T) {
	s := open(t, t.TempDir())
	d := put(t, s, "a", 5000)
	r := begin(t, s)
	path, err := r.Binary(t.Context(), d, "a.test")
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Base(path) != "a.test" || !filepath.IsAbs(path) {
		t.Errorf("path %q, want an absolute one that ends in a.test", path)
	}
	if again, err := r.Binary(t.Context(), d, "a.test"); again != path || err != nil {
		t.Errorf("again: %q, %v", again, err)
	}
	if done := prune(t, s, 1); done.Files != 0 || done.Rubbish != 0 {
		t.Errorf("prune of a binary in use: %+v", done)
	}
	if st, err := s.Stats(t.Context()); err != nil || st != (Stats{Binaries: 1, Bytes: 2 * blockSize, Pinned: 2 * blockSize, Runs: 1, MaxBytes: -1}) {
		t.Errorf("stats %+v, %v", st, err)
	}
	if err := os.Remove(mustPath(t, s, d)); err != nil { // a prune that overtook us
		t.Fatal(err)
	}
	if text, err := os.ReadFile(path); len(text) != 5000 {
		t.Errorf("%d bytes, %v", len(text), err)
	}
	if _, err := r.Binary(t.Context(), d, "other.test"); !errors.Is(err, ErrMissing) {
		t.Errorf("a name for a binary that is gone: %v", err)
	}
	if err := errors.Join(r.Close(), r.Close()); err != nil {
		t.Error(err)
	}
	if _, err := r.Binary(t.Context(), d, "a.test"); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if files := tree(t, s.Dir()); len(files) != 1 || files[0] != pruneLock {
		t.Errorf("left: %q", files)
	}
}

// TestRunCopies shows that a run has its own copy where there are no links.
func TestRunCopies(t *testing.T) {
	s := open(t, t.TempDir())
	d := put(t, s, "a", 5000)
	r := begin(t, s)
	dir := filepath.Join(r.dir, d.Hex())
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "a.test")
	if err := r.copy(t.Context(), mustPath(t, s, d), path); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Size() != 5000 || info.Mode().Perm()&0o111 == 0 && filepath.Separator == '/' {
		t.Errorf("copy: %v, %v", info, err)
	}
	if err := r.copy(t.Context(), filepath.Join(s.Dir(), "gone"), path); !errors.Is(err, ErrMissing) {
		t.Errorf("copy of what was pruned: %v", err)
	}
}

func TestRunNames(t *testing.T) {
	s := open(t, t.TempDir())
	d := put(t, s, "a", 10)
	r := begin(t, s)
	for _, name := range []string{"", ".", "..", "a/b", `a\b`, "../a", "/a", "c:a", "a\x00", strings.Repeat("x", 300)} {
		if path, err := r.Binary(t.Context(), d, name); err == nil {
			t.Errorf("%q gives %q", name, path)
		}
	}
}

// TestOtherProcess shows that another process's run is respected while it lives and removed when it
// was killed.
func TestOtherProcess(t *testing.T) {
	s := open(t, t.TempDir())
	d := put(t, s, "a", 5000)
	cmd := helper(t, "hold", s.Dir(), d.String())
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	held := strings.TrimSpace(line)
	if err != nil || filepath.Base(held) != "held.test" {
		t.Fatalf("helper says %q, %v", line, err)
	}
	if done := prune(t, s, 1); done != (Pruned{}) {
		t.Errorf("prune while it lives: %+v", done)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait() // says that it was killed
	if _, err := os.Stat(held); err != nil {
		t.Errorf("the killed process cleaned up: %v", err)
	}
	if st, err := s.Stats(t.Context()); err != nil || st.Runs != 0 || st.Pinned != 0 {
		t.Errorf("stats %+v, %v, want no run", st, err)
	}
	if done := prune(t, s, 1); done.Rubbish != 1 || done.Files != 1 {
		t.Errorf("prune after its death: %+v, want its run and its binary gone", done)
	}
	if files := tree(t, s.Dir()); len(files) != 1 || files[0] != pruneLock {
		t.Errorf("left: %q", files)
	}
}

// TestCheck has a binary damaged that a run uses, whose path stays when it was put again.
func TestCheck(t *testing.T) {
	s := open(t, t.TempDir())
	path, _ := source(t, "a", 100)
	d, err := s.Put(t.Context(), path, Copy)
	if err != nil {
		t.Fatal(err)
	}
	r := begin(t, s)
	used, err := r.Binary(t.Context(), d, "a.test")
	if err != nil {
		t.Fatal(err)
	}
	check := func(want bool) {
		t.Helper()
		if right, err := r.Check(t.Context(), d); right != want || err != nil {
			t.Errorf("right: %t, %v, want %t", right, err, want)
		}
	}
	check(true)
	if err := os.WriteFile(used, make([]byte, 100), 0o755); err != nil {
		t.Fatal(err)
	}
	check(false)
	if _, err := s.Put(t.Context(), path, Copy); err != nil {
		t.Fatal(err)
	}
	check(false) // the run's own name is of the old file
	again, err := r.Binary(t.Context(), d, "a.test")
	if again != used || err != nil {
		t.Errorf("%s, %v, want %s", again, err, used)
	}
	check(true)
}
