//go:build unix

package rsync

import "golang.org/x/sys/unix"

// free returns the bytes that this user can still write to the file system of dir.
func free(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}
