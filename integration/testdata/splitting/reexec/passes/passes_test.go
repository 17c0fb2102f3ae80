// Package passes has a test that runs its own binary with its own arguments and shows the output.
// All pass there too.
package passes

import (
	"os"
	"os/exec"
	"testing"
	"time"
)

func inChild() bool { return os.Getenv("SPLITTING_CHILD") != "" }

func TestBefore(t *testing.T) { time.Sleep(10 * time.Millisecond) }

func TestStartsItself(t *testing.T) {
	if inChild() {
		return
	}
	cmd := exec.Command(os.Args[0], os.Args[1:]...)
	cmd.Env = append(os.Environ(), "SPLITTING_CHILD=1")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		t.Errorf("the child ended with %v", err)
	}
}

func TestAfter(t *testing.T) {
	time.Sleep(10 * time.Millisecond)
}
