package lockfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/gofrs/flock"
)

func TestTry(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lock")
	first, second := New(name), New(name)
	if err := Try(first); err != nil {
		t.Fatal(err)
	}
	if err := Try(second); !errors.Is(err, ErrLocked) {
		t.Errorf("the lock of another: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := Try(second); err != nil {
		t.Errorf("a lock that was given up: %v", err)
	}
	if err := Remove(second); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file of a removed lock: %v", err)
	}
}

// TestTryMakesNothing shows that an open that fails, as that of a file which must be there already,
// names the file once.
func TestTryMakesNothing(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lock")
	err := Try(flock.New(name, flock.SetFlag(os.O_RDWR)))
	if pe, ok := errors.AsType[*fs.PathError](err); !ok || pe.Path != name || err != error(pe) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file: %v", err)
	}
}

// TestExplain tells file systems without locks from those that fail.
func TestExplain(t *testing.T) {
	for _, c := range []struct {
		err         error
		unsupported bool
	}{
		{syscall.ENOLCK, true},
		{syscall.ENOSYS, true},
		{syscall.ENOTSUP, true},
		{syscall.EINVAL, true},
		{syscall.EIO, false},
		{syscall.EACCES, false},
		{&fs.PathError{Op: "open", Path: "name", Err: syscall.EINVAL}, false},
	} {
		if err := explain("name", c.err); errors.Is(err, errors.ErrUnsupported) != c.unsupported || !c.unsupported && !errors.Is(err, c.err) {
			t.Errorf("%v: got %v", c.err, err)
		}
	}
}

// TestOneAtATime has many take and remove one lock: never two of them have it, and who has it finds
// its file.
func TestOneAtATime(t *testing.T) {
	const users, turns = 8, 200
	name := filepath.Join(t.TempDir(), "lock")
	var having, taken atomic.Int32
	var wg sync.WaitGroup
	for range users {
		wg.Go(func() {
			for range turns {
				l := New(name)
				if err := Try(l); err != nil {
					if !errors.Is(err, ErrLocked) && !errors.Is(err, fs.ErrPermission) { // a file that Windows is about to remove
						t.Error(err)
					}
					continue
				}
				taken.Add(1)
				if n := having.Add(1); n != 1 {
					t.Errorf("%d have the lock", n)
				}
				if _, err := os.Lstat(name); err != nil {
					t.Error(err)
				}
				having.Add(-1)
				Remove(l) // on Windows another may have the file open
			}
		})
	}
	wg.Wait()
	if taken.Load() == 0 {
		t.Error("nobody has had the lock")
	}
}
