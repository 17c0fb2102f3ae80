package procgroup

import "syscall"

// Bound is Own for a process that also dies with the thread that starts it.
func Bound() *syscall.SysProcAttr {
	attr := Own()
	attr.Pdeathsig = syscall.SIGKILL
	return attr
}
