// Package z needs package m to have run, and takes longest.
package z

import (
	"os"
	"testing"
	"time"
)

func TestNeeds(t *testing.T) {
	time.Sleep(1800 * time.Millisecond)
	if text, _ := os.ReadFile("../made"); string(text) != "am" {
		t.Fatalf("made is %q", text)
	}
}
