package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"github.com/xdist-go/xdist/internal/lockfile"
	"github.com/xdist-go/xdist/internal/ownfile"
)

const (
	lockSuffix = ".lock"
	// staleAfter is the age at which a file in tmp counts as forgotten, and a run that cannot be
	// seen to live as dead: longer than any copy takes, and any run on a file system without locks.
	staleAfter = 24 * time.Hour
	// beginTries bounds how often Begin looks for a lock that nobody else holds. Only a prune that
	// looks into the new lock in the very moment makes one try fail.
	beginTries = 10
)

// A Run is one user's claim on binaries of a store. Those it has asked for stay, whatever is pruned
// and by whom, until Close or the end of the process.
//
// It owns a directory of hard links. The lock beside it ends with the process even if that is
// killed, by which others know that the claim is void.
type Run struct {
	store *Store
	dir   string
	lock  *flock.Flock

	mu     sync.Mutex // guards the fields below, and is held while a binary gets its name
	closed bool
	stale  map[Digest]bool // binaries whose names are of damaged files
}

// Begin makes a run, which the caller closes. Errors are ErrReadOnly and ErrFull.
func (s *Store) Begin() (*Run, error) {
	r, err := s.begin()
	if err != nil {
		return nil, fmt.Errorf("begin run in store %s: %w", s.dir, classify(err))
	}
	return r, nil
}

func (s *Store) begin() (*Run, error) {
	var err error
	for range beginTries {
		dir := filepath.Join(s.dir, runsDir, rand.Text())
		var lock *flock.Flock
		if lock, err = makeLock(dir + lockSuffix); errors.Is(err, lockfile.ErrLocked) {
			continue
		} else if err != nil {
			return nil, err
		}
		if err := os.Mkdir(dir, 0o700); err != nil {
			return nil, errors.Join(err, lockfile.Remove(lock))
		}
		return &Run{store: s, dir: dir, lock: lock}, nil
	}
	return nil, err
}

// makeLock makes a file and locks it. It fails with lockfile.ErrLocked if a prune saw the file
// first and has locked or removed it.
func makeLock(name string) (*flock.Flock, error) {
	lock := lockfile.New(name)
	if err := lockfile.Try(lock); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return nil, err
	}
	return lock, nil
}

// Binary returns the absolute path of an executable file called name, such as "cobra.test", with
// the content that d stands for, and marks the binary as used. Asking again returns the same path.
// The file stays until Close, and must not be written to. It takes no time worth mentioning, unless
// the file system has no hard links: then it copies the binary.
//
// Errors are ErrMissing, ErrClosed, ErrReadOnly, ErrFull, that of ctx, and one for a name that is
// no file name.
func (r *Run) Binary(ctx context.Context, d Digest, name string) (string, error) {
	path, err := r.binary(ctx, d, name)
	if err != nil {
		return "", fmt.Errorf("take binary %s (%q) from store %s: %w", d, clip(name), r.store.dir, classify(err))
	}
	return path, nil
}

func (r *Run) binary(ctx context.Context, d Digest, name string) (string, error) {
	if !validName(name) {
		return "", errors.New("not the name of a file")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return "", ErrClosed
	}
	path := filepath.Join(r.dir, d.Hex(), name)
	if _, err := os.Lstat(path); err == nil && !r.stale[d] {
		touch(path) // also its other name in bin
		return path, nil
	}
	stored, size, ok := r.store.find(d)
	if !ok {
		return "", ErrMissing
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", err
	}
	if err := r.name(ctx, stored, path); err != nil {
		return "", err
	}
	if !whole(path, size) {
		return "", errors.Join(ErrMissing, os.Remove(path))
	}
	delete(r.stale, d)
	touch(stored)
	return path, nil
}

// name gives a binary its name, in the place of what has that.
func (r *Run) name(ctx context.Context, stored, path string) error {
	link := filepath.Join(r.store.dir, tmpDir, tmpPrefix+rand.Text())
	if os.Link(stored, link) != nil {
		return r.copy(ctx, stored, path)
	}
	touch(link) // it is no forgotten file
	err := os.Rename(link, path)
	os.Remove(link) // a rename of one name of a file to another does nothing
	return err
}

// Check reports whether the content of a binary is what d stands for, in the store and under the
// names that the run has given it. It reads the whole file. A binary that is wrong is removed from
// the store, and Binary gives its name to another one when that is there. What is not there is not
// right. Errors are ErrClosed and that of ctx.
func (r *Run) Check(ctx context.Context, d Digest) (right bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false, fmt.Errorf("check binary %s in store %s: %w", d, r.store.dir, ErrClosed)
	}
	stored, _, right := r.store.find(d)
	if right && Differs(ctx, stored, d) {
		right = false
		os.Remove(stored) // Put replaces it where it cannot be removed
	}
	names, _ := filepath.Glob(filepath.Join(r.dir, d.Hex(), "*"))
	for _, name := range names {
		if Differs(ctx, name, d) {
			right = false
			if r.stale == nil {
				r.stale = make(map[Digest]bool)
			}
			r.stale[d] = true
		}
	}
	return right, ctx.Err()
}

// Differs reports whether a file is not there, or its content is not what d stands for. A file that
// cannot be read does not count as different, nor does one that ctx leaves no time for.
func Differs(ctx context.Context, name string, d Digest) bool {
	f, err := ownfile.Open(name)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	defer f.Close()
	got, _, err := digest(ctx, f, io.Discard)
	return err == nil && got != d
}

// copy makes the file path from the file stored.
func (r *Run) copy(ctx context.Context, stored, path string) error {
	in, err := ownfile.Open(stored)
	if errors.Is(err, fs.ErrNotExist) {
		return ErrMissing // pruned since we found it
	}
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := r.store.temp()
	if err != nil {
		return err
	}
	_, err = io.Copy(out, contextReader{ctx, in})
	if err = errors.Join(err, out.Close()); err == nil {
		err = os.Chmod(out.Name(), 0o755)
	}
	if err == nil {
		err = os.Rename(out.Name(), path)
	}
	if err != nil {
		os.Remove(out.Name())
	}
	return err
}

// A contextReader reads until ctx ends.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// Close gives up the claim and removes the run's files. Closing again does nothing. What cannot be
// removed, as an executable that still runs on Windows, is left to a later prune.
func (r *Run) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	r.closed = true
	if err := os.RemoveAll(r.dir); err != nil {
		// By the lock's file a later prune finds the rest.
		return fmt.Errorf("close run in store %s: %w", r.store.dir, errors.Join(err, r.lock.Close()))
	}
	if err := lockfile.Remove(r.lock); err != nil {
		return fmt.Errorf("close run in store %s: %w", r.store.dir, err)
	}
	return nil
}

// TempDir makes a directory for other files of the run, which go with it, also when the process is
// killed. Errors are ErrClosed, ErrReadOnly and ErrFull.
func (r *Run) TempDir() (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return "", fmt.Errorf("make a directory in store %s: %w", r.store.dir, ErrClosed)
	}
	dir, err := os.MkdirTemp(r.dir, "tmp-")
	if err != nil {
		return "", fmt.Errorf("make a directory in store %s: %w", r.store.dir, classify(err))
	}
	return dir, nil
}

// validName reports whether name can be the name of a file on any system.
func validName(name string) bool {
	return name != "" && name != "." && name != ".." && len(name) <= 255 && !strings.ContainsAny(name, `/\:`+"\x00")
}
