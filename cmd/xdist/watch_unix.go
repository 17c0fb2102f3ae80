//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xdist-go/xdist/scheduler"
)

// watchedSignals are those that say something to a run besides that it is to end.
var watchedSignals = append([]os.Signal{syscall.SIGUSR1, syscall.SIGQUIT, syscall.SIGTSTP, syscall.SIGCONT}, infoSignals...)

// take does what a signal asks for.
func (w *watch) take(s os.Signal) {
	switch s {
	case syscall.SIGQUIT:
		w.quit()
	case syscall.SIGTSTP:
		w.suspend()
	case syscall.SIGCONT:
		w.keys.engage()
	default:
		w.showRunning()
	}
}

// quit has the tests show their goroutines. Another SIGQUIT does to this process what it does to
// all that are written in Go.
func (w *watch) quit() {
	w.keys.close()
	go fmt.Fprintln(os.Stderr, clearStatus(os.Stderr)+"xdist: the tests that run show their goroutines and end; once more for those of xdist")
	signal.Reset(syscall.SIGQUIT)
	select {
	case w.requests <- scheduler.Quit{}:
	case <-w.donec:
	}
}

const (
	// standWait is how long a run may take to stand still. One that is not heard of, because it
	// writes to a terminal that takes nothing, is stopped as it is.
	standWait = 3 * time.Second
	// haltWait is how long the stop of this process may take.
	haltWait = time.Second
)

// suspend has the run stand still, and this process stop. The terminal is as it was before
// meanwhile.
func (w *watch) suspend() {
	if orphaned() {
		return
	}
	standc, goOnc := make(chan struct{}), make(chan struct{})
	defer close(goOnc)
	late := time.NewTimer(standWait)
	defer late.Stop()
	select {
	case w.requests <- scheduler.Suspend{Standing: standc, GoOn: goOnc}:
		select {
		case <-standc:
		case <-late.C:
		case <-w.donec:
		}
	case <-late.C:
	case <-w.donec:
	}
	w.keys.lend()
	defer w.keys.takeBack()
	continuedc := make(chan os.Signal, 1)
	signal.Notify(continuedc, syscall.SIGCONT)
	defer signal.Stop(continuedc)
	// Not SIGTSTP: the runtime does not let go of a signal that it has caught once.
	syscall.Kill(os.Getpid(), syscall.SIGSTOP) // never fails for oneself
	select {
	case <-continuedc:
	case <-time.After(haltWait):
	}
}

// orphaned reports whether nobody could have this process go on: the one who leads its session is
// in its own group, as when it is all that runs on a terminal. The system does not let SIGTSTP stop
// such processes.
func orphaned() bool {
	leader, err := unix.Getsid(0)
	if err != nil {
		return true
	}
	group, err := unix.Getpgid(leader)
	return err != nil || group == unix.Getpgrp()
}
