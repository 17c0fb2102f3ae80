// Package ownfile opens what users name as their own: files that are read as a whole, and
// directories of which programs are run. What another user can have put there is refused, and
// nothing is waited for: a FIFO in the place of a file is an error at once.
//
// Limits: on Windows it does not see who may write to a directory. Elsewhere it looks at a
// directory and the one that it is in, not at those above: people's build directories are often
// below one that is everybody's.
package ownfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// ErrShared says that a directory is not this user's alone.
var ErrShared = errors.New("it is not this user's alone")

// Open opens a regular file, or a link to one, for reading. For all else it returns an error that
// says what it is. The caller closes the file.
func Open(name string) (*os.File, error) { return OpenFile(name, os.O_RDONLY, 0) }

// OpenFile is Open with os.OpenFile's flags.
func OpenFile(name string, flag int, perm fs.FileMode) (*os.File, error) {
	f, err := os.OpenFile(name, flag|atOnce, perm)
	if err != nil {
		return nil, err
	}
	return onlyRegular(f, name)
}

// OpenIn opens a regular file or a directory of a root for reading. For all else it returns an
// error that says what it is. The caller closes the file.
func OpenIn(root *os.Root, name string) (*os.File, error) {
	f, err := root.OpenFile(name, os.O_RDONLY|atOnce, 0)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return f, nil
	}
	return onlyRegular(f, name)
}

// onlyRegular returns f, or closes it and says what it is.
func onlyRegular(f *os.File, name string) (*os.File, error) {
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: name, Err: fmt.Errorf("it is %s, and a file is wanted: %w", kindOf(info.Mode()), fs.ErrInvalid)}
	}
	if err != nil {
		f.Close() // the first error says what is wrong
		return nil, err
	}
	return f, nil
}

// Read returns the content of a regular file. It is an error when that has more than limit bytes.
func Read(name string, limit int64) ([]byte, error) {
	f, err := Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ReadAll(f, limit)
}

// ReadOwn is Read for a file that nobody has named. It refuses with ErrShared one that somebody
// else than this user and root has made or may write to, and one in such a directory. Where root
// acts for somebody (sudo), what that one has made is fine too.
func ReadOwn(name string, limit int64) ([]byte, error) {
	f, err := Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := checkAuthors(f, name); err != nil {
		return nil, err
	}
	return ReadAll(f, limit)
}

// ReadAll reads a file to its end. It is an error when that is more than limit bytes away.
func ReadAll(f *os.File, limit int64) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = &fs.PathError{Op: "read", Path: f.Name(), Err: fmt.Errorf("it has more than %d bytes", limit)}
	}
	return text, err
}

func kindOf(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a directory"
	case mode&fs.ModeNamedPipe != 0:
		return "a FIFO"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	case mode&fs.ModeDevice != 0:
		return "a device"
	}
	return "something else"
}

// MakeDir makes a directory when it is missing, for this user alone. One that is there is refused
// when somebody else may write to it, or can put another in its place.
func MakeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return CheckDir(dir)
}

// UserCache returns the directory of a name that xdist has in the user's cache directory, and makes
// it, as MakeDir does. It is refused also where others may write to one of those that it is in, and
// so could exchange it while it is used.
func UserCache(name string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return MakeIn(filepath.Join(cache, "xdist"), name)
}

// MakeIn makes a directory by MakeDir, and in it another one of a name, whose path it returns.
func MakeIn(dir, name string) (string, error) {
	if err := MakeDir(dir); err != nil {
		return "", err
	}
	inside := filepath.Join(dir, name)
	return inside, MakeDir(inside)
}
