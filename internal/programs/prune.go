package programs

import (
	"encoding/hex"
	"errors"
	"io/fs"
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
	in   *os.Root
	name string
	used time.Time
	size int64
}

// prune removes the programs that were used least recently, until the rest fits the limit. What
// runs stays, and counts.
func (s *Store) prune() {
	var all []kept
	for _, place := range s.places {
		agents := filepath.Join(place, "agents")
		if !isMine(place) || !isMine(agents) {
			continue
		}
		root, err := os.OpenRoot(agents)
		if err != nil {
			continue
		}
		defer root.Close()
		all = append(all, keptIn(root)...)
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
		if RemoveUnused(k.in, k.name) {
			total -= k.size
		}
	}
}

// keptIn lists the programs in a directory.
func keptIn(agents *os.Root) []kept {
	entries, err := fs.ReadDir(agents.FS(), ".")
	if err != nil {
		return nil
	}
	var found []kept
	for _, e := range entries {
		info, err := e.Info()
		if digits, hexErr := hex.DecodeString(e.Name()); err != nil || hexErr != nil || len(digits) != 32 || !info.IsDir() {
			continue
		}
		k := kept{in: agents, name: e.Name(), used: LastUsed(agents, e.Name())}
		if files, err := fs.ReadDir(agents.FS(), k.name); err == nil {
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

// LastUsed is when a program was used last, by its directory in a root: through a store, or by a
// shell.
func LastUsed(in *os.Root, dir string) time.Time {
	var last time.Time
	for _, name := range []string{dir, dir + "/" + usedMark} {
		if info, err := in.Lstat(name); err == nil && info.ModTime().After(last) {
			last = info.ModTime()
		}
	}
	return last
}

// justUsed is for how long a program is not removed after its last use: an agent that a shell has
// started holds no share in its lock.
const justUsed = time.Minute

// RemoveUnused removes the directory of a program in a root, unless somebody runs it or did so just
// now, and reports whether it is gone. The root is this user's alone.
func RemoveUnused(in *os.Root, dir string) bool {
	if _, err := in.Lstat(dir); err != nil || time.Since(LastUsed(in, dir)) < justUsed {
		return false
	}
	lock := lockfile.Private(filepath.Join(in.Name(), filepath.FromSlash(dir), useLock))
	if err := lockfile.Try(lock); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return false
	}
	defer lock.Close()
	return in.RemoveAll(dir) == nil
}
