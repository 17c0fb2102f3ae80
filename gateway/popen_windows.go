package gateway

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// processHandle is the job object that holds the agent and all that it starts.
type processHandle struct{ job windows.Handle }

// setProcessAttributes makes the agent the root of a console process group, so that it can be
// interrupted alone.
func setProcessAttributes(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: windows.CREATE_NEW_PROCESS_GROUP}
}

// adopt puts the agent into a job object, which ends with its last handle: at the latest with the
// controller. The agent starts nothing before the handshake, so nothing can be outside.
func (p *popenProcess) adopt() error {
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return fmt.Errorf("create job object: %w", err)
	}
	info := windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION{
		BasicLimitInformation: windows.JOBOBJECT_BASIC_LIMIT_INFORMATION{
			LimitFlags: windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE,
		},
	}
	_, err = windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation,
		uintptr(unsafe.Pointer(&info)), uint32(unsafe.Sizeof(info)))
	if err == nil {
		err = p.assign(job)
	}
	if err != nil {
		windows.CloseHandle(job)
		return fmt.Errorf("set up job object: %w", err)
	}
	p.system.job = job
	return nil
}

func (p *popenProcess) assign(job windows.Handle) error {
	h, err := windows.OpenProcess(windows.PROCESS_SET_QUOTA|windows.PROCESS_TERMINATE, false, uint32(p.cmd.Process.Pid))
	if err != nil {
		return err
	}
	defer windows.CloseHandle(h)
	return windows.AssignProcessToJobObject(job, h)
}

// reap waits for the process and ends what it has left behind.
func (p *popenProcess) reap() error {
	err := p.cmd.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.endTree()
	windows.CloseHandle(p.system.job)
	p.reaped = true
	return err
}

func (p *popenProcess) interruptTree() {
	windows.GenerateConsoleCtrlEvent(windows.CTRL_BREAK_EVENT, uint32(p.cmd.Process.Pid)) // without a console there is nothing to do but wait for the kill
}

// endTree ends the agent and all that it started.
func (p *popenProcess) endTree() { windows.TerminateJobObject(p.system.job, 1) }

// growPipe does nothing.
func growPipe(*os.File) {}
