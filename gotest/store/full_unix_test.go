//go:build unix

package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// limited is a process that may write files of 100 bytes only, which is the kind of full disk that
// needs no rights to make.
func limited(dir string) error {
	signal.Ignore(syscall.SIGXFSZ) // else it ends the process instead of failing the write
	s, err := Open(dir, 0, nil)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, "source")
	if err := os.WriteFile(path, make([]byte, 10_000), 0o755); err != nil {
		return err
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 100, Max: 100}); err != nil {
		return err
	}
	_, putErr := s.Put(context.Background(), path, Copy)
	recordErr := s.PutRecord("key", make([]byte, 1000))
	fmt.Println(errors.Is(putErr, ErrFull), errors.Is(recordErr, ErrFull), putErr, recordErr)
	_, linkErr := s.Put(context.Background(), path, Link)
	return linkErr // a link needs no space
}

// unprivileged opens a store as somebody who is not root.
func unprivileged(dir string) error {
	const nobody = 65534
	if os.Getuid() == 0 {
		if err := errors.Join(syscall.Setgid(nobody), syscall.Setuid(nobody)); err != nil {
			return err
		}
	}
	_, err := Open(dir, 0, nil)
	fmt.Println(errors.Is(err, ErrReadOnly), err)
	return nil
}

// TestFull shows that lack of space is told as such, that nothing is left of the attempt, and that
// links still work.
func TestFull(t *testing.T) {
	dir := t.TempDir()
	out, err := helper(t, "limited", dir).Output()
	if err != nil || !strings.HasPrefix(string(out), "true true ") {
		t.Errorf("%v\n%s", err, out)
	}
	if files := tree(t, dir); len(files) != 2 {
		t.Errorf("files: %q, want source and one binary", files)
	}
}

// TestReadOnly shows what a store says that may not be written. Root may write anything, and so
// becomes somebody else.
func TestReadOnly(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	open(t, dir)
	for _, sub := range []string{tmpDir, binDir, recDir, runsDir, ""} {
		if err := os.Chmod(filepath.Join(dir, sub), 0o555); err != nil {
			t.Fatal(err)
		}
	}
	defer os.Chmod(dir, 0o755)
	// The directories above are root's alone, and a store that cannot be reached is another matter.
	for up := filepath.Dir(dir); up != filepath.Dir(os.TempDir()) && up != os.TempDir(); up = filepath.Dir(up) {
		if err := os.Chmod(up, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := helper(t, "unprivileged", dir)
	out, err := cmd.Output()
	if err != nil || !strings.HasPrefix(string(out), "true open store "+dir+": the store is not writable: ") {
		t.Errorf("%v\n%s", err, out)
	}
}
