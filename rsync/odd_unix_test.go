//go:build unix

package rsync

import (
	"strings"
	"syscall"
	"testing"
)

// TestOdd is the other half of conformance case 92: a named pipe is refused by name, and nobody
// waits for it.
func TestOdd(t *testing.T) {
	src, dst := newPlace(t), newPlace(t)
	src.write("dir/file", "content")
	src.do(syscall.Mkfifo(src.path("dir/pipe"), 0o600))
	s := New(Source{Root: src.dir})
	s.AddTarget(open(t), dst.dir, TargetOptions{})
	if _, err := s.Send(t.Context()); err == nil || !strings.Contains(err.Error(), src.path("dir/pipe")+": it is a named pipe") {
		t.Errorf("error: %v", err)
	}
}

// TestOddAtTarget has tests leave a named pipe in the place of a file.
func TestOddAtTarget(t *testing.T) {
	src, dst := newPlace(t), newPlace(t)
	gw := open(t)
	src.write("file", "content")
	dst.write("x", "x")
	dst.do(syscall.Mkfifo(dst.path("file"), 0o600))
	dst.do(syscall.Mkfifo(dst.path("left"), 0o600))
	sendOne(t, Source{Root: src.dir}, gw, dst.dir, TargetOptions{Clean: true})
	same(t, src, dst)
}
