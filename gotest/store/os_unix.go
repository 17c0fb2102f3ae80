//go:build unix

package store

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

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

// freeFiles returns how many files can still be made on the file system of dir; negative is any
// number.
func freeFiles(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, err
	}
	if st.Files == 0 {
		return -1, nil // it makes inodes as they are needed
	}
	return int64(st.Ffree), nil
}
