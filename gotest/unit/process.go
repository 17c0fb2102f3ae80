package unit

import (
	"context"
	"errors"
	"os/exec"
	"runtime"
	"time"

	"github.com/xdist-go/xdist/internal/procgroup"
)

const (
	// busyFor is for how long the start of an executable that is open for writing is tried again,
	// and busyPause the pause between two tries. It is busy while a child that another goroutine
	// forked has not yet reached its exec (go.dev/issue/22315).
	busyFor   = 10 * time.Second
	busyPause = time.Millisecond
)

// A process is a running command that has a process group or job of its own.
//
// A goroutine that ends with the process starts it and waits for it, and is bound to its thread for
// that time: on Linux the process is killed when the thread that started it ends.
type process struct {
	cmd   *exec.Cmd
	group procgroup.Group

	exitedc chan struct{} // closed by the waiting goroutine after it has set err
	err     error         // what Wait returned; to be read after exitedc is closed
}

// startProcess starts the command that newCmd makes. It calls newCmd again for each try.
func startProcess(ctx context.Context, newCmd func() *exec.Cmd, start func(*exec.Cmd) error) (*process, error) {
	p := &process{exitedc: make(chan struct{})}
	startedc := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(p.exitedc)
		err := p.start(ctx, newCmd, start)
		startedc <- err
		if err == nil {
			p.err = p.cmd.Wait()
		}
	}()
	if err := <-startedc; err != nil {
		<-p.exitedc
		return nil, err
	}
	return p, nil
}

func (p *process) start(ctx context.Context, newCmd func() *exec.Cmd, start func(*exec.Cmd) error) error {
	giveUp := time.Now().Add(busyFor)
	for {
		p.cmd = newCmd()
		p.cmd.SysProcAttr = procgroup.Bound()
		err := start(p.cmd)
		if err == nil {
			p.group, _ = procgroup.Adopt(p.cmd.Process) // with an error it is the process alone
			return nil
		}
		if !isBusy(err) || time.Now().After(giveUp) {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(busyPause):
		}
	}
}
