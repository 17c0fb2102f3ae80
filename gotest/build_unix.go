//go:build unix

package gotest

import (
	"os/exec"
	"syscall"
)

// ownGroup makes cmd the leader of a process group, so that a terminal's Ctrl-C reaches xdist
// alone, and makes cancelling interrupt the whole group: the go command forwards nothing to the
// compilers it runs.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
}
