package gateway

import (
	"os/exec"

	"golang.org/x/sys/windows"

	"github.com/xdist-go/xdist/internal/procgroup"
)

// setProcessAttributes makes the agent the root of a console process group, so that it can be
// interrupted alone.
func setProcessAttributes(cmd *exec.Cmd) { cmd.SysProcAttr = procgroup.Own() }

func (p *popenProcess) interruptTree() {
	windows.GenerateConsoleCtrlEvent(windows.CTRL_BREAK_EVENT, uint32(p.cmd.Process.Pid)) // without a console there is nothing to do but wait for the kill
}
