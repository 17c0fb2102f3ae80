// Package itself has a test that runs its own binary with its own arguments. In the child that very
// test fails, which the parent shows and does not mind.
package itself

import (
	"os"
	"os/exec"
	"testing"
	"time"
)

func TestBefore(t *testing.T) { time.Sleep(10 * time.Millisecond) }

func TestStartsItself(t *testing.T) {
	if os.Getenv("SPLITTING_CHILD") != "" {
		t.Fatal("this is the child")
	}
	cmd := exec.Command(os.Args[0], os.Args[1:]...)
	cmd.Env = append(os.Environ(), "SPLITTING_CHILD=1")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err == nil {
		t.Error("the child did not fail")
	}
}

func TestAfter(t *testing.T) { time.Sleep(10 * time.Millisecond) }
