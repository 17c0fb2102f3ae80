package diskspace

import "golang.org/x/sys/unix"

// NoExec reports whether the directory is on a file system that nothing may be executed from.
func NoExec(dir string) bool {
	var st unix.Statfs_t
	return unix.Statfs(dir, &st) == nil && st.Flags&unix.ST_NOEXEC != 0
}
