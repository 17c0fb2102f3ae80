// Package m needs package a to have run, and takes longer.
package m

import (
	"os"
	"testing"
	"time"
)

func TestNeeds(t *testing.T) {
	time.Sleep(1200 * time.Millisecond)
	if text, _ := os.ReadFile("../made"); string(text) != "a" {
		t.Fatalf("made is %q", text)
	}
	if err := os.WriteFile("../made", []byte("am"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestToo(t *testing.T) {}
