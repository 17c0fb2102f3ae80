//go:build unix

package gobuild

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/xdist-go/xdist/internal/strangers"
)

// A FIFO in the place of a file of a Dir is waited for by nobody: it is as if there were none, or
// an error.
func TestFIFOsInADir(t *testing.T) {
	at := t.TempDir()
	d := Dir{Path: at, Most: 1}
	p := Program{Dir: at}
	executable := filepath.Join(at, "program")
	write(t, executable, "content")
	digest, err := d.Digest(executable)
	if err != nil {
		t.Fatal(err)
	}
	stamp := d.StampFile(executable)
	strangers.FIFO(t, stamp)
	strangers.AtOnce(t, "a stamp", func() {
		if d.Intact(executable) {
			t.Error("a FIFO says that a file is intact")
		}
		if again, err := d.Digest(executable); err != nil || again != digest {
			t.Errorf("%s, %v", again, err)
		}
	})
	strangers.FIFO(t, stamp)
	strangers.AtOnce(t, "a stamp that is pruned", func() { d.Prune(time.Now()) })
	strangers.FIFO(t, d.knownFile(p))
	strangers.AtOnce(t, "a .known", func() {
		if name, ok := d.Known(p); ok {
			t.Errorf("a FIFO tells of %s", name)
		}
	})
	strangers.FIFO(t, executable)
	strangers.AtOnce(t, "an executable", func() {
		if _, err := d.Digest(executable); err == nil {
			t.Error("a FIFO has a digest")
		}
	})
}
