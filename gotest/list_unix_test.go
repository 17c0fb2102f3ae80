//go:build unix

package gotest

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestListCancelled has a go command whose child ignores interrupts and holds the pipes open. A
// fifo that both keep open tells when they have started, and by its end that none of them is left.
func TestListCancelled(t *testing.T) {
	defer goleak.VerifyNone(t)
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	name := fakeGo(t, `exec 3>"`+fifo+`"; (trap "" INT; exec sleep 100) & echo started >&3; wait`)
	c, err := ParseCommand(nil, "")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	listed := make(chan error, 1)
	go func() {
		_, err := List(ctx, ListConfig{Command: c, Go: name})
		listed <- err
	}()
	f, err := os.Open(fifo) // waits for a writer
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := bufio.NewReader(f)
	for range 2 { // go list and go env
		if _, err := r.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	why := errors.New("no longer wanted")
	begin := time.Now()
	cancel(why)
	if err := <-listed; !errors.Is(err, why) {
		t.Errorf("got %v", err)
	}
	if d := time.Since(begin); d > 2*listWaitDelay {
		t.Errorf("came back after %v", d)
	}
	if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 {
		t.Errorf("then %q, %v", rest, err)
	}
}
