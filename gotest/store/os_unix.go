//go:build unix

package store

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// errLocked says that another open file holds the lock.
var errLocked = errors.New("locked by another")

// tryLock locks f until it is closed, or the process ends. It fails with errLocked at once when it would have to wait, and with
// errors.ErrUnsupported where the file system has no locks.
func tryLock(f *os.File) error {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EWOULDBLOCK):
			return errLocked
		case errors.Is(err, unix.ENOLCK), errors.Is(err, unix.ENOTSUP), errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EINVAL):
			return errors.ErrUnsupported
		default:
			return fmt.Errorf("lock %s: %w", f.Name(), err)
		}
	}
}

// removeLock removes the file of a lock and then gives up the lock, so that nobody gets a lock that has a name.
func removeLock(f *os.File) error { return errors.Join(os.Remove(f.Name()), f.Close()) }

// isFull reports whether err is a lack of space.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}

// isReadOnly reports whether err is a file system that is mounted read-only.
func isReadOnly(err error) bool { return errors.Is(err, syscall.EROFS) }

// free returns the bytes that this user can still write to the file system of dir.
func free(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}
