package diskspace

import (
	"errors"

	"golang.org/x/sys/windows"
)

// Free returns the bytes that this user can still write to the volume of dir.
func Free(dir string) (int64, error) {
	name, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, err
	}
	var bytes uint64
	err = windows.GetDiskFreeSpaceEx(name, &bytes, nil, nil)
	return int64(bytes), err
}

// FreeFiles has no bound here.
func FreeFiles(string) (int64, error) { return -1, nil }

// IsFull reports whether err is a lack of space.
func IsFull(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL)
}
