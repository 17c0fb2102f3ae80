package gotest

import (
	"os"
	"syscall"
	"time"
)

// statusChange is the time that no program can set back.
func statusChange(info os.FileInfo) time.Time {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return time.Unix(st.Ctim.Unix())
	}
	return info.ModTime()
}
