//go:build unix

package keyed

import (
	"fmt"
	"os"
	"syscall"
)

// checkMode refuses a file that others can read or write.
func checkMode(name string, info os.FileInfo) error {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Uid != 0 && int(stat.Uid) != os.Geteuid() {
		return fmt.Errorf("it belongs to another user (uid %d), who knows the key: make one of your own with xdist keygen", stat.Uid)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("others can read or write it (mode %04o); whoever has a key can run programs with it: chmod 600 %s", mode, name)
	}
	return nil
}
