package procgroup

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// Group is the job that a process and what it starts belong to. Where a job cannot be had, job is 0
// and the group is the process alone.
type Group struct {
	leader *os.Process
	job    windows.Handle
}

// Own are the attributes of a process that a console's Ctrl-C, which is sent to all processes of a
// group, does not reach.
func Own() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: windows.CREATE_NEW_PROCESS_GROUP}
}

// Session is Own: there are no sessions that a process could lead.
func Session() *syscall.SysProcAttr { return Own() }

// Adopt puts a leader that was just started into a job that ends with its last handle: at the
// latest with our own process. With an error the Group is the leader alone.
func Adopt(leader *os.Process) (Group, error) {
	g := Group{leader: leader}
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return g, fmt.Errorf("create job object: %w", err)
	}
	info := windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION{
		BasicLimitInformation: windows.JOBOBJECT_BASIC_LIMIT_INFORMATION{
			LimitFlags: windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE,
		},
	}
	_, err = windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation,
		uintptr(unsafe.Pointer(&info)), uint32(unsafe.Sizeof(info)))
	if err == nil {
		err = assign(job, leader)
	}
	if err != nil {
		windows.CloseHandle(job)
		return g, fmt.Errorf("set up job object: %w", err)
	}
	g.job = job
	return g, nil
}

func assign(job windows.Handle, p *os.Process) error {
	h, err := windows.OpenProcess(windows.PROCESS_SET_QUOTA|windows.PROCESS_TERMINATE, false, uint32(p.Pid))
	if err != nil {
		return err
	}
	defer windows.CloseHandle(h)
	return windows.AssignProcessToJobObject(job, h)
}

// Interrupt ends the job: no signal can be sent to it.
func (g Group) Interrupt() error {
	g.Kill()
	return nil
}

// Stop does nothing: processes cannot be stopped.
func (g Group) Stop() error { return errors.ErrUnsupported }

// Continue does nothing.
func (g Group) Continue() error { return errors.ErrUnsupported }

// Kill ends all processes of the job.
func (g Group) Kill() {
	if g.job != 0 {
		windows.TerminateJobObject(g.job, 1)
		return
	}
	g.leader.Kill()
}

// Close ends what is left of the job after its leader has been waited for.
func (g Group) Close() {
	if g.job != 0 {
		windows.TerminateJobObject(g.job, 1)
		windows.CloseHandle(g.job)
	}
}
