package programs

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// mount has a small file system in a directory.
func mount(t *testing.T, dir string, flags uintptr) {
	t.Helper()
	check(t, os.Mkdir(dir, 0o700))
	if err := syscall.Mount("tmpfs", dir, "tmpfs", flags, "size=1200k,mode=700"); err != nil {
		t.Skipf("skipped: mounting a file system needs more rights: %v", err)
	}
	t.Cleanup(func() { check(t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
}

// A place that is full, or that nothing may be executed from, is passed over; a disk that fills up
// meanwhile is told, and nothing is left on it.
func TestDisks(t *testing.T) {
	dir := t.TempDir()
	full, noexec, good := filepath.Join(dir, "full"), filepath.Join(dir, "noexec"), filepath.Join(dir, "good")
	mount(t, full, 0)
	mount(t, noexec, syscall.MS_NOEXEC)
	content := strings.Repeat("x", 500_000)
	s := &Store{places: []string{full, noexec}, limit: 1 << 30}
	p, receive := program(content)
	if _, _, err := s.Put(p, receive); err == nil || !strings.Contains(err.Error(), "bytes are free") || !errors.Is(err, errNoExec) {
		t.Errorf("without a place: %v", err)
	}
	s.places = append(s.places, good)
	if _, path := put(t, s, content); !strings.HasPrefix(path, good) {
		t.Errorf("put at %s", path)
	}
	s.places = []string{full}
	p, receive = program("small")
	_, _, err := s.Put(p, func(w io.Writer) error {
		if err := os.WriteFile(filepath.Join(full, "filler"), make([]byte, 2<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("the disk is not full: %v", err)
		}
		return receive(w)
	})
	if err == nil || !strings.Contains(err.Error(), "the disk is full") {
		t.Errorf("got %v", err)
	}
	if got := names(t, s); len(got) > 0 {
		t.Errorf("%q are left", got)
	}
}
