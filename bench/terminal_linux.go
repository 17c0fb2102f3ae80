package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// openTerminal opens both ends of a pseudo terminal of 80 columns.
func openTerminal() (ours, theirs *os.File, err error) {
	ours, err = os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("open a pseudo terminal: %w: %w", err, errUnavailable)
	}
	var n int
	raw, err := ours.SyscallConn()
	if err == nil {
		var inner error
		err = raw.Control(func(fd uintptr) {
			n, inner = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
			inner = errors.Join(inner, unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0),
				unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80}))
		})
		err = errors.Join(err, inner)
	}
	if err == nil {
		theirs, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	}
	if err != nil {
		ours.Close()
		return nil, nil, fmt.Errorf("open a pseudo terminal: %w: %w", err, errUnavailable)
	}
	return ours, theirs, nil
}
