package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/creack/pty"
)

// openTerminal opens both ends of a pseudo terminal of 80 columns.
func openTerminal() (ours, theirs *os.File, err error) {
	if ours, theirs, err = pty.Open(); err == nil {
		if err = pty.Setsize(ours, &pty.Winsize{Rows: 24, Cols: 80}); err != nil {
			err = errors.Join(err, ours.Close(), theirs.Close())
		}
	}
	if err != nil {
		return nil, nil, fmt.Errorf("open a pseudo terminal: %w: %w", err, errUnavailable)
	}
	return ours, theirs, nil
}
