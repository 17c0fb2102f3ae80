//go:build unix

package gotest

import (
	"os/exec"

	"github.com/xdist-go/xdist/internal/procgroup"
)

// ownGroup makes cmd the leader of a process group, so that a terminal's Ctrl-C reaches xdist
// alone, and makes cancelling interrupt the whole group: the go command forwards nothing to the
// compilers it runs.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = procgroup.Own()
	cmd.Cancel = func() error { return groupOf(cmd).Interrupt() }
}

// killGroup ends what is left of the process group of a command that was started with ownGroup and
// has been waited for.
func killGroup(cmd *exec.Cmd) {
	if cmd.Process != nil {
		groupOf(cmd).Close()
	}
}

func groupOf(cmd *exec.Cmd) procgroup.Group {
	g, _ := procgroup.Adopt(cmd.Process) // never fails here
	return g
}
