//go:build unix

package rsync

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/xdist-go/xdist/internal/ownfile"
	"github.com/xdist-go/xdist/internal/strangers"
)

// TestBlobsAmongStrangers has somebody else put things where the store of blobs would be, in a
// directory that is everybody's. Nothing is made, listed or waited for there, and the next place is
// taken.
func TestBlobsAmongStrangers(t *testing.T) {
	strangers.Each(t, func(t *testing.T, what string, plant func(name, precious string)) {
		all, ours := place{t, t.TempDir()}, place{t, t.TempDir()}
		ours.write("blobs/"+digestOf("content")+"/file", "content")
		ours.do(os.Chmod(ours.dir, 0o700))
		ours.do(os.Chmod(ours.path("blobs"), 0o700))
		before := ours.lines()
		planted := all.path("xdist-0")
		plant(planted, ours.dir)
		donec := make(chan struct{})
		go func() {
			defer close(donec)
			s, err := openBlobs([]string{filepath.Join(planted, "blobs"), all.path("next/blobs")})
			if err != nil {
				t.Error(err)
				return
			}
			defer s.root.Close()
			if s.dir != all.path("next/blobs") {
				t.Errorf("blobs are in %s", s.dir)
			}
			if list := listBlobs([]string{filepath.Join(planted, "blobs")}); len(list) > 0 {
				t.Errorf("%d bytes of digests are listed", len(list))
			}
		}()
		select {
		case <-donec:
		case <-time.After(time.Minute):
			t.Fatal("it waits for what somebody has put there")
		}
		if after := ours.lines(); after != before {
			t.Errorf("made through a link:\n%swas\n%s", after, before)
		}
		if left, err := os.ReadDir(planted); err == nil && !strings.HasPrefix(what, "link") && len(left) > 0 {
			t.Errorf("made in what is there: %v", left)
		}
	})
}

// The index is neither read nor written where another user may write: it says of which files the
// content need not be looked at.
func TestIndexAmongStrangers(t *testing.T) {
	src := newPlace(t)
	src.write("file", "content")
	cache := filepath.Join(t.TempDir(), "index")
	s := Source{Root: src.dir, Cache: cache}
	if img, err := s.scan(t.Context()); err != nil || img.warn != nil {
		t.Fatal(err, img.warn)
	}
	tr, err := s.tree()
	if err != nil {
		t.Fatal(err)
	}
	if len(s.loadIndex(tr).records) != 1 {
		t.Fatal("there is no index")
	}
	src.do(os.Chmod(cache, 0o777))
	if len(s.loadIndex(tr).records) != 0 {
		t.Error("an index is read from where others may write")
	}
	img, err := s.scan(t.Context())
	if err != nil || !errors.Is(img.warn, ownfile.ErrShared) {
		t.Errorf("%v, warning %v", err, img.warn)
	}
}

// The directory of the index is private whatever the umask is.
func TestIndexIsPrivate(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	src := newPlace(t)
	src.write("file", "content")
	cache := filepath.Join(t.TempDir(), "index")
	src.do(os.Chmod(filepath.Dir(cache), 0o755))
	if img, err := (Source{Root: src.dir, Cache: cache}).scan(t.Context()); err != nil || img.warn != nil {
		t.Fatal(err, img.warn)
	}
	if info, err := os.Stat(cache); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}
