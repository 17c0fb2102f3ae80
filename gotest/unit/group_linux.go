package unit

import "syscall"

// ownGroup makes a process lead a group of its own and die with the thread that starts it, which
// startProcess keeps.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
