//go:build unix

package sshclient

import (
	"io/fs"
	"os"
	"syscall"
)

// othersMayWrite reports whether somebody but the user and root may change a file.
func othersMayWrite(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && st.Uid != 0 && int(st.Uid) != os.Getuid() || info.Mode()&0o022 != 0
}

// othersMayRead reports whether a key of the user's is open to others. As in ssh, a key of somebody
// else's is that one's business.
func othersMayRead(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Getuid() && info.Mode()&0o077 != 0
}
