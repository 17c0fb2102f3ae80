//go:build unix

package gotest

import (
	"os/exec"
	"syscall"
)

// killGroup ends what is left of the process group of a command that was started with ownGroup and
// has been waited for.
func killGroup(cmd *exec.Cmd) {
	if cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // mostly there is no such group any more
	}
}
