//go:build unix

// Package agentKilled has a test that kills the agent that runs it, once.
package agentKilled

import (
	"os"
	"syscall"
	"testing"
	"time"
)

// TestKills does nothing unless xdist runs it and SPLITTING_MARKER names a file that does
// not exist.
func TestKills(t *testing.T) {
	marker := os.Getenv("SPLITTING_MARKER")
	if os.Getenv("XDIST_WORKER") == "" || marker == "" {
		return
	}
	f, err := os.OpenFile(marker, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if err != nil {
		return
	}
	f.Close()
	if err := syscall.Kill(os.Getppid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Minute) // until somebody notices
}

func work(t *testing.T) { time.Sleep(30 * time.Millisecond) }

func Test01(t *testing.T) { work(t) }
func Test02(t *testing.T) { work(t) }
func Test03(t *testing.T) { work(t) }
func Test04(t *testing.T) { work(t) }
func Test05(t *testing.T) { work(t) }
func Test06(t *testing.T) { work(t) }
func Test07(t *testing.T) { work(t) }
func Test08(t *testing.T) { work(t) }
func Test09(t *testing.T) { work(t) }
func Test10(t *testing.T) { work(t) }
func Test11(t *testing.T) { work(t) }
func Test12(t *testing.T) { work(t) }
