//go:build unix

package lockfile

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestTryRemoved asks for the lock of a file that is open here already and has lost its name, or
// given it to another file.
func TestTryRemoved(t *testing.T) {
	for _, anew := range []bool{false, true} {
		name := filepath.Join(t.TempDir(), "lock")
		late := New(name)
		if err := late.RLock(); err != nil { // opens the file
			t.Fatal(err)
		}
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
		if anew {
			if err := os.WriteFile(name, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := Try(late); !errors.Is(err, ErrLocked) {
			t.Errorf("made anew: %v: got %v", anew, err)
		}
		if late.Locked() {
			t.Errorf("made anew: %v: still held", anew)
		}
		if err := Try(late); err != nil {
			t.Errorf("made anew: %v: asked again: %v", anew, err)
		}
		if err := late.Close(); err != nil {
			t.Error(err)
		}
	}
}
