package rsync

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xdist-go/xdist/internal/lockfile"
)

// TestLock waits for the lock of another for as long as is asked, and has the file that is there
// when the other removes his.
func TestLock(t *testing.T) {
	name := filepath.Join(t.TempDir(), lockFile)
	synctest.Test(t, func(t *testing.T) {
		held, err := lock(t.Context(), name, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct{ wait, want time.Duration }{{-1, lockGrace}, {time.Second, time.Second}} {
			begun := time.Now()
			if _, err := lock(t.Context(), name, c.wait); !errors.Is(err, ErrBusy) || time.Since(begun) != c.want {
				t.Errorf("wait %v: got %v after %v", c.wait, err, time.Since(begun))
			}
		}
		const leaves = time.Minute
		time.AfterFunc(leaves, func() {
			if err := lockfile.Remove(held); err != nil {
				t.Error(err)
			}
		})
		begun := time.Now()
		l, err := lock(t.Context(), name, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if took := time.Since(begun); took < leaves || took > leaves+lockPauseMost {
			t.Errorf("had the lock after %v", took)
		}
		if _, err := os.Lstat(name); err != nil {
			t.Errorf("the file of the lock: %v", err)
		}
	})
}
