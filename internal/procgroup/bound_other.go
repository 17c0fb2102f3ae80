//go:build !linux

package procgroup

import "syscall"

// Bound is Own: here no process can die with the thread that starts it.
func Bound() *syscall.SysProcAttr { return Own() }
