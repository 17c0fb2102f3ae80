//go:build unix

package main

import (
	"os"
	"syscall"

	"github.com/xdist-go/xdist/internal/procgroup"
)

// detached are the attributes of a process that outlives the terminal.
func detached() *syscall.SysProcAttr { return procgroup.Session() }

// askToEnd asks a server to end.
func askToEnd(p *os.Process) error { return p.Signal(syscall.SIGTERM) }
