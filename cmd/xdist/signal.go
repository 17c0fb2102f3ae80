package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"golang.org/x/term"
)

// clearStatus is what takes a status away that may stand below the cursor of a terminal.
func clearStatus(f *os.File) string {
	if !term.IsTerminal(int(f.Fd())) || os.Getenv("TERM") == "dumb" {
		return ""
	}
	return "\x1b[J"
}

// signalContext is cancelled by the first signal that asks xdist to end. The second one ends the
// process at once: agents and their tests die with their controller.
func signalContext(parent context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(parent)
	signals := make(chan os.Signal, 2) // one to interrupt, one to kill
	for _, s := range endSignals {
		if !signal.Ignored(s) { // as SIGHUP is under nohup
			signal.Notify(signals, s)
		}
	}
	done := make(chan struct{})
	go func() {
		select {
		case <-signals:
		case <-done:
			return
		}
		cancel()
		// Whoever reads the terminal may have stopped to: that is no reason to wait.
		go fmt.Fprintln(os.Stderr, clearStatus(os.Stderr)+"xdist: interrupted, ending the tests; once more to kill them")
		select {
		case <-signals:
			os.Exit(int(statusInterrupted))
		case <-done:
		}
	}()
	return ctx, func() { signal.Stop(signals); close(done); cancel() }
}
