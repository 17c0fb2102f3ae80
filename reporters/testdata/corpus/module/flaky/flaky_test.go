package flaky

import (
	"os"
	"testing"
)

func TestFlaky(t *testing.T) {
	if os.Getenv("XDIST_ATTEMPT") == "1" {
		t.Fatal("only the first time")
	}
}

func TestSteady(t *testing.T) {}
