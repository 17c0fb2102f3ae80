//go:build unix

package unit

import (
	"errors"
	"os"
	"syscall"
)

// traceSignal makes a Go program print the stacks of its goroutines and exit; it has the text that
// `go test` prints.
const traceSignal = syscall.SIGQUIT

// canTrace says that traceSignal exists here.
const canTrace = true

// A group is the process group that a process leads.
type group struct{ leader *os.Process }

func newGroup(leader *os.Process) group { return group{leader: leader} }

// trace asks the leader for its stacks and its end. It returns os.ErrProcessDone when the leader
// has ended.
func (g group) trace() error { return g.leader.Signal(traceSignal) }

// interrupt asks all processes of the group to end.
func (g group) interrupt() { g.signal(syscall.SIGINT) }

// kill ends all processes of the group, for whose leader nobody has waited yet.
func (g group) kill() { g.signal(syscall.SIGKILL) }

// close ends what is left of the group after its leader has been waited for.
//
// The number of the group is not given to another process while the group has a member. If it has
// none the number may be another's already, but then it is first of all the number of a process,
// and we leave it alone.
func (g group) close() {
	if errors.Is(syscall.Kill(g.leader.Pid, 0), syscall.ESRCH) {
		g.signal(syscall.SIGKILL)
	}
}

// signal ignores errors: the group may have ended, and a member that changed its user is out of
// reach.
func (g group) signal(sig syscall.Signal) { syscall.Kill(-g.leader.Pid, sig) }

// isBusy reports whether a program could not be executed because somebody has it open for writing.
func isBusy(err error) bool { return errors.Is(err, syscall.ETXTBSY) }

// signalName returns the name of the signal that ended the process, or "".
func signalName(state *os.ProcessState) string {
	if ws, ok := state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return ws.Signal().String()
	}
	return ""
}
