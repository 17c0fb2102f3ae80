//go:build unix && !aix && !solaris

package rsync

import (
	"io"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// quick is what put keeps of a directory.
type quick struct {
	dir   *os.File
	mode  uint32 // that the last file was to get
	exact bool   // it had that mode when it was made: no umask or list of rights has kept any of it
}

func (q *quick) close() {
	if q.dir != nil {
		q.dir.Close()
	}
}

// put makes a file of an entry. A fresh one, where nothing is said to be, gets its own name at
// once; another is made under the name temp, which must be free, and then takes the place of what
// is there. It takes the least system calls that do so, because that is what the time of a first
// sync goes into: os.File asks what kind of file it has got, and a name in an os.Root is looked at
// before it is used. Here it need not be: the directory was reached by way of the tree's os.Root,
// temp and the entry's last name are single names (see checkPath), and a link under them is not
// followed. What fails may leave temp behind, but not half a fresh file.
func (d *folder) put(temp string, e *entry, fresh bool, data []byte) (fileStat, error) {
	if d.dir == nil {
		var err error
		if d.dir, err = d.tree.OpenFile(d.path, os.O_RDONLY|unix.O_DIRECTORY, 0); err != nil {
			return fileStat{}, err
		}
	}
	dir, name := int(d.dir.Fd()), path.Base(e.path)
	made := temp
	if fresh {
		made = name
	}
	fd, err := d.create(dir, made, e)
	if err != nil {
		return fileStat{}, err
	}
	err = d.fill(fd, e, data)
	if err == nil { // not before the file is closed, which some file systems take for a change
		times := []unix.Timespec{unix.NsecToTimespec(e.mtime), unix.NsecToTimespec(e.mtime)}
		err = again(func() error { return unix.UtimesNanoAt(dir, made, times, unix.AT_SYMLINK_NOFOLLOW) })
	}
	if err != nil {
		if fresh {
			unix.Unlinkat(dir, name, 0) // the first error says what is wrong
		}
		return fileStat{}, err
	}
	if !fresh {
		if err := again(func() error { return unix.Renameat(dir, temp, dir, name) }); err != nil {
			return fileStat{}, err
		}
	}
	var st unix.Stat_t
	err = again(func() error { return unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW) })
	if err == nil && st.Mode&unix.S_IFMT != unix.S_IFREG {
		err = unix.EEXIST // somebody has put something else there
	}
	return fileStat{mode: uint32(st.Mode) & 0o7777, size: st.Size, mtime: st.Mtim.Nano(), ctime: st.Ctim.Nano(), inode: uint64(st.Ino)}, err
}

func (d *folder) create(dir int, name string, e *entry) (fd int, err error) {
	const flags = unix.O_WRONLY | unix.O_CREAT | unix.O_EXCL | unix.O_NOFOLLOW | unix.O_CLOEXEC
	err = again(func() error {
		fd, err = unix.Openat(dir, name, flags, e.mode&0o777|0o200)
		return err
	})
	return fd, err
}

// fill gives a new file content and mode, and closes it.
func (d *folder) fill(fd int, e *entry, data []byte) (err error) {
	defer func() {
		if closing := unix.Close(fd); err == nil { // not again: after EINTR it is closed
			err = closing
		}
	}()
	for len(data) > 0 {
		var n int
		err := again(func() error {
			n, err = unix.Write(fd, data)
			return err
		})
		if err == nil && n == 0 {
			err = io.ErrShortWrite
		}
		if err != nil {
			return err
		}
		data = data[n:]
	}
	return d.setMode(fd, e.mode)
}

// setMode sets the mode of a new file unless those before it have shown that it has it.
func (d *folder) setMode(fd int, mode uint32) error {
	if d.mode != mode {
		var st unix.Stat_t
		if err := again(func() error { return unix.Fstat(fd, &st) }); err != nil {
			return err
		}
		d.mode, d.exact = mode, uint32(st.Mode)&0o7777 == mode
	}
	if d.exact {
		return nil
	}
	return again(func() error { return unix.Fchmod(fd, mode) })
}

// again calls f until no signal interrupts it.
func again(f func() error) error {
	for {
		if err := f(); err != unix.EINTR {
			return err
		}
	}
}
