//go:build unix

package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/xdist-go/xdist/internal/ownfile"
	"github.com/xdist-go/xdist/internal/strangers"
)

// What a store makes is this user's alone, whatever the umask is, and in a directory that others
// may enter too: what is in it is executed.
func TestDirectoriesArePrivate(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755|os.ModeSetgid); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir)
	d := put(t, s, "a", 100)
	if err := s.PutRecord("key", []byte("value")); err != nil {
		t.Fatal(err)
	}
	r := begin(t, s)
	if _, err := r.Binary(t.Context(), d, "a.test"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.TempDir(); err != nil {
		t.Fatal(err)
	}
	dirs := 0
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || !e.IsDir() || name == dir {
			return err
		}
		info, err := e.Info()
		if dirs++; err == nil && info.Mode().Perm() != 0o700 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
		return err
	})
	if err != nil || dirs < 8 {
		t.Errorf("%d directories, %v", dirs, err)
	}
}

// Directories that others may write to, as older versions have made them with some umasks, may hold
// programs of theirs: such a store is not opened.
func TestOpenedDirectories(t *testing.T) {
	for _, sub := range []string{binDir, recDir, runsDir, tmpDir, filepath.Join(binDir, "ab")} {
		dir := t.TempDir()
		open(t, dir)
		opened := filepath.Join(dir, sub)
		if err := os.MkdirAll(opened, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(opened, 0o777); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir, -1, nil); !errors.Is(err, ownfile.ErrShared) || !strings.Contains(err.Error(), opened) {
			t.Errorf("%s: %v", sub, err)
		}
		if err := os.Chmod(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir, -1, nil); err != nil {
			t.Errorf("%s, which nobody can reach: %v", sub, err)
		}
	}
}

// A FIFO in the place of a binary is waited for by nobody.
func TestFIFOsInAStore(t *testing.T) {
	s := open(t, t.TempDir())
	fifo := filepath.Join(t.TempDir(), "fifo")
	strangers.FIFO(t, fifo)
	strangers.AtOnce(t, "a binary", func() {
		if _, err := s.Put(t.Context(), fifo, Copy); err == nil {
			t.Error("a FIFO is put")
		}
		if Differs(t.Context(), fifo, Digest{}) {
			t.Error("what cannot be read does not count as different")
		}
		if err := begin(t, s).copy(t.Context(), fifo, filepath.Join(t.TempDir(), "copy")); err == nil {
			t.Error("a FIFO is copied")
		}
	})
}
