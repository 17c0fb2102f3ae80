package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/xdist-go/xdist/internal/lockfile"
)

// blockSize is what a file's size is rounded up to when it counts towards the bound, in bytes: a
// record of ten bytes takes a block too.
const blockSize = 4096

const pruneLock = "prune.lock"

// Pruned is what a prune did.
type Pruned struct {
	Busy    bool  // another process is pruning, and nothing was done
	Files   int   // binaries and records removed
	Bytes   int64 // in those files, rounded up to blocks
	Rubbish int   // dead runs, and forgotten temporary files, removed
}

// Stats is what a store holds.
type Stats struct {
	Binaries int
	Records  int
	Bytes    int64 // of both, rounded up to blocks
	Pinned   int64 // of the binaries that live runs use; part of Bytes
	Runs     int   // live ones
	MaxBytes int64 // the bound; negative is none
}

// Prune removes what crashed processes left, truncated binaries, and then what was used least
// recently, until binaries and records take at most maxBytes. Zero is the store's own bound,
// negative is none. Binaries that live runs use stay, and count.
//
// Only one prune works on a directory at a time; see Pruned.Busy. Files that cannot be removed for
// reasons of their own are passed over. The error is ErrReadOnly, that of ctx, or one of reading
// the directory; Pruned is right even then.
func (s *Store) Prune(ctx context.Context, maxBytes int64) (Pruned, error) {
	if maxBytes == 0 {
		maxBytes = s.max
	}
	done, err := s.prune(ctx, maxBytes)
	if err != nil {
		return done, fmt.Errorf("prune store %s: %w", s.dir, classify(err))
	}
	return done, nil
}

func (s *Store) prune(ctx context.Context, maxBytes int64) (done Pruned, err error) {
	lock := lockfile.New(filepath.Join(s.dir, pruneLock))
	defer lock.Close()
	if err := lockfile.Try(lock); errors.Is(err, lockfile.ErrLocked) {
		return Pruned{Busy: true}, nil
	} else if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return done, err
	}
	if err := s.pruneTemps(ctx, &done); err != nil {
		return done, err
	}
	_, pinned, err := s.runs(ctx, &done)
	if err != nil {
		return done, err
	}
	files, err := s.files(ctx, pinned)
	if err != nil {
		return done, err
	}
	return done, s.evict(ctx, files, maxBytes, &done)
}

// pruneTemps removes what is old in tmp.
func (s *Store) pruneTemps(ctx context.Context, done *Pruned) error {
	entries, err := os.ReadDir(filepath.Join(s.dir, tmpDir))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil || time.Since(info.ModTime()) < staleAfter {
			continue
		}
		if err := s.remove(filepath.Join(s.dir, tmpDir, e.Name())); err == nil {
			done.Rubbish++
		} else if errors.Is(classify(err), ErrReadOnly) {
			return err
		}
	}
	return nil
}

// runs returns how many runs live, and the digits of the digests that they use. It removes dead
// runs if done is not nil.
func (s *Store) runs(ctx context.Context, done *Pruned) (live int, pinned map[string]bool, err error) {
	pinned = make(map[string]bool)
	root := filepath.Join(s.dir, runsDir)
	entries, err := os.ReadDir(root)
	if err != nil {
		return 0, nil, err
	}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return 0, nil, err
		}
		id, ok := strings.CutSuffix(e.Name(), lockSuffix)
		if !ok {
			continue // the directory of a run; its lock is in the list
		}
		dir := filepath.Join(root, id)
		if lock, dead := lockIfDead(dir + lockSuffix); dead {
			s.bury(dir, lock, done)
			continue
		}
		binaries, err := os.ReadDir(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it has begun or ended just now
		}
		if err != nil {
			return 0, nil, err
		}
		live++
		for _, b := range binaries {
			pinned[b.Name()] = true
		}
	}
	return live, pinned, nil
}

// bury removes the directory of a dead run, if done is not nil, and gives up its lock.
func (s *Store) bury(dir string, lock *flock.Flock, done *Pruned) {
	if done == nil || s.remove(dir) != nil {
		lock.Close()
		return
	}
	if err := lockfile.Remove(lock); err != nil {
		s.log.Warn("prune store", "error", err)
	}
	done.Rubbish++
}

