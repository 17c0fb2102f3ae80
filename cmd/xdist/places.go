package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/gofrs/flock"

	"github.com/xdist-go/xdist/internal/lockfile"
	"github.com/xdist-go/xdist/internal/ownfile"
	"github.com/xdist-go/xdist/scheduler/hosts"
	"github.com/xdist-go/xdist/xspec"
)

// places are the names for the directories of mirrors of one tree, and those that this run holds.
// They are in an order that is the same every time. A run takes the first that it can have, but
// begins with the one that its hosts had at last when the first was another user's. A name tells
// nothing of another one to who does not know the controller's secret. Other controllers have other
// names, and so have other accounts on the hosts. All methods may be called concurrently.
type places struct {
	dir   string // of the controller: with a lock for each name, and the files of best
	seed  string // what goes into the names besides their numbers
	doors string // that the run's hosts are behind

	mu   sync.Mutex // guards held
	held map[string]*flock.Flock
}

const (
	// placesAtMost bounds the names of one tree: runs at once, and users of one host that have one
	// name, together.
	placesAtMost = 100
	// placeDigits are the hexadecimal digits of a name. Nobody guesses 80 bits.
	placeDigits = 20
	// bestSuffix is that of the file with the name to begin with.
	bestSuffix = ".best"
	// bestLimit bounds what is read of that, in bytes.
	bestLimit = 64
)

var (
	account   = regexp.MustCompile(`([^\s@/]+)@`)
	loginName = regexp.MustCompile(`-l\s*(\S+)`)
)

// accounts are the users that specs name, sorted: each needs mirrors of its own.
func accounts(specs []xspec.Spec) []string {
	var all []string
	for _, s := range specs {
		for _, form := range []*regexp.Regexp{account, loginName} {
			if m := form.FindStringSubmatch(s.SSH); m != nil {
				all = append(all, m[1])
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// doorsOf are the ways that specs lead to hosts, as one text.
func doorsOf(specs []xspec.Spec) string {
	var all []string
	for _, s := range specs {
		all = append(all, hosts.Door(s))
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), "\x00")
}

// openPlaces has the names for root, for a run with these specs. Nothing of them is held yet.
func openPlaces(dir, root string, specs []xspec.Spec) (*places, error) {
	secret, err := controllerSecret(dir)
	if err != nil {
		return nil, err
	}
	seed := strings.Join(append([]string{secret, root}, accounts(specs)...), "\x00")
	return &places{dir: dir, seed: seed, doors: doorsOf(specs), held: make(map[string]*flock.Flock)}, nil
}

// names are all, with the one to begin with first.
func (p *places) names() []string {
	all := make([]string, placesAtMost)
	for i := range all {
		all[i] = p.name(i)
	}
	text, err := ownfile.Read(p.bestFile(), bestLimit)
	if i := slices.Index(all, string(text)); err == nil && i > 0 { // else there is none, or it is of no use
		all = slices.Insert(slices.Delete(all, i, i+1), 0, string(text))
	}
	return all
}

// name is that with a number.
func (p *places) name(i int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d", p.seed, i))
	return "xdist-" + hex.EncodeToString(sum[:])[:placeDigits]
}

// claim returns the first name that is none of tried and that no other run holds, on any host. This
// run holds it until release.
func (p *places) claim(tried []string) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, place := range p.names() {
		if slices.Contains(tried, place) {
			continue
		}
		if ok, err := p.hold(place); ok || err != nil {
			return place, err
		}
	}
	return "", fmt.Errorf("all of %d names are other users', or of runs that are going on; choose another directory with --mirror-dir", placesAtMost)
}

// hold reports whether the run has a name now. p.mu is held.
func (p *places) hold(place string) (bool, error) {
	if p.held[place] != nil {
		return true, nil
	}
	lock := lockfile.New(filepath.Join(p.dir, place+".lock"))
	err := lockfile.Try(lock)
	if errors.Is(err, lockfile.ErrLocked) {
		return false, nil
	}
	if err == nil {
		p.held[place] = lock // the end of the process gives it up too
	}
	return err == nil, err
}

// release lets other runs have the names.
func (p *places) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, lock := range p.held {
		lock.Close()
	}
	clear(p.held)
}

// prefer has the next run with such specs begin with a name. Else that would find out again that
// the first is another user's.
func (p *places) prefer(place string) { os.WriteFile(p.bestFile(), []byte(place), 0o600) }

func (p *places) bestFile() string {
	sum := sha256.Sum256([]byte(p.seed + "\x00" + p.doors))
	return filepath.Join(p.dir, hex.EncodeToString(sum[:])[:placeDigits]+bestSuffix)
}

// controllerSecret is a text that tells this user on this machine from all others, and that nobody
// else knows. It is kept in dir, which is made for this user alone.
func controllerSecret(dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	name := filepath.Join(dir, "controller")
	secret, err := secretIn(name)
	if !errors.Is(err, fs.ErrNotExist) {
		return secret, err
	}
	// A link takes its name only once, with all of its content: of several controllers that begin
	// here one wins. Where there are no links the last one does.
	temp, err := os.CreateTemp(dir, "controller-")
	if err != nil {
		return "", err
	}
	defer os.Remove(temp.Name())
	_, err = temp.WriteString(rand.Text())
	if err = errors.Join(err, temp.Close()); err != nil {
		return "", err
	}
	if err = os.Link(temp.Name(), name); err != nil && !errors.Is(err, fs.ErrExist) {
		err = os.Rename(temp.Name(), name)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	return secretIn(name)
}

// secretIn reads a secret. One that others can read, or that is too short to be one, counts as
// missing and is removed.
func secretIn(name string) (string, error) {
	const limit = 1 << 10
	f, err := ownfile.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(io.LimitReader(f, limit))
	open := runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0
	if err != nil || len(text) >= len(rand.Text()) && !open {
		return string(text), err
	}
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	return "", &fs.PathError{Op: "read", Path: name, Err: fs.ErrNotExist}
}
