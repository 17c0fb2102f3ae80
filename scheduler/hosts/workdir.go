package hosts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"time"

	"github.com/gofrs/flock"

	"github.com/xdist-go/xdist/gotest/store"
	"github.com/xdist-go/xdist/internal/diskspace"
	"github.com/xdist-go/xdist/internal/lockfile"
	"github.com/xdist-go/xdist/internal/ownfile"
	"github.com/xdist-go/xdist/rsync"
)

// A WorkDir is the work directory of one worker: it executes test binaries from there, as `go test`
// does from $WORK. A binary has the path go-build<digits>/b001/p.test below the directory for
// temporary files. Some programs look for that to find out whether a test runs them, and what a
// test writes beside its executable goes when the worker ends.
//
// The zero value makes the directory when the first binary is asked for. One goroutine uses it.
type WorkDir struct {
	parent, root string // absolute; "" until root is made
	lock         *flock.Flock
	placed       map[string]*placedBinary // by their paths in the store
	copied       int64                    // bytes of the copies in root
	err          error                    // why root cannot be made
}

// placedBinary is a binary in a work directory.
type placedBinary struct {
	path string
	made fs.FileInfo // of path, as it was made
	copy int64       // bytes that it takes, or 0 for a link
}

// There are directories of `go test` in the same place, whose names are alike. A work directory is
// known by its lock, a file beside it that its worker holds from before the directory is made until
// it is gone, and that has the same digits in its name. They are more than Go gives to a temporary
// directory, which are 10 at most.
const workDigits = 18

var workLock = regexp.MustCompile(fmt.Sprintf(`^xdist-(go-build[0-9]{%d})\.lock$`, workDigits))

// workLockOf is the file of a work directory's lock.
func workLockOf(root string) string {
	return filepath.Join(filepath.Dir(root), "xdist-"+filepath.Base(root)+".lock")
}

const (
	// workTries bounds how often a worker tries to make its directory. A try fails when a sweep
	// sees the lock's file in the moment before it is locked.
	workTries = 10
	// workStale is the age at which a work directory is dead where there are no locks: longer than
	// any run takes.
	workStale = 24 * time.Hour
	// keptCopies bounds the bytes of the copies that stay beside the one that is used. The
	// directory may be in memory, and each worker of the host has its own.
	keptCopies = 64 << 20
	// spareRoom is what has to stay free, in bytes, when a binary is copied: tests want to write
	// there, too.
	spareRoom = 64 << 20
)

