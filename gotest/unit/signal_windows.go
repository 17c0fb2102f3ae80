package unit

import (
	"os"
	"syscall"
)

// traceSignal is not used: see canTrace.
const traceSignal = syscall.SIGQUIT

// canTrace says that no signal makes a Go program print its stacks here.
const canTrace = false

// trace is not possible here.
func trace(*os.Process) error { return os.ErrProcessDone }

// canHold says that processes cannot be stopped here.
const canHold = false

// isBusy reports false: executables that are open for writing are no problem of this system's.
func isBusy(error) bool { return false }

// signalName returns "": there are no signals.
func signalName(*os.ProcessState) string { return "" }
