//go:build unix

package ownfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
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

// checkAuthors looks at a file that was opened by a name, and at its directory. Both may be links,
// and in a directory like /tmp everybody can make one.
func checkAuthors(f *os.File, name string) error {
	dir := filepath.Dir(name)
	opened := func(string) (fs.FileInfo, error) { return f.Stat() }
	for _, at := range []struct {
		name string
		stat func(name string) (fs.FileInfo, error)
	}{{dir, os.Lstat}, {dir, os.Stat}, {name, os.Lstat}, {name, opened}} {
		info, err := at.stat(at.name)
		if err == nil {
			err = checkAuthor(at.name, info)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// checkAuthor refuses what somebody else than this user and root has made or may write to. A group
// that is named like the owner is the owner's alone: for it many systems have a umask of 002.
func checkAuthor(name string, info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	mode, writers := info.Mode(), fs.FileMode(0o022)
	if mode&0o020 != 0 && ownGroup(stat) {
		writers = 0o002
	}
	switch {
	case stat.Uid != 0 && int(stat.Uid) != os.Geteuid() && !calledSudo(stat.Uid):
		return fmt.Errorf("%w: %s belongs to uid %d", ErrShared, name, stat.Uid)
	case mode&fs.ModeSymlink == 0 && mode&writers != 0: // a link's mode says nothing
		return fmt.Errorf("%w: others may write to %s (mode %04o)", ErrShared, name, mode.Perm())
	}
	return nil
}

// CheckBelow refuses with ErrShared the directories of these names in dir, and those in them, that
// another user has made or may write to. It looks at none where only this user can enter dir, and
// follows no links.
func CheckBelow(dir string, names ...string) error {
	info, err := os.Stat(dir)
	if err != nil || info.Mode()&0o011 == 0 {
		return err
	}
	for _, name := range names {
		name = filepath.Join(dir, name)
		entries, err := os.ReadDir(name)
		if err != nil {
			return err
		}
		if info, err = os.Lstat(name); err == nil {
			err = checkAuthor(name, info)
		}
		for _, e := range entries {
			if err == nil && e.IsDir() {
				err = checkEntry(filepath.Join(name, e.Name()), e)
			}
		}
		if errors.Is(err, ErrShared) {
			err = fmt.Errorf("%w, and programs there may be theirs; remove it, or choose another place", err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// checkEntry is checkAuthor for what was listed. It may have gone since.
func checkEntry(name string, e fs.DirEntry) error {
	info, err := e.Info()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return checkAuthor(name, info)
}

// calledSudo reports whether this process is root's because a user has called sudo.
func calledSudo(uid uint32) bool {
	return os.Geteuid() == 0 && os.Getenv("SUDO_UID") == strconv.FormatUint(uint64(uid), 10)
}

// ownGroup reports whether the group of a file has its owner's number or name.
func ownGroup(stat *syscall.Stat_t) bool {
	if stat.Gid == stat.Uid {
		return true
	}
	owner, err := user.LookupId(strconv.FormatUint(uint64(stat.Uid), 10))
	if err != nil {
		return false
	}
	group, err := user.LookupGroupId(strconv.FormatUint(uint64(stat.Gid), 10))
	return err == nil && group.Name == owner.Username
}
