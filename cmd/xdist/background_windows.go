package main

import (
	"os"
	"syscall"

	"golang.org/x/sys/windows"
)

// detached are the attributes of a process that outlives the console.
func detached() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: windows.CREATE_NEW_PROCESS_GROUP | windows.DETACHED_PROCESS}
}

// askToEnd kills a server: it has no console by which it could be asked. Its agents end with the
// jobs that they are in.
func askToEnd(p *os.Process) error { return p.Kill() }
