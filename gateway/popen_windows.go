package gateway

import "golang.org/x/sys/windows"

func (p *popenProcess) interruptTree() {
	windows.GenerateConsoleCtrlEvent(windows.CTRL_BREAK_EVENT, uint32(p.cmd.Process.Pid)) // without a console there is nothing to do but wait for the kill
}
