// Package killer has a test that kills the agent that runs it a moment after its start, each time.
package killer

import (
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// begin adds the process and the test to the file that KILLER_LOG names.
func begin(t *testing.T) {
	f, err := os.OpenFile(os.Getenv("KILLER_LOG"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666)
	if err != nil {
		return
	}
	fmt.Fprintln(f, os.Getpid(), t.Name())
	f.Close()
}

func Test01(t *testing.T) { begin(t) }
func Test02(t *testing.T) { begin(t) }
func Test03(t *testing.T) { begin(t) }
func Test04(t *testing.T) { begin(t) }
func Test05(t *testing.T) { begin(t) }
func Test06(t *testing.T) { begin(t) }
func Test07(t *testing.T) { begin(t) }
func Test08(t *testing.T) { begin(t) }
func Test09(t *testing.T) { begin(t) }
func Test10(t *testing.T) { begin(t) }
func Test11(t *testing.T) { begin(t) }
func Test12(t *testing.T) { begin(t) }
func Test13(t *testing.T) { begin(t) }

// TestKiller kills its agent 5 ms after that has read that the test began. It does nothing unless
// xdist runs it.
func TestKiller(t *testing.T) {
	begin(t)
	if os.Getenv("XDIST_WORKER") == "" {
		return
	}
	for unread() > 0 { // on a busy machine the agent may not get to run for a while
		time.Sleep(50 * time.Microsecond)
	}
	time.Sleep(5 * time.Millisecond)
	if err := syscall.Kill(os.Getppid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Minute) // until somebody notices
}

// unread is how many bytes are in the pipe to the agent.
func unread() int32 {
	const FIONREAD = 0x541b
	var n int32
	syscall.Syscall(syscall.SYS_IOCTL, 1, FIONREAD, uintptr(unsafe.Pointer(&n)))
	return n
}

func Test14(t *testing.T) { begin(t) }
func Test15(t *testing.T) { begin(t) }
func Test16(t *testing.T) { begin(t) }
func Test17(t *testing.T) { begin(t) }
func Test18(t *testing.T) { begin(t) }
func Test19(t *testing.T) { begin(t) }
func Test20(t *testing.T) { begin(t) }
