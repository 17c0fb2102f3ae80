//go:build darwin || freebsd || netbsd || openbsd || dragonfly

package main

import (
	"os"
	"syscall"
)

// infoSignals is what a terminal sends for Ctrl-T.
var infoSignals = []os.Signal{syscall.SIGINFO}
