package programs

import (
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/xdist-go/xdist/internal/lockfile"
)

// Sweep removes what was left of programs that did not come whole because whoever received them was
// killed.
func (s *Store) Sweep() {
	for _, place := range s.places {
		if agents := filepath.Join(place, "agents"); isMine(place) && isMine(agents) {
			sweep(agents)
		}
	}
}

// abandonedFor is the age of a file that nobody can still be writing, where no lock tells.
const abandonedFor = time.Hour

// sweep is Sweep in one directory, which is this user's alone.
func sweep(agents string) {
	entries, err := os.ReadDir(agents)
	if err != nil {
		return // it is not there
	}
	for _, e := range entries {
		name := filepath.Join(agents, e.Name())
		temp, isLock := strings.CutSuffix(name, lockSuffix)
		if !strings.HasPrefix(e.Name(), tempPrefix) {
			continue
		}
		if !isLock { // its lock is made next, or was never made
			if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > abandonedFor {
				os.Remove(name)
			}
			continue
		}
		lock := lockfile.Existing(name)
		if lockfile.Try(lock) == nil {
			os.Remove(temp) // may not be there
			lockfile.Remove(lock)
		}
	}
}

// kept is a program in the store.
type kept struct {
	dir  string
	used time.Time
	size int64
}

// prune removes the programs that were used least recently, until the rest fits the limit. What
// runs stays, and counts.
func (s *Store) prune() {
	var all []kept
	for _, place := range s.places {
		if agents := filepath.Join(place, "agents"); isMine(place) && isMine(agents) {
			all = append(all, keptIn(agents)...)
		}
	}
	slices.SortFunc(all, func(a, b kept) int { return a.used.Compare(b.used) })
	var total int64
	for _, k := range all {
		total += k.size
	}
	for _, k := range all {
		if total <= s.limit {
			return
		}
		if RemoveUnused(k.dir) {
			total -= k.size
		}
	}
}

// keptIn lists the programs in a directory.
func keptIn(agents string) []kept {
	entries, err := os.ReadDir(agents)
	if err != nil {
		return nil
	}
	var found []kept
	for _, e := range entries {
		info, err := e.Info()
		if digits, hexErr := hex.DecodeString(e.Name()); err != nil || hexErr != nil || len(digits) != 32 || !info.IsDir() {
			continue
		}
		k := kept{dir: filepath.Join(agents, e.Name())}
		k.used = LastUsed(k.dir)
		if files, err := os.ReadDir(k.dir); err == nil {
			for _, f := range files {
				if info, err := f.Info(); err == nil {
					k.size += info.Size()
				}
			}
		}
		found = append(found, k)
	}
	return found
}

// usedMark is the file whose time is that of the last start by a shell, which cannot set the
// directory's.
const usedMark = ".used"

// LastUsed is when a program was used last, by its directory: through a store, or by a shell.
func LastUsed(dir string) time.Time {
	var last time.Time
	for _, name := range []string{dir, filepath.Join(dir, usedMark)} {
		if info, err := os.Lstat(name); err == nil && info.ModTime().After(last) {
			last = info.ModTime()
		}
	}
	return last
}

// justUsed is for how long a program is not removed after its last use: an agent that a shell has
// started holds no share in its lock.
const justUsed = time.Minute

// RemoveUnused removes the directory of a program, unless somebody runs it or did so just now, and
// reports whether it is gone. The directory above is this user's alone.
func RemoveUnused(dir string) bool {
	if _, err := os.Lstat(dir); err != nil || time.Since(LastUsed(dir)) < justUsed {
		return false
	}
	lock := lockfile.Private(filepath.Join(dir, useLock))
	if err := lockfile.Try(lock); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return false
	}
	defer lock.Close()
	return os.RemoveAll(dir) == nil
}
