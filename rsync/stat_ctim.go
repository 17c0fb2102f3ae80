//go:build unix && !darwin && !freebsd && !netbsd

package rsync

import (
	"io/fs"
	"syscall"
)

// changeOf is the time of the last change, content or otherwise, and the inode.
func changeOf(info fs.FileInfo) (ctime int64, inode uint64) {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Ctim.Nano(), uint64(st.Ino)
	}
	return 0, 0
}
