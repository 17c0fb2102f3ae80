package unit

import (
	"os"
	"syscall"
	"time"
)

// statusChange is the time that nobody can set.
func statusChange(info os.FileInfo) (time.Time, bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return time.Time{}, false
	}
	return time.Unix(st.Ctim.Unix()), true
}
