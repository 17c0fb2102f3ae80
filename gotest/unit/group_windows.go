package unit

import (
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// traceSignal is not used: see canTrace.
const traceSignal = syscall.SIGQUIT

// canTrace says that no signal makes a Go program print its stacks here.
const canTrace = false

// A group is the job that a process and what it starts belong to. Where a job cannot be had, job is
// 0 and the group is the process alone.
type group struct {
	leader *os.Process
	job    windows.Handle
}

// ownGroup keeps a console's Ctrl-C, which is sent to all processes of a group, away from the
// tests.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: windows.CREATE_NEW_PROCESS_GROUP}
}

// newGroup puts leader into a job that ends when its last handle is closed, be it by our own death.
func newGroup(leader *os.Process) group {
	g := group{leader: leader}
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return g
	}
	var info windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION
	info.BasicLimitInformation.LimitFlags = windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
	_, err = windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation,
		uintptr(unsafe.Pointer(&info)), uint32(unsafe.Sizeof(info)))
	if err == nil {
		err = assign(job, leader)
	}
	if err != nil {
		windows.CloseHandle(job)
		return g
	}
	g.job = job
	return g
}

func assign(job windows.Handle, p *os.Process) error {
	h, err := windows.OpenProcess(windows.PROCESS_SET_QUOTA|windows.PROCESS_TERMINATE, false, uint32(p.Pid))
	if err != nil {
		return err
	}
	defer windows.CloseHandle(h)
	return windows.AssignProcessToJobObject(job, h)
}

// trace is not possible here.
func (g group) trace() error { return os.ErrProcessDone }

// interrupt ends the job: no signal can be sent to it.
func (g group) interrupt() { g.kill() }

// kill ends all processes of the job.
func (g group) kill() {
	if g.job != 0 {
		windows.TerminateJobObject(g.job, 1)
		return
	}
	g.leader.Kill()
}

// close ends what is left of the job after its first process has been waited for.
func (g group) close() {
	if g.job != 0 {
		windows.TerminateJobObject(g.job, 1)
		windows.CloseHandle(g.job)
	}
}

// isBusy reports false: executables that are open for writing are no problem of this system's.
func isBusy(error) bool { return false }

// signalName returns "": there are no signals.
func signalName(*os.ProcessState) string { return "" }
