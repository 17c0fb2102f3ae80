package lost

import (
	"os"
	"testing"
)

func TestBefore(t *testing.T) {}

// TestEndsItsAgent is what a host does that goes away.
func TestEndsItsAgent(t *testing.T) {
	agent, err := os.FindProcess(os.Getppid())
	if err != nil {
		t.Fatal(err)
	}
	agent.Kill()
	select {}
}

func TestAfter(t *testing.T) {}
