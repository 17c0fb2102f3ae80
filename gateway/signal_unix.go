//go:build unix

package gateway

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// signalNamed returns the signal of a name such as SIGTERM, or nil.
func signalNamed(name string) os.Signal {
	if sig := unix.SignalNum(name); sig != 0 {
		return sig
	}
	return nil
}

// nameOfSignal is the name of a signal, the same on all systems, or "".
func nameOfSignal(sig os.Signal) string {
	if s, ok := sig.(syscall.Signal); ok {
		return unix.SignalName(s)
	}
	return ""
}
