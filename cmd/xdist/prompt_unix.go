//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package main

import (
	"bufio"
	"os"

	"golang.org/x/sys/unix"
)

// hideTyping ends the echo of a terminal.
func hideTyping(fd int) error {
	state, err := unix.IoctlGetTermios(fd, getTermios)
	if err != nil {
		return err
	}
	state.Lflag &^= unix.ECHO
	return unix.IoctlSetTermios(fd, setTermios, state)
}

// readSecret reads a line from a terminal whose echo hideTyping has ended. It leaves the terminal's
// settings alone: the question may be over by now, and the echo on again.
func readSecret(in *os.File) (string, error) { return bufio.NewReader(in).ReadString('\n') }
