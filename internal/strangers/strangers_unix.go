//go:build unix

package strangers

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// ID is the id of a user that the tests are not.
const ID = 12345

// Each runs a test for each thing that somebody else may have put under a name that a program is
// about to use, in a directory that is everybody's. plant puts it there. Where it is a link it
// leads to precious, or to what is not there below it.
func Each(t *testing.T, test func(t *testing.T, what string, plant func(name, precious string))) {
	for what, put := range map[string]func(name, precious string) error{
		"link":           func(name, precious string) error { return os.Symlink(precious, name) },
		"link to none":   func(name, precious string) error { return os.Symlink(filepath.Join(precious, "made"), name) },
		"fifo":           func(name, _ string) error { return syscall.Mkfifo(name, 0o666) },
		"file":           func(name, _ string) error { return os.WriteFile(name, nil, 0o666) },
		"directory":      func(name, _ string) error { return os.Mkdir(name, 0o700) },
		"open directory": func(name, _ string) error { return errors.Join(os.Mkdir(name, 0o700), os.Chmod(name, 0o777)) },
	} {
		t.Run(what, func(t *testing.T) {
			if what == "directory" && os.Geteuid() != 0 {
				t.Skip("skipped: only root can give a directory to another user")
			}
			test(t, what, func(name, precious string) {
				t.Helper()
				err := put(name, precious)
				if os.Geteuid() == 0 && what != "open directory" {
					err = errors.Join(err, os.Lchown(name, ID, ID))
				}
				if err != nil {
					t.Fatal(err)
				}
			})
		})
	}
}

// FIFO puts a FIFO that nobody writes to under a name, in the place of what is there.
func FIFO(t *testing.T, name string) {
	t.Helper()
	err := os.RemoveAll(name)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(name), 0o700)
	}
	if err == nil {
		err = syscall.Mkfifo(name, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// waitsAfter is when AtOnce takes it that f waits: what does not is done in milliseconds.
const waitsAfter = 10 * time.Second

// AtOnce fails a test when f waits for what it finds, and leaves f behind then.
func AtOnce(t *testing.T, what string, f func()) {
	t.Helper()
	donec := make(chan struct{}) // closed when f returns
	go func() {
		defer close(donec)
		f()
	}()
	select {
	case <-donec:
	case <-time.After(waitsAfter):
		t.Fatalf("%s is waited for", what)
	}
}
