package hosts

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"

	"github.com/gofrs/flock"

	"github.com/xdist-go/xdist/gotest/store"
	"github.com/xdist-go/xdist/internal/lockfile"
	"github.com/xdist-go/xdist/internal/programs"
)

// What runs put on a host, or have built there, stays there for the next one, within a bound: that
// of the controller's store. The last worker to leave the host removes what was used least
// recently. Nobody uses any of it then, because each worker holds a share in the lock of its home.

const (
	// keptAgents is how many agents of other versions stay whatever their age, and agentAge for how
	// long more of them do: people change versions back and forth.
	keptAgents = 2
	agentAge   = 7 * 24 * time.Hour
	// partAge is the age at which a part of a binary that did not come whole is forgotten.
	partAge = 24 * time.Hour
)

// keptThing is a binary or an agent that a host keeps.
type keptThing struct {
	home  *os.Root // open as long as it is looked at and removed
	names []string // in home, with slashes: one of an agent, and of a binary also that among the builds
	path  string   // the first of them
	used  time.Time
	bytes int64
	agent bool
}

func (k keptThing) remove() {
	for _, name := range k.names {
		if k.agent {
			programs.RemoveUnused(k.home, name) // the agent of a server may run from it
		} else {
			k.home.RemoveAll(name)
		}
	}
}

// pruneHost brings what is kept in homes down to maxBytes, unless somebody uses the host. self is
// the executable that runs, which stays. What cannot be removed stays for the next time.
func pruneHost(homes []string, self string, maxBytes int64, now time.Time) {
	homes = slices.DeleteFunc(slices.Clone(homes), func(home string) bool { return !isOurDir(home) })
	release, ok := lockHomes(homes)
	defer release()
	if !ok {
		return
	}
	own := filepath.Dir(self)
	os.Chtimes(own, now, now) // an agent's directory has the time of its last use
	var kept []keptThing
	for _, name := range homes {
		home, err := openOurs(name)
		if err != nil {
			continue // it has gone, or is not ours any more
		}
		defer home.Close()
		kept = append(kept, withBuilds(home, keptIn(home, "blobs", false))...)
		kept = append(kept, keptIn(home, "agents", true)...)
		removeParts(home, "blobs/tmp", now)
	}
	for _, k := range surplus(kept, own, maxBytes, now) {
		k.remove()
	}
}

// lockHomes takes the locks that workers hold shares in. It fails when one is held.
func lockHomes(homes []string) (release func(), ok bool) {
	var held []*flock.Flock
	release = func() {
		for _, lock := range held {
			lock.Close()
		}
	}
	for _, home := range homes {
		lock := lockfile.Existing(filepath.Join(home, useLock))
		switch err := lockfile.Try(lock); {
		case errors.Is(err, fs.ErrNotExist): // no worker was there
		case err != nil:
			return release, false // somebody works, or nobody can tell
		default:
			held = append(held, lock)
		}
	}
	return release, true
}

// keptIn lists a directory of binaries or agents in a home.
func keptIn(home *os.Root, dir string, agent bool) (kept []keptThing) {
	if info, err := home.Lstat(dir); err != nil || !info.IsDir() || !isOurs(info) {
		return nil
	}
	for _, info := range oursIn(home, dir) {
		if !agentName.MatchString(info.Name()) {
			continue
		}
		name, used := dir+"/"+info.Name(), info.ModTime()
		if agent {
			used = programs.LastUsed(home, name)
		}
		kept = append(kept, keptThing{home, []string{name}, filepath.Join(home.Name(), dir, info.Name()), used, largestIn(home, name), agent})
	}
	return kept
}

// withBuilds adds what the host has built itself to its binaries. Those that tests run from are
// links to it.
func withBuilds(home *os.Root, binaries []keptThing) []keptThing {
	if info, err := home.Lstat(BuildsDir); err != nil || !info.IsDir() || !isOurs(info) {
		return binaries
	}
	builds, err := fs.Sub(home.FS(), BuildsDir)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	at := make(map[string]int, len(binaries)) // by digest
	for i, k := range binaries {
		at[path.Base(k.names[0])] = i
	}
	for _, b := range store.BinaryFiles(builds) {
		name := BuildsDir + "/" + b.Name
		i, ok := at[b.Digest]
		if !ok {
			i = len(binaries)
			at[b.Digest] = i
			binaries = append(binaries, keptThing{home: home, path: filepath.Join(home.Name(), filepath.FromSlash(name))})
		}
		k := &binaries[i]
		k.names, k.bytes = append(k.names, name), max(k.bytes, b.Size)
		if b.Used.After(k.used) {
			k.used = b.Used
		}
	}
	return binaries
}

// largestIn is the size in bytes of the largest file below a directory: a binary's names are links
// to one file.
func largestIn(home *os.Root, dir string) int64 {
	var n int64
	fs.WalkDir(home.FS(), dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				n = max(n, info.Size())
			}
		}
		return nil
	})
	return n
}

// surplus returns what is to be removed, so that the rest takes at most maxBytes; negative is no
// bound. own is the directory of the agent that runs.
func surplus(kept []keptThing, own string, maxBytes int64, now time.Time) []keptThing {
	slices.SortFunc(kept, func(a, b keptThing) int { return cmp.Or(b.used.Compare(a.used), cmp.Compare(a.path, b.path)) })
	var over []keptThing
	var total int64
	agents := 0
	for _, k := range kept { // the last used first
		old := false
		if k.agent && k.path != own {
			agents++
			old = agents > keptAgents && now.Sub(k.used) > agentAge
		}
		full := maxBytes >= 0 && total+k.bytes > maxBytes
		if k.path != own && (old || full) {
			over = append(over, k)
			continue
		}
		total += k.bytes
	}
	return over
}

// removeParts removes what was left of binaries that did not come whole.
func removeParts(home *os.Root, dir string, now time.Time) {
	entries, err := fs.ReadDir(home.FS(), dir)
	if err != nil {
		return // it is not there
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() && now.Sub(info.ModTime()) > partAge {
			home.Remove(dir + "/" + e.Name())
		}
	}
}
