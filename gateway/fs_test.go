package gateway_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

// The files of another host are an fs.FS.
func TestFS(t *testing.T) { overPlatforms(t, testFS) }

func testFS(t *testing.T, tr transport) {
	dir := t.TempDir()
	large := bytes.Repeat([]byte("0123456789abcdef"), 100_000)
	for name, content := range map[string]string{"a": "hello", "b/c": "", "b/d": "x", "large": string(large)} {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	gw := tr.open(t)
	files := gw.FS(dir)
	if err := fstest.TestFS(files, "a", "b/c", "b/d", "large"); err != nil {
		t.Error(err)
	}
	if got, err := fs.ReadFile(files, "large"); err != nil || !bytes.Equal(got, large) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if _, err := fs.Stat(files, "none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	name := filepath.Join(dir, "written")
	for _, content := range [][]byte{large, []byte("short"), nil} {
		if err := gw.WriteFile(t.Context(), name, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%d bytes were written, want %d (%v)", len(got), len(content), err)
		}
	}
	if err := gw.WriteFile(t.Context(), filepath.Join(dir, "no", "such"), large, 0o600); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// What leads out of the directory is refused, and what is no file is not waited for.
func TestFSStaysInside(t *testing.T) {
	dir := t.TempDir()
	outside := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(outside, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "link")); err != nil {
		t.Skipf("skipped: no links here: %v", err)
	}
	makeFIFO(t, filepath.Join(dir, "fifo"))
	files := open(t, "popen").FS(dir)
	for name, want := range map[string]string{"link": "escapes", "../x": "invalid", "fifo": "it is a FIFO, and a file is wanted"} {
		if _, err := fs.ReadFile(files, name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}
