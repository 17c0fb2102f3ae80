//go:build unix

package agents

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// fifo is a named pipe, by which a script and the test wait for each other.
type fifo string

func newFifo(t *testing.T, name string) fifo {
	t.Helper()
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	return fifo(name)
}

// meet returns when the script has opened the other end.
func (f fifo) meet(t *testing.T, flag int) {
	t.Helper()
	file, err := os.OpenFile(string(f), flag, 0)
	if err != nil {
		t.Fatal(err)
	}
	file.Close()
}

// TestCallersDoNotEndEachOther cancels one of two callers that want the same agent, while the first
// one's compiler runs.
func TestCallersDoNotEndEachOther(t *testing.T) {
	goCommand, err := exec.LookPath("go")
	if err != nil {
		t.Skipf("skipped: no go command: %v", err)
	}
	for _, tc := range []struct {
		name  string
		loses int
	}{{"the first", 0}, {"the second", 1}} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			begun, held := newFifo(t, filepath.Join(dir, "begun")), newFifo(t, filepath.Join(dir, "held"))
			wrapper, program := filepath.Join(dir, "go"), filepath.Join(dir, "bin", "xdist")
			write(t, wrapper, "#!/bin/sh\nif [ \"$1\" = build ] && mkdir '"+dir+"/first' 2>/dev/null; then : >'"+string(begun)+"'; : <'"+string(held)+"'; fi\nexec '"+goCommand+"' \"$@\"\n")
			write(t, program, "#!/bin/sh\n")
			m := New(Config{Dir: filepath.Join(dir, "cache"), Sources: tiny(), Package: "./cmd/a", Go: wrapper, Program: program})

			why := errors.New("no longer wanted")
			var cancels [2]context.CancelCauseFunc
			var errcs [2]chan error
			for i := range errcs {
				var ctx context.Context
				ctx, cancels[i] = context.WithCancelCause(t.Context())
				defer cancels[i](nil)
				errcs[i] = make(chan error, 1)
				go func() {
					_, err := m.Agent(ctx, "linux", "s390x")
					errcs[i] <- err
				}()
				if i == 0 {
					begun.meet(t, os.O_RDONLY)
				}
			}
			cancels[tc.loses](why)
			if err := <-errcs[tc.loses]; !errors.Is(err, why) {
				t.Errorf("the cancelled one: %v", err)
			}
			if tc.loses == 1 {
				held.meet(t, os.O_WRONLY)
			}
			if err := <-errcs[1-tc.loses]; err != nil {
				t.Errorf("the other one: %v", err)
			}
		})
	}
}

// TestKilledGoLeavesNothing has the go command killed, with its work directory where it was told to
// make it.
func TestKilledGoLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	wrapper, program, temp := filepath.Join(dir, "go"), filepath.Join(dir, "bin", "xdist"), t.TempDir()
	write(t, wrapper, "#!/bin/sh\n[ \"$1\" = build ] || { echo go1.26.0; exit; }\nmkdir \"${GOTMPDIR:-$TMPDIR}/go-build$$\" || exit\nkill -9 $$\n")
	write(t, program, "#!/bin/sh\n")
	m := New(Config{
		Dir: filepath.Join(dir, "cache"), Sources: tiny(), Package: "./cmd/a", Go: wrapper, Program: program,
		Env: append(os.Environ(), "TMPDIR="+temp, "GOTMPDIR="),
	})
	if a, err := m.Agent(t.Context(), "linux", "s390x"); err == nil || !strings.Contains(err.Error(), "signal: killed") {
		t.Errorf("got %v, %v", a, err)
	}
	for _, place := range []string{temp, m.cfg.Dir} {
		if left, err := filepath.Glob(filepath.Join(place, "*")); err != nil || len(left) > 0 {
			t.Errorf("left are %q, %v", left, err)
		}
	}
}