// workParents are where work directories go, best first. The first one is that of the go command.
func workParents() []string {
	var dirs []string
	for _, dir := range []string{os.Getenv("GOTMPDIR"), os.TempDir()} {
		if dir == "" {
			continue
		}
		if dir, err := filepath.Abs(dir); err == nil && (len(dirs) == 0 || dirs[0] != dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// Binary returns the path in w of a binary whose path in a store is given: a hard link, or a copy
// where no link can be made. It makes the directory of each binary once, and the binary again when
// a test has removed or changed it. Where the binary cannot be put into w it returns the path in
// the store, and an error that says why, in the same words for all binaries and workers.
//
// What Binary has returned is there until the next call: a copy may make room for another one.
func (w *WorkDir) Binary(stored string) (string, error) {
	if w.root == "" && w.err == nil {
		w.err = w.make()
	}
	if w.err != nil {
		return stored, w.err
	}
	b := w.placed[stored]
	if b == nil {
		dir := filepath.Join(w.root, fmt.Sprintf("b%03d", len(w.placed)+1))
		b = &placedBinary{path: filepath.Join(dir, filepath.Base(stored))}
		w.placed[stored] = b
	}
	if b.intact() {
		return b.path, nil
	}
	if err := w.place(b, stored); err != nil {
		return stored, unusable(w.parent, err)
	}
	return b.path, nil
}

// unusable says that binaries cannot be executed from a directory in parent, without the names of
// files.
func unusable(parent string, err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err
	}
	return fmt.Errorf("test binaries run from where they are kept, and not from a go-build directory in %s as under go test: %w", parent, err)
}

// make makes the directory, in the first place where that is possible.
func (w *WorkDir) make() error {
	var first error
	for _, parent := range workParents() {
		err := w.makeIn(parent)
		if err == nil {
			w.placed = make(map[string]*placedBinary)
			return nil
		}
		if first == nil {
			first = unusable(parent, err)
		}
	}
	return first
}

var errNoExec = errors.New("nothing may be executed there (noexec)")

func (w *WorkDir) makeIn(parent string) error {
	if rsync.NoExec(parent) {
		return errNoExec
	}
	var err error
	for range workTries {
		root := filepath.Join(parent, fmt.Sprintf("go-build%0*d", workDigits, rand.Uint64N(1e18)))
		lock := lockfile.Private(workLockOf(root))
		if err = lockfile.Try(lock); errors.Is(err, lockfile.ErrLocked) {
			continue
		} else if err != nil && !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
		if err = os.Mkdir(root, 0o700); err == nil {
			w.parent, w.root, w.lock = parent, root, lock
			return nil
		}
		lockfile.Remove(lock) // a sweep would do it, too
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return err
}

// intact reports whether the binary is there as it was made.
func (b *placedBinary) intact() bool {
	if b.made == nil {
		return false
	}
	info, err := os.Lstat(b.path)
	return err == nil && os.SameFile(b.made, info) &&
		(b.copy == 0 || info.Size() == b.copy && info.ModTime().Equal(b.made.ModTime())) // a link has the times of its store
}

// place puts a binary where it is to be.
func (w *WorkDir) place(b *placedBinary, stored string) error {
	if err := w.drop(b); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(b.path), 0o777); err != nil {
		return err
	}
	var size int64
	if os.Link(stored, b.path) != nil {
		var err error
		if size, err = w.copy(stored, b.path); err != nil {
			return err
		}
		w.copied += size
	}
	made, err := os.Lstat(b.path)
	b.made, b.copy = made, size
	return err
}

// Damaged reports whether a binary, whose path in a store is given, is not what its digest says,
// there or in w. The directory that it is in there has the digest as its name. What is wrong in w
// is removed.
func (w *WorkDir) Damaged(ctx context.Context, stored string) bool {
	digest, err := store.ParseDigest(filepath.Base(filepath.Dir(stored)))
	if err != nil {
		return false // nobody knows what it was
	}
	damaged := store.Differs(ctx, stored, digest)
	if b := w.placed[stored]; b != nil && store.Differs(ctx, b.path, digest) {
		w.drop(b)
		damaged = true
	}
	return damaged
}

// drop removes what is in the place of a binary.
func (w *WorkDir) drop(b *placedBinary) error {
	w.copied -= b.copy
	b.made, b.copy = nil, 0
	return os.RemoveAll(b.path)
}

// copy copies a binary, where no link can be made to it, and returns its size. Copies that are not
// in use make room for it.
func (w *WorkDir) copy(stored, path string) (int64, error) {
	from, err := ownfile.Open(stored)
	if err != nil {
		return 0, err
	}
	defer from.Close()
	info, err := from.Stat()
	if err != nil {
		return 0, err
	}
	for _, b := range w.placed {
		if w.copied <= keptCopies {
			break
		}
		if b.copy > 0 {
			w.drop(b) // one that stays, as it still runs on Windows, is removed with the directory
		}
	}
	if free, err := diskspace.Free(w.root); err == nil && free < info.Size()+spareRoom {
		return 0, errors.New("there is little space left")
	}
	to, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o777)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(to, from)
	if err = errors.Join(err, rsync.CloseExecutable(to)); err != nil {
		os.Remove(path) // the first error says what is wrong
	}
	return n, err
}

// Close removes the directory with all that tests have left there. What cannot be removed is left
// to a later sweep.
func (w *WorkDir) Close() error {
	if w.root == "" {
		return nil
	}
	return buryWorkDir(w.root, w.lock)
}

// buryWorkDir removes a work directory, and gives up its lock.
func buryWorkDir(root string, lock *flock.Flock) error {
	if runtime.GOOS == "windows" {
		lock.Close() // a file that is open could not be removed
	}
	return errors.Join(removeWorkDir(root), lock.Close())
}

// removeWorkDir removes a work directory, and the lock when nothing else is left.
func removeWorkDir(root string) error {
	if err := removeTree(root); err != nil {
		return err
	}
	return ignoreMissing(os.Remove(workLockOf(root)))
}

// removeWorkDirIn is removeWorkDir in the directory that it is in.
func removeWorkDirIn(parent *os.Root, name string) error {
	if err := removeTreeIn(parent, name); err != nil {
		return err
	}
	return ignoreMissing(parent.Remove(workLockOf(name)))
}

// SweepWorkDirs removes the work directories of workers that were killed, of this user, in the
// directories in which this process would make its own. What it cannot remove it leaves.
func SweepWorkDirs(ctx context.Context) {
	for _, root := range findWorkDirs() {
		if ctx.Err() != nil {
			return
		}
		if lock, dead := lockDeadWorkDir(root, time.Now()); dead {
			buryWorkDir(root, lock) // another sweep tries again
		}
	}
}

// findWorkDirs returns the work directories of this user.
func findWorkDirs() []string {
	var found []string
	for _, parent := range workParents() {
		entries, err := os.ReadDir(parent)
		if err != nil {
			continue // it is not there, or not ours
		}
		for _, e := range entries {
			m := workLock.FindStringSubmatch(e.Name())
			if m == nil {
				continue
			}
			if info, err := e.Info(); err == nil && info.Mode().IsRegular() && isOurs(info) {
				found = append(found, filepath.Join(parent, m[1]))
			}
		}
	}
	return found
}

// lockDeadWorkDir takes the lock of a work directory whose worker is gone. The caller closes it.
func lockDeadWorkDir(root string, now time.Time) (lock *flock.Flock, dead bool) {
	lock = lockfile.Existing(workLockOf(root))
	err := lockfile.Try(lock)
	if errors.Is(err, errors.ErrUnsupported) {
		info, err := os.Lstat(lock.Path())
		return lock, err == nil && now.Sub(info.ModTime()) >= workStale
	}
	return lock, err == nil // else it lives, or has ended by itself
}
