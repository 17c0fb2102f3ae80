//go:build unix && !linux

package unit

import "syscall"

// ownGroup makes a process lead a group of its own.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
