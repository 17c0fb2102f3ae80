//go:build unix

package unit

import (
	"errors"
	"os"
	"syscall"
)

// traceSignal makes a Go program print the stacks of its goroutines and exit; it has the text that
// `go test` prints.
const traceSignal = syscall.SIGQUIT

// canTrace says that traceSignal exists here.
const canTrace = true

// trace asks a process for its stacks and its end. It returns os.ErrProcessDone when the process
// has ended.
func trace(p *os.Process) error { return p.Signal(traceSignal) }

// canHold says that processes can be stopped and go on here.
const canHold = true

// isBusy reports whether a program could not be executed because somebody has it open for writing.
func isBusy(err error) bool { return errors.Is(err, syscall.ETXTBSY) }

// signalName returns the name of the signal that ended the process, or "".
func signalName(state *os.ProcessState) string {
	if ws, ok := state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return ws.Signal().String()
	}
	return ""
}
