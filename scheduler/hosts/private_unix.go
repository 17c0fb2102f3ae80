//go:build unix

package hosts

import (
	"errors"
	"os"
	"syscall"
)

// checkPrivate refuses a directory that others can reach into: its name is in a directory that is
// everybody's.
func checkPrivate(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.IsDir():
		return errors.New("it is not a directory")
	case ok && int(stat.Uid) != os.Geteuid():
		return errTaken
	case info.Mode().Perm()&0o077 != 0:
		return errors.New("others may enter it; chmod 700 it, or choose another place with --mirror-dir")
	}
	return nil
}
