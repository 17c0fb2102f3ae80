// Package p1 has tests that own a file which p2 uses too.
package p1

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func own(t *testing.T) {
	name := filepath.Join(os.TempDir(), "splitting-"+os.Getenv("SPLITTING_PORT"))
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	time.Sleep(80 * time.Millisecond)
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
}

func TestA(t *testing.T) { own(t) }
func TestB(t *testing.T) { own(t) }
func TestC(t *testing.T) { own(t) }
