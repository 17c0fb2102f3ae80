//go:build unix

package gateway

import (
	"os/exec"
	"syscall"
)

// setProcessAttributes puts the agent into a session of its own. It is then the leader of a process
// group, out of reach of the terminal's signals, and what its handlers put into further process
// groups can still be found by the session, where the system tells of sessions.
func setProcessAttributes(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }

func (p *popenProcess) interruptTree() { syscall.Kill(p.cmd.Process.Pid, syscall.SIGTERM) }
