//go:build unix

package rsync

import (
	"io/fs"
	"os"
	"syscall"
)

// ownedByUs reports whether a file is this user's, or root's, and others may not write it, not even
// those of its group: the bootstrap has the same rule for agents.
func ownedByUs(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && (int(st.Uid) == os.Getuid() || st.Uid == 0) && info.Mode().Perm()&0o022 == 0
}
