//go:build !linux

package main

import (
	"fmt"
	"os"
)

func openTerminal() (ours, theirs *os.File, err error) {
	return nil, nil, fmt.Errorf("pseudo terminals are opened on Linux only: %w", errUnavailable)
}
