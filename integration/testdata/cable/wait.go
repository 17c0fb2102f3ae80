// Package cable has what the tests of its packages wait with: they run when they are told to.
package cable

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// desk is where a host's files for these tests are: one that says that a test has begun, and what the tests are told.
const desk = "/run/cable"

// Work says that the test has begun, waits for the file go, and fails when there is a file fail.
func Work(t *testing.T) {
	if err := os.WriteFile(filepath.Join(desk, t.Name()), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for !told("go") {
		time.Sleep(10 * time.Millisecond)
	}
	if told("fail") {
		t.Error("told to fail")
	}
}

func told(what string) bool {
	_, err := os.Stat(filepath.Join(desk, what))
	return err == nil
}

// Child leaves a process behind that ends only when it is killed.
func Child(t *testing.T) {
	if err := exec.Command("sleep", "1000").Start(); err != nil {
		t.Fatal(err)
	}
}
