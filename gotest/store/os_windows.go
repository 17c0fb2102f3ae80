package store

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/windows"
)

// errLocked says that another open file holds the lock.
var errLocked = errors.New("locked by another")

// tryLock locks f until it is closed, or the process ends. It fails with errLocked at once when it would have to wait, and with
// errors.ErrUnsupported where the file system has no locks.
func tryLock(f *os.File) error {
	const wholeFile = ^uint32(0)
	err := windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY,
		0, wholeFile, wholeFile, new(windows.Overlapped))
	switch {
	case err == nil:
		return nil
	case errors.Is(err, windows.ERROR_LOCK_VIOLATION), errors.Is(err, windows.ERROR_IO_PENDING):
		return errLocked
	case errors.Is(err, windows.ERROR_NOT_SUPPORTED), errors.Is(err, windows.ERROR_CALL_NOT_IMPLEMENTED):
		return errors.ErrUnsupported
	}
	return fmt.Errorf("lock %s: %w", f.Name(), err)
}

// removeLock gives up a lock and removes its file, which cannot be removed while it is open.
func removeLock(f *os.File) error { return errors.Join(f.Close(), os.Remove(f.Name())) }

// isFull reports whether err is a lack of space.
func isFull(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL)
}

// isReadOnly reports whether err is a medium that cannot be written.
func isReadOnly(err error) bool { return errors.Is(err, windows.ERROR_WRITE_PROTECT) }

// free returns the bytes that this user can still write to the volume of dir.
func free(dir string) (int64, error) {
	name, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, err
	}
	var bytes uint64
	err = windows.GetDiskFreeSpaceEx(name, &bytes, nil, nil)
	return int64(bytes), err
}
