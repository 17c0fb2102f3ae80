//go:build unix

package programs

import (
	"os"
	"syscall"
)

// isMine reports whether there is a directory of this user that nobody else may write to, and no
// link to one.
func isMine(dir string) bool {
	info, err := os.Lstat(dir)
	if err != nil || !info.IsDir() {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Getuid() && info.Mode().Perm()&0o022 == 0
}
