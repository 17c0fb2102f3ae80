//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package main

import (
	"os"

	"golang.org/x/term"
)

// hideTyping leaves it to what reads the answer.
func hideTyping(int) error { return nil }

// readSecret reads a line from a terminal and does not show it.
func readSecret(in *os.File) (string, error) {
	secret, err := term.ReadPassword(int(in.Fd()))
	return string(secret), err
}
