// Package chdir has a test that leaves its directory, and a later one that needs it.
package chdir

import (
	"os"
	"testing"
)

func TestBefore(t *testing.T) {}

func TestLeaves(t *testing.T) {
	if err := os.Chdir(os.TempDir()); err != nil {
		t.Fatal(err)
	}
}

func TestReads(t *testing.T) {
	if _, err := os.ReadFile("testdata/text"); err != nil {
		t.Fatal(err)
	}
}

func TestAfter(t *testing.T) {}