// lockIfDead takes the lock of a run that has died. The caller closes it.
func lockIfDead(name string) (lock *flock.Flock, dead bool) {
	lock = lockfile.Existing(name)
	err := lockfile.Try(lock)
	if errors.Is(err, errors.ErrUnsupported) {
		info, err := lock.Stat()
		return lock, err == nil && time.Since(info.ModTime()) >= staleAfter
	}
	return lock, err == nil // else it lives, has ended by itself, or is another user's
}

// A file is a binary or a record.
type file struct {
	name   string
	size   int64 // rounded up to blocks
	used   time.Time
	binary bool
	pinned bool
	broken bool // truncated, or nothing of ours
}

// files returns what is in bin and rec.
func (s *Store) files(ctx context.Context, pinned map[string]bool) ([]file, error) {
	var found []file
	for _, sub := range []string{binDir, recDir} {
		err := filepath.WalkDir(filepath.Join(s.dir, sub), func(name string, e fs.DirEntry, err error) error {
			switch {
			case errors.Is(err, fs.ErrNotExist):
				return nil
			case err != nil:
				return err
			case ctx.Err() != nil:
				return ctx.Err()
			case e.IsDir():
				return nil
			}
			info, err := e.Info()
			if err != nil {
				return nil // removed since
			}
			f := file{name: name, size: (info.Size() + blockSize - 1) / blockSize * blockSize, used: info.ModTime()}
			if sub == binDir {
				digits, size, ok := parseBinName(e.Name())
				f.binary, f.pinned, f.broken = true, pinned[digits], !ok || size != info.Size()
			}
			found = append(found, f)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

// A BinaryFile is a binary in the directory of a store.
type BinaryFile struct {
	Name   string // in the directory, with slashes
	Digest string // its digits
	Size   int64  // in bytes
	Used   time.Time
}

// BinaryFiles lists the binaries in the directory of a store, which is not opened. What cannot be
// looked at is left out.
func BinaryFiles(dir fs.FS) []BinaryFile {
	var found []BinaryFile
	fs.WalkDir(dir, binDir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return nil
		}
		info, err := e.Info()
		digits, _, ok := parseBinName(e.Name())
		if err == nil && ok {
			found = append(found, BinaryFile{name, digits, info.Size(), info.ModTime()})
		}
		return nil
	})
	return found
}

// evict removes files until the rest takes at most maxBytes.
func (s *Store) evict(ctx context.Context, files []file, maxBytes int64, done *Pruned) error {
	var total int64
	for _, f := range files {
		total += f.size
	}
	slices.SortFunc(files, func(a, b file) int {
		if a.broken != b.broken {
			if a.broken {
				return -1
			}
			return 1
		}
		return cmp.Or(a.used.Compare(b.used), cmp.Compare(a.name, b.name))
	})
	for _, f := range files {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !f.broken && (maxBytes < 0 || total <= maxBytes) {
			return nil
		}
		if f.pinned && !f.broken || usedSince(f) {
			continue
		}
		if err := s.remove(f.name); err != nil {
			if errors.Is(classify(err), ErrReadOnly) {
				return err
			}
			continue
		}
		total -= f.size
		done.Files++
		done.Bytes += f.size
	}
	return nil
}

// usedSince reports whether somebody used the file after it was listed.
func usedSince(f file) bool {
	info, err := os.Lstat(f.name)
	return err == nil && info.ModTime().After(f.used)
}

// remove removes a file or directory, and says so when it cannot.
func (s *Store) remove(name string) error {
	err := os.RemoveAll(name)
	if err != nil {
		s.log.Warn("prune store", "error", err)
	}
	return err
}

// Stats counts what the store holds. It looks at every file.
func (s *Store) Stats(ctx context.Context) (Stats, error) {
	live, pinned, err := s.runs(ctx, nil)
	var files []file
	if err == nil {
		files, err = s.files(ctx, pinned)
	}
	if err != nil {
		return Stats{}, fmt.Errorf("count store %s: %w", s.dir, err)
	}
	st := Stats{MaxBytes: s.max, Runs: live}
	for _, f := range files {
		st.Bytes += f.size
		if f.pinned {
			st.Pinned += f.size
		}
		if f.binary {
			st.Binaries++
		} else {
			st.Records++
		}
	}
	return st, nil
}
