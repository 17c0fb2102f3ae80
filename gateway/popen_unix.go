//go:build unix

package gateway

import "syscall"

func (p *popenProcess) interruptTree() { syscall.Kill(p.cmd.Process.Pid, syscall.SIGTERM) }
