package unit

import (
	"os"
	"syscall"
	"time"
)

func statusChange(os.FileInfo) (time.Time, bool) { return time.Time{}, false }

// birth is when a file was made.
func birth(path string) (time.Time, bool) {
	info, err := os.Lstat(path)
	if err != nil {
		return time.Time{}, false
	}
	data, ok := info.Sys().(*syscall.Win32FileAttributeData)
	if !ok {
		return time.Time{}, false
	}
	return time.Unix(0, data.CreationTime.Nanoseconds()), true
}
