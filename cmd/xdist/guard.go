//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package main

import (
	"io"
	"os"
	"os/exec"
	"time"
)

// guard is a shell that gives a terminal its usual modes back when this process has ended without
// that: killed, or by a panic in any of its goroutines. It ends with the pipe that it reads.
type guard struct {
	cmd *exec.Cmd
	in  io.WriteCloser
}

// What a guard is told.
const (
	terminalEngaged = "engaged\n"
	terminalFree    = "free\n"
)

// guardScript keeps the last word. A terminal's signals are not for it, and it may set modes when
// the shell of the user has the terminal again.
const guardScript = `trap '' HUP INT QUIT TERM TSTP TTIN TTOU
last=free
while read -r word; do last=$word; done
if [ "$last" = engaged ]; then stty icanon echo <&3; fi`

// guardEnd is how long a guard may take to end. It has nothing to do then.
const guardEnd = 2 * time.Second

// startGuard returns nil where there is no shell.
func startGuard(terminal *os.File) *guard {
	cmd := exec.Command("/bin/sh", "-c", guardScript)
	cmd.ExtraFiles = []*os.File{terminal}
	in, err := cmd.StdinPipe()
	if err != nil || cmd.Start() != nil {
		return nil
	}
	return &guard{cmd, in}
}

func (g *guard) say(word string) {
	io.WriteString(g.in, word) // if it is gone, so is what it is for
}

func (g *guard) end() {
	if g == nil {
		return
	}
	g.in.Close()
	late := time.AfterFunc(guardEnd, func() { g.cmd.Process.Kill() })
	defer late.Stop()
	g.cmd.Wait() // how it ended is of no interest
}
