// Package atomicfile writes files that are replaced in one step. It has no goroutines, and does not
// bring what it wrote to the disk's surface: after a loss of power the old file may be back.
package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
)

// File is a file that is replaced in one step, so that its readers see the old one or the
// whole new one. A path that is no regular file (a pipe, /dev/stdout) is written in place.
type File struct {
	path    string // symbolic links resolved: what they point to is replaced, they stay
	perm    fs.FileMode
	inPlace bool
}

// New makes the directory of path and tries whether a file can be made there; it leaves
// none behind.
func New(path string) (*File, error) {
	if path == "" {
		return nil, errors.New("it has no name")
	}
	if err := MakeParent(path); err != nil {
		return nil, err
	}
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		path = resolved
	}
	t := &File{path: path}
	switch info, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, Cause(err)
	case info.IsDir():
		return nil, errors.New("is a directory")
	case !info.Mode().IsRegular():
		t.inPlace = true
		return t, nil
	default:
		t.perm = info.Mode().Perm()
	}
	f, err := t.temporary()
	if err != nil {
		return nil, Cause(err)
	}
	return t, errors.Join(f.Close(), os.Remove(f.Name()))
}

// Replace puts what write writes at its path. On an error the old file is still there.
func (t *File) Replace(write func(io.Writer) error) error {
	if t.inPlace {
		f, err := os.OpenFile(t.path, os.O_WRONLY, 0)
		if err != nil {
			return Cause(err)
		}
		return Cause(writeAndClose(f, write))
	}
	f, err := t.temporary()
	if err != nil {
		return Cause(err)
	}
	err = writeAndClose(f, write)
	if err == nil && t.perm != 0 {
		err = os.Chmod(f.Name(), t.perm)
	}
	if err == nil {
		err = os.Rename(f.Name(), t.path)
	}
	if err != nil {
		return errors.Join(Cause(err), os.Remove(f.Name()))
	}
	return nil
}

// writeAndClose returns the first error: some file systems tell of a full disk only at the close.
func writeAndClose(f *os.File, write func(io.Writer) error) error {
	err := write(f)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}

// temporary makes a new file next to it. os.CreateTemp would give it mode 0600, which the
// rename would then give to a report that others are to read.
func (t *File) temporary() (*os.File, error) {
	name := t.path + "." + strconv.FormatUint(rand.Uint64(), 36) + ".tmp"
	return os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
}

// MakeParent makes the directory that a file is to be in.
func MakeParent(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return fmt.Errorf("make its directory: %w", err)
	}
	return nil
}

// Cause takes the path out of an error that is going to name the file itself.
func Cause(err error) error {
	if perr, ok := errors.AsType[*fs.PathError](err); ok && err == error(perr) {
		return perr.Err
	}
	return err
}
