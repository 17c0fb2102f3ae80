// Package joiners has what the tests of its packages wait with: they run when they are told to.
package joiners

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Work says on which worker the test has begun, with the worker's slot and ports, and waits for the file go.
func Work(t *testing.T) {
	desk := os.Getenv("JOINERS_DESK")
	seen := fmt.Sprintf("slot=%s ports=%s", os.Getenv("XDIST_SLOT"), os.Getenv("XDIST_PORT_BASE"))
	if err := os.WriteFile(filepath.Join(desk, "on-"+os.Getenv("XDIST_WORKER")), []byte(seen), 0o666); err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(desk, "go")); err == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}
