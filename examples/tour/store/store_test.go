// Package store has a test that needs a server, and one that needs luck.
package store

import (
	"os"
	"path/filepath"
	"testing"
)

// TestServer skips where there is no server.
func TestServer(t *testing.T) {
	address := os.Getenv("TOUR_SERVER")
	if address == "" {
		t.Skip("TOUR_SERVER is not set")
	}
	t.Log("would connect to", address)
}

// TestFlaky fails the first time that a run of xdist runs it, and passes the next: --reruns 1 makes
// it a flaky one. Under go test it passes.
func TestFlaky(t *testing.T) {
	run := os.Getenv("XDIST_TESTRUNUID")
	if run == "" {
		return
	}
	tried := filepath.Join(os.TempDir(), "xdist-tour-"+run)
	if err := os.Mkdir(tried, 0o700); err == nil {
		t.Fatal("the server did not answer (this time)")
	}
	if err := os.Remove(tried); err != nil {
		t.Error(err)
	}
}
