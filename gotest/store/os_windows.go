package store

import (
	"errors"

	"golang.org/x/sys/windows"
)

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

// freeFiles has no bound here.
func freeFiles(string) (int64, error) { return -1, nil }
