//go:build unix

package gobuild

import (
	"io/fs"
	"syscall"
)

// inode tells a file from one that has replaced it with the same size and time.
func inode(info fs.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Ino)
	}
	return 0
}
