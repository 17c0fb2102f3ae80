// Package files reads its own files, by the working directory and by the path that the compiler recorded.
package files

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

func TestByDirectory(t *testing.T) { read(t, filepath.Join("testdata", "text")) }

func TestByCaller(t *testing.T) {
	_, file, _, _ := runtime.Caller(0)
	read(t, filepath.Join(filepath.Dir(file), "testdata", "text"))
}

func TestTempDir(t *testing.T) {
	if err := os.WriteFile(filepath.Join(t.TempDir(), "x"), []byte("x"), 0o666); err != nil {
		t.Error(err)
	}
}

func read(t *testing.T, name string) {
	t.Helper()
	if _, err := os.ReadFile(name); err != nil {
		t.Error(err)
	}
}
