//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package main

import (
	"errors"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// keyboard reads single keys from a terminal, which does not show them and waits for no Enter
// meanwhile: the terminal is engaged. It is so only while this process is in its foreground and
// nobody has lent it; else nothing is read. Signals work as always.
//
// It owns the goroutine read, from open to close. The mutex guards the fields after it. A guard
// gives the terminal its modes back where this process cannot do that any more.
type keyboard struct {
	pressed chan byte // unbuffered, never closed

	mu     sync.Mutex
	in     *os.File // nil while it is not open
	fd     int
	modes  *unix.Termios // as they were; nil while the terminal is not engaged
	lent   int           // how many want the terminal as it was
	guard  *guard
	wake   *os.File      // tells the goroutine of a change
	donec  chan struct{} // closed by close
	endedc chan struct{} // closed by the goroutine as its last act
}

func newKeyboard() *keyboard { return &keyboard{pressed: make(chan byte)} }

// open begins to read keys from a file, if it is a terminal.
func (k *keyboard) open(in *os.File) {
	fd := int(in.Fd())
	if !term.IsTerminal(fd) {
		return
	}
	r, w, err := os.Pipe()
	if err != nil {
		return // there are no keys then
	}
	k.mu.Lock()
	k.in, k.fd, k.wake = in, fd, w
	k.donec, k.endedc = make(chan struct{}), make(chan struct{})
	k.mu.Unlock()
	go k.read(r)
	k.engage()
}

// close gives the terminal back for good.
func (k *keyboard) close() {
	k.mu.Lock()
	if k.in == nil {
		k.mu.Unlock()
		return
	}
	k.release()
	k.in = nil
	k.wake.Close()
	close(k.donec)
	k.mu.Unlock()
	<-k.endedc
	k.guard.end()
}

// lend gives the terminal back until takeBack. Several may do so at once.
func (k *keyboard) lend() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.lent++
	k.release()
}

func (k *keyboard) takeBack() {
	k.mu.Lock()
	k.lent--
	k.mu.Unlock()
	k.engage()
}

// engage sets the terminal's modes for single keys, if that may be.
func (k *keyboard) engage() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.in == nil || k.lent > 0 || k.modes != nil || !k.foreground() {
		return
	}
	modes, err := unix.IoctlGetTermios(k.fd, getTermios)
	if err != nil || modes.Lflag&unix.ICANON == 0 {
		return // somebody else has it
	}
	if k.guard == nil {
		if k.guard = startGuard(k.in); k.guard == nil {
			return
		}
	}
	ours := *modes
	ours.Lflag &^= unix.ICANON | unix.ECHO
	ours.Cc[unix.VMIN], ours.Cc[unix.VTIME] = 1, 0
	k.guard.say(terminalEngaged)
	if unix.IoctlSetTermios(k.fd, setTermios, &ours) != nil {
		k.guard.say(terminalFree)
		return
	}
	k.modes = modes
	k.wake.Write([]byte{0})
}

// release gives the terminal back the modes that engage has changed. k.mu is held.
func (k *keyboard) release() {
	if k.modes == nil {
		return
	}
	if now, err := unix.IoctlGetTermios(k.fd, getTermios); err == nil && k.foreground() {
		const changed = unix.ICANON | unix.ECHO
		now.Lflag = now.Lflag&^changed | k.modes.Lflag&changed
		now.Cc[unix.VMIN], now.Cc[unix.VTIME] = k.modes.Cc[unix.VMIN], k.modes.Cc[unix.VTIME]
		unix.IoctlSetTermios(k.fd, setTermios, now) // if it fails the terminal is gone
	}
	k.modes = nil
	k.guard.say(terminalFree)
	k.wake.Write([]byte{0})
}

// foreground reports whether this process is in the foreground of the terminal. In the background
// reading stops a process, and so does setting modes.
func (k *keyboard) foreground() bool {
	group, err := unix.IoctlGetInt(k.fd, unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

// engaged reports whether keys may be read.
func (k *keyboard) engaged() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.modes != nil && k.foreground()
}

// read is the goroutine. wake has a byte for each change, and ends with the keyboard.
func (k *keyboard) read(wake *os.File) {
	defer close(k.endedc)
	defer wake.Close()
	buf := make([]byte, 64)
	for {
		fds := []unix.PollFd{{Fd: int32(wake.Fd()), Events: unix.POLLIN}}
		if k.engaged() {
			fds = append(fds, unix.PollFd{Fd: int32(k.fd), Events: unix.POLLIN})
		}
		if _, err := unix.Poll(fds, -1); err != nil {
			if errors.Is(err, unix.EINTR) {
				continue
			}
			return
		}
		if fds[0].Revents != 0 {
			if _, err := wake.Read(buf); errors.Is(err, io.EOF) {
				return
			}
			continue
		}
		if !k.engaged() {
			continue
		}
		n, err := unix.Read(k.fd, buf)
		if n <= 0 && !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.EAGAIN) {
			return // the terminal is gone
		}
		for _, key := range buf[:max(0, n)] {
			select {
			case k.pressed <- key:
			case <-k.donec:
				return
			}
		}
	}
}
