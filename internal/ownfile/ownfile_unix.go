//go:build unix

package ownfile

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// atOnce has open not wait for the other end of a FIFO.
const atOnce = syscall.O_NONBLOCK

// CheckDir refuses with ErrShared a directory that somebody else than this user and root may write
// to. The same goes for the directory that it is in, unless only owners may rename what is there
// (the sticky bit, as /tmp has it).
func CheckDir(dir string) error {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	if err := checkOwn(dir, 0); err != nil {
		return err
	}
	return checkOwn(filepath.Dir(dir), fs.ModeSticky)
}

// checkOwn refuses a directory that others may write to, unless it has the excuse.
func checkOwn(dir string, excuse fs.FileMode) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.IsDir():
		return fmt.Errorf("%s is not a directory", dir)
	case ok && stat.Uid != 0 && int(stat.Uid) != os.Geteuid():
		return fmt.Errorf("%w: %s belongs to uid %d, who could put programs there; choose another place", ErrShared, dir, stat.Uid)
	case info.Mode().Perm()&0o022 != 0 && info.Mode()&excuse == 0:
		return fmt.Errorf("%w: others may write to %s (mode %04o) and put programs there; chmod go-w it, or choose another place", ErrShared, dir, info.Mode().Perm())
	}
	return nil
}
