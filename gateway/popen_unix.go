//go:build unix && !linux

package gateway

import (
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

type processHandle struct{}

// setProcessAttributes makes the agent the leader of a session and a process group of its own.
func setProcessAttributes(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }

func (p *popenProcess) adopt() error { return nil }

// reap waits for the process and ends what it has left in its group, which keeps the id while it
// has members.
func (p *popenProcess) reap() error {
	err := p.cmd.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.endTree()
	p.reaped = true
	return err
}

func (p *popenProcess) interruptTree() { unix.Kill(p.cmd.Process.Pid, unix.SIGTERM) }

// endTree kills the process group. What handlers have put into other groups is theirs to end.
func (p *popenProcess) endTree() { unix.Kill(-p.cmd.Process.Pid, unix.SIGKILL) }

// growPipe does nothing: the size of a pipe cannot be set here.
func growPipe(*os.File) {}
