// Package lockfile takes locks on files with gofrs/flock, and adds what that leaves to its callers:
// a signal that comes meanwhile is no error, file systems without locks have an error of their own,
// and who has a lock has it on the file that others find under its name, although files of locks
// are removed.
//
// A lock belongs to an open file and not to a process: two [flock.Flock] of one file exclude each
// other in one process too.
//
// Names of locks can be foreseen, and some are in directories that are everybody's. No link is
// followed, nothing but a regular file is locked, and what is there instead blocks nobody.
//
// Limits: a file that is open cannot be removed on Windows, where [Remove] fails when somebody has
// opened it since the lock was given up.
package lockfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"syscall"

	"github.com/gofrs/flock"
)

// ErrLocked says that another has the lock, or had it just now and has removed its file. Who asks
// again may get it.
var ErrLocked = errors.New("locked by another")

// New returns the lock that is the file called name, not taken. Taking it makes the file when it is
// missing, for all users that the umask allows.
func New(name string) *flock.Flock {
	return flock.New(name, flock.SetFlag(os.O_CREATE|os.O_RDWR|careful), flock.SetPermissions(0o666))
}

// Private is New, but nobody else can open the file that is made: on Unix who can open it can lock
// it, and so keep it from those whom it is for.
func Private(name string) *flock.Flock {
	return flock.New(name, flock.SetFlag(os.O_CREATE|os.O_RDWR|careful), flock.SetPermissions(0o600))
}

// Existing returns the lock that is the file called name, not taken, which taking it does not make.
func Existing(name string) *flock.Flock {
	return flock.New(name, flock.SetFlag(os.O_RDWR|careful))
}

// Try locks l's file for l alone until l.Close, or the end of the process, and does not wait. It
// fails with ErrLocked, with errors.ErrUnsupported where the file system has no locks, and with the
// error of opening the file. After an error nothing is held, and l.Close does nothing.
func Try(l *flock.Flock) error { return try(l, l.TryLock) }

// Share is Try for a lock that several may have at once, while nobody has it alone.
func Share(l *flock.Flock) error { return try(l, l.TryRLock) }

func try(l *flock.Flock, lock func() (bool, error)) error {
	ok, err := lock()
	for errors.Is(err, syscall.EINTR) {
		ok, err = lock()
	}
	if err != nil {
		return explain(l.Path(), err)
	}
	if !ok {
		return ErrLocked
	}
	if named, err := isNamed(l); err != nil || !named {
		l.Close() // the first error says what is wrong
		if err == nil {
			err = ErrLocked
		}
		return err
	}
	return nil
}

// explain makes an error of Try of one of flock's: of opening the file, which names it, or of the
// system's lock.
func explain(name string, err error) error {
	if _, ok := errors.AsType[*fs.PathError](err); ok {
		return err
	}
	// Linux has ENOLCK for a server without locks, and EINVAL for files that have none. Neither
	// comes from Windows.
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.ENOLCK) || errors.Is(err, syscall.EINVAL) {
		return errors.ErrUnsupported
	}
	return fmt.Errorf("lock %s: %w", name, err)
}

// isNamed reports whether the file that l has open is the one under its name.
func isNamed(l *flock.Flock) (bool, error) {
	held, err := l.Stat()
	if err != nil {
		return false, err
	}
	if !held.Mode().IsRegular() {
		return false, fmt.Errorf("lock %s: it is not a regular file", l.Path())
	}
	named, err := os.Lstat(l.Path())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(held, named), err
}

// Remove removes the file of a lock that the caller has, and gives the lock up. Where the system
// allows it the file goes first, so that nobody gets the lock of a file that is about to go.
func Remove(l *flock.Flock) error {
	if runtime.GOOS == "windows" {
		return errors.Join(l.Close(), os.Remove(l.Path()))
	}
	return errors.Join(os.Remove(l.Path()), l.Close())
}
