//go:build unix

package rsync

import (
	"syscall"
	"testing"
	"time"
)

// TestWatchWithAStoppedHost sends to the others meanwhile, and to the stopped one when it goes on.
func TestWatchWithAStoppedHost(t *testing.T) {
	src, a, b := newPlace(t), newPlace(t), newPlace(t)
	src.write("file", "one")
	runs, stops := openBeside(t, a), openBeside(t, b)
	next := watchNext(t, WatchOptions{Source: Source{Root: src.dir}, Dir: "tree", Quiet: time.Millisecond}, runs, stops)
	untilSame(t, next, src, a, b)
	src.do(syscall.Kill(stops.Info().Pid, syscall.SIGSTOP))
	defer syscall.Kill(stops.Info().Pid, syscall.SIGCONT)
	for _, content := range []string{"two", "three", "four"} {
		src.write("file", content)
		untilSame(t, next, src, a)
	}
	if b.read("file") != "one" {
		t.Error("the host was not stopped")
	}
	src.do(syscall.Kill(stops.Info().Pid, syscall.SIGCONT))
	untilSame(t, next, src, a, b)
}
