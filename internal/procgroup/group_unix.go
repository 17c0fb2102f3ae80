//go:build unix

package procgroup

import (
	"errors"
	"os"
	"syscall"
)

// Group is the process group that a process leads.
type Group struct{ leader *os.Process }

// Own are the attributes of a process that leads a group, out of reach of the terminal's signals.
func Own() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// Session is Own for a process that leads a session too: it has no terminal to ask on, and what it
// has put into further groups can still be found by the session, where the system tells of those.
func Session() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// Adopt returns the group of a leader that was just started. The error is nil here.
func Adopt(leader *os.Process) (Group, error) { return Group{leader}, nil }

// Interrupt asks all processes of the group to end. The leader has not been waited for.
func (g Group) Interrupt() error { return g.signal(syscall.SIGINT) }

// Stop has all processes of the group stand still until Continue. The leader has not been waited
// for.
func (g Group) Stop() error { return g.signal(syscall.SIGSTOP) }

// Continue is the end of Stop.
func (g Group) Continue() error { return g.signal(syscall.SIGCONT) }

// Kill ends all processes of the group. The leader has not been waited for.
func (g Group) Kill() {
	g.signal(syscall.SIGKILL) // the group may have ended; who has changed its user is out of reach
}

// Close ends what is left of the group after its leader has been waited for.
//
// The number of the group is not given to another process while the group has a member. If it has
// none the number may be another's already, but then it is first of all the number of a process,
// and we leave it alone.
func (g Group) Close() {
	if errors.Is(syscall.Kill(g.leader.Pid, 0), syscall.ESRCH) {
		g.Kill()
	}
}

func (g Group) signal(sig syscall.Signal) error { return syscall.Kill(-g.leader.Pid, sig) }
