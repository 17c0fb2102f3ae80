//go:build linux

package rsync

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
)

// TestNoExec has a cache on a file system that nothing may be executed from.
func TestNoExec(t *testing.T) {
	p := place{t, t.TempDir()}
	p.write("noexec/x", "x")
	if err := syscall.Mount("tmpfs", p.path("noexec"), "tmpfs", syscall.MS_NOEXEC, "size=1m"); err != nil {
		t.Skipf("skipped: mounting a file system needs more rights: %v", err)
	}
	defer func() { p.do(syscall.Unmount(p.path("noexec"), 0)) }()
	if _, err := openBlobs([]string{p.path("noexec/a/blobs")}); !errors.Is(err, errNoExec) || !strings.Contains(err.Error(), "noexec/a/blobs") {
		t.Errorf("error: %v", err)
	}
	s, err := openBlobs([]string{p.path("noexec/a/blobs"), p.path("good/blobs")})
	if err != nil || s.dir != p.path("good/blobs") {
		t.Fatalf("%v, %v", s, err)
	}
	s.root.Close()
}

// TestDiskFull has a target on a file system that is too small: the error says so, and a sync of
// what fits works afterwards, with nothing left behind.
func TestDiskFull(t *testing.T) {
	src, dst := newPlace(t), place{t, t.TempDir()}
	if err := syscall.Mount("tmpfs", dst.dir, "tmpfs", 0, "size=3m"); err != nil {
		t.Skipf("skipped: mounting a file system needs more rights: %v", err)
	}
	t.Cleanup(func() { dst.do(syscall.Unmount(dst.dir, 0)) }) // after the agent, which has it open, has ended
	target := place{t, dst.path("tree")}
	gw := open(t)
	for _, large := range []bool{true, false} {
		src.write("fits", noise(6, 1<<20))
		if large {
			src.write("too large", noise(7, 4<<20))
		}
		for i := range 40 {
			src.write("small/"+strings.Repeat("x", i+1), noise(uint64(i), 100_000))
		}
		s := New(Source{Root: src.dir})
		s.AddTarget(gw, target.dir, TargetOptions{})
		if _, err := s.Send(t.Context()); err == nil || !strings.Contains(err.Error(), "the disk is full") {
			t.Errorf("error: %v", err)
		}
		src.do(os.RemoveAll(src.dir))
		src.write("fits", noise(8, 1<<20))
		sendOne(t, Source{Root: src.dir}, gw, target.dir, TargetOptions{Delete: true, Clean: true})
		same(t, src, target)
	}
}
