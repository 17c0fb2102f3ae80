//go:build unix

package main

import (
	"os"
	"path/filepath"
	"testing"
)

// TestInterruptBeforeTheRun gets a signal while the go command is asked for its environment.
func TestInterruptBeforeTheRun(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "go"), []byte("#!/bin/sh\nkill -TERM $PPID\nexec sleep 100\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Setenv("XDIST_CACHE", t.TempDir())
	t.Chdir(dir)
	if got := run([]string{"xdist", "--tx", "popen"}); got != statusInterrupted {
		t.Errorf("exit status %d, want %d", got, statusInterrupted)
	}
}
