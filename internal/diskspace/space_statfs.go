//go:build linux || darwin || freebsd || dragonfly

package diskspace

import "golang.org/x/sys/unix"

// Free returns the bytes that this user can still write to the file system of dir.
func Free(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}

// FreeFiles returns how many files can still be made on the file system of dir; negative is any
// number.
func FreeFiles(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, err
	}
	if st.Files == 0 {
		return -1, nil // it makes inodes as they are needed
	}
	return int64(st.Ffree), nil
}
