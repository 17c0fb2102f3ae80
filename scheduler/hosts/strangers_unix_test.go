//go:build unix

package hosts

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/xdist-go/xdist/internal/lockfile"
	"github.com/xdist-go/xdist/internal/strangers"
)

// planted is what another user may have put where a lock is looked for. Each returns a name that
// must not be there afterwards, or "".
var planted = map[string]func(t *testing.T, lock string) (untouched string){
	"link": func(t *testing.T, lock string) string {
		target := filepath.Join(t.TempDir(), "made through a link")
		check(t, os.Symlink(target, lock))
		return target
	},
	"fifo":      func(t *testing.T, lock string) string { check(t, syscall.Mkfifo(lock, 0o666)); return "" },
	"directory": func(t *testing.T, lock string) string { check(t, os.Mkdir(lock, 0o777)); return "" },
	"nothing":   func(t *testing.T, lock string) string { return lock },
	"file": func(t *testing.T, lock string) string {
		check(t, os.WriteFile(lock, nil, 0o666))
		if os.Geteuid() == 0 {
			check(t, os.Chown(lock, stranger, stranger))
		}
		return ""
	},
}

// stranger is the id of a user that the tests are not.
const stranger = 12345

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestBroomAmongStrangers cleans beside a mirror, a home and a work directory whose names are as
// ours and that belong to somebody else, or hold what no run puts there. Nothing is made, followed
// or waited for.
func TestBroomAmongStrangers(t *testing.T) {
	for what, plant := range planted {
		t.Run(what, func(t *testing.T) {
			if what == "file" && os.Geteuid() != 0 {
				t.Skip("skipped: only root can give a file to another user")
			}
			place := t.TempDir()
			t.Setenv("TMPDIR", place)
			theirs := filepath.Join(place, "xdist-0123456789abcdef-0")
			side := filepath.Join(theirs, ".m.xdist-sync")
			home := filepath.Join(place, "home")
			check(t, os.MkdirAll(side, 0o777))
			check(t, os.Mkdir(home, 0o777))
			var untouched []string
			for _, lock := range []string{filepath.Join(side, "lock"), filepath.Join(home, useLock), filepath.Join(place, "xdist-go-build123456789012345678.lock")} {
				if name := plant(t, lock); name != "" {
					untouched = append(untouched, name)
				}
			}
			if os.Geteuid() == 0 {
				for _, dir := range []string{theirs, home} {
					check(t, os.Chown(dir, stranger, stranger))
				}
			} else {
				t.Log("nothing belongs to another user, since only root can give it away")
			}
			b := broom{place: place, homes: []string{home}}
			defer b.close()
			donec := make(chan struct{})
			var busy []string
			go func() {
				defer close(donec)
				b.survey(time.Now())
				busy = b.busy()
			}()
			select {
			case <-donec:
			case <-time.After(time.Minute):
				t.Fatal("clean waits for what somebody has put there")
			}
			if len(busy) > 0 || len(b.held) > 0 {
				t.Errorf("busy %q, and %d locks are held, want none", busy, len(b.held))
			}
			for _, name := range untouched {
				if _, err := os.Lstat(name); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("%s was made: %v", name, err)
				}
			}
		})
	}
}

// TestLockOfAStranger takes a lock whose name leads elsewhere. It is an error at once.
func TestLockOfAStranger(t *testing.T) {
	for what, plant := range planted {
		lock := filepath.Join(t.TempDir(), "lock")
		untouched := plant(t, lock)
		if what == "nothing" || what == "file" { // lockfile locks the files of others, too
			continue
		}
		l := lockfile.New(lock)
		if err := lockfile.Try(l); err == nil || errors.Is(err, lockfile.ErrLocked) {
			t.Errorf("%s: %v, want an error that says what is there", what, err)
		}
		if untouched != "" {
			if _, err := os.Lstat(untouched); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s was made: %v", untouched, err)
			}
		}
	}
}

// TestNamesOfStrangers has somebody else put things under each name that xdist gives to a directory
// in one that is everybody's, and uses it as an agent does. Nothing is made, removed, followed or
// waited for.
func TestNamesOfStrangers(t *testing.T) {
	const digest = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	uses := map[string]struct {
		name string
		use  func(t *testing.T, name string)
	}{
		"make a mirror": {"xdist-0123456789abcdef0123", func(t *testing.T, name string) {
			if token, err := tokenIn(name); !errors.Is(err, errTaken) {
				t.Errorf("token %q, %v, want %v", token, err, errTaken)
			}
		}},
		"clean mirrors": {"xdist-0123456789abcdef0123", func(t *testing.T, name string) {
			sweep(t, broom{place: filepath.Dir(name)})
		}},
		"clean a home": {"xdist-0", func(t *testing.T, name string) {
			sweep(t, broom{place: filepath.Join(filepath.Dir(name), "none"), homes: []string{name}})
		}},
		"prune a home": {"xdist-0", func(t *testing.T, name string) {
			pruneHost([]string{name}, "/none/xdist", 0, time.Now())
		}},
		"clean cover data": {"xdist-cover-1", func(t *testing.T, name string) {
			old := time.Now().Add(-2 * tempAge)
			os.Chtimes(name, old, old) // as far as there is something
			sweep(t, broom{place: filepath.Join(filepath.Dir(name), "none")})
		}},
		"clean stores of runs": {"xdist-store-1", func(t *testing.T, name string) {
			old := time.Now().Add(-2 * tempAge)
			os.Chtimes(name, old, old) // likewise
			sweep(t, broom{place: filepath.Join(filepath.Dir(name), "none")})
		}},
		"clean trials": {"xdist-try-1", func(t *testing.T, name string) {
			old := time.Now().Add(-2 * tempAge)
			os.Chtimes(name, old, old) // likewise
			sweep(t, broom{place: filepath.Dir(name)})
		}},
		"try a place": {"xdist-try-1", func(t *testing.T, name string) {
			if _, err := tryPlace(filepath.Dir(name)); err != nil {
				t.Error(err)
			}
		}},
		"sweep work directories": {"xdist-go-build123456789012345678.lock", func(t *testing.T, name string) {
			SweepWorkDirs(t.Context())
		}},
	}
	kinds := maps.Clone(planted)
	delete(kinds, "nothing")
	for what, use := range uses {
		for kind, plant := range kinds {
			t.Run(what+"/"+kind, func(t *testing.T) {
				if (kind == "directory" || kind == "file") && os.Geteuid() != 0 {
					t.Skip("skipped: only root can give something to another user")
				}
				everybodys, ours := t.TempDir(), t.TempDir()
				t.Setenv("TMPDIR", everybodys)
				t.Setenv("GOTMPDIR", "")
				name := filepath.Join(everybodys, use.name)
				plant(t, name)
				if kind == "link" { // to what is worth something
					check(t, errors.Join(os.Remove(name), os.Symlink(ours, name)))
				}
				if os.Geteuid() == 0 {
					check(t, os.Lchown(name, stranger, stranger))
				}
				makeFiles(t, ours+"/blobs/"+digest+"/p.test", ours+"/agents/"+digest+"/xdist", ours+"/.m.xdist-sync/lock", ours+"/data")
				check(t, os.MkdirAll(filepath.Join(ours, "ports"), 0o700))
				before := listing(t, ours) + listing(t, everybodys)
				donec := make(chan struct{})
				go func() {
					defer close(donec)
					use.use(t, name)
				}()
				select {
				case <-donec:
				case <-time.After(time.Minute):
					t.Fatal("it waits for what somebody has put there")
				}
				if after := listing(t, ours) + listing(t, everybodys); after != before {
					t.Errorf("there is\n%swas\n%s", after, before)
				}
			})
		}
	}
}

// sweep has a broom clean all that it finds, in the face of locks.
func sweep(t *testing.T, b broom) {
	defer b.close()
	found := b.survey(time.Now())
	if busy := b.busy(); len(found)+len(busy)+len(b.held) > 0 {
		t.Errorf("found %v, busy %q, and %d locks are held", found, busy, len(b.held))
	}
	b.tidy()
}

// listing is every name below a directory, with what it is. No link is followed.
func listing(t *testing.T, dir string) string {
	t.Helper()
	var list strings.Builder
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		list.WriteString(d.Type().String() + " " + name + "\n")
		return err
	})
	check(t, err)
	return list.String()
}

// The lock of a work directory is in a directory that is everybody's, and who can open it can hold
// it. Nobody else can.
func TestLockOfAWorkDirIsPrivate(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	dir := tempDir(t)
	w := new(WorkDir)
	wantBinary(t, w, storeBinaries(t, t.TempDir(), "p.test")[0])
	locks, err := filepath.Glob(filepath.Join(dir, "xdist-go-build*.lock"))
	if err != nil || len(locks) != 1 {
		t.Fatalf("locks %q, %v", locks, err)
	}
	for _, name := range []string{locks[0], w.root} {
		if info, err := os.Lstat(name); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v, %v", name, info.Mode(), err)
		}
	}
	check(t, w.Close())
}

// A FIFO in the place of a mirror's token is an error, and nobody waits for it.
func TestTokenThatIsAFIFO(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mirror")
	if _, err := tokenIn(dir); err != nil {
		t.Fatal(err)
	}
	strangers.FIFO(t, filepath.Join(dir, tokenFile))
	strangers.AtOnce(t, "a token", func() {
		if token, err := tokenIn(dir); err == nil || !strings.Contains(err.Error(), "it is a FIFO") {
			t.Errorf("token %q, %v", token, err)
		}
	})
}

// TestNamesThatAreExchanged has somebody exchange a directory for a link, after it was looked at
// and before something is removed there, as one can in a directory without the sticky bit. What the
// link leads to stays.
func TestNamesThatAreExchanged(t *testing.T) {
	const digest = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	const mirror, work = "xdist-0123456789abcdef0123", "go-build123456789012345678"
	everybodys, ours := t.TempDir(), t.TempDir()
	t.Setenv("TMPDIR", everybodys)
	t.Setenv("GOTMPDIR", "")
	in := func(dir string) []string {
		return []string{dir + "/blobs/" + digest + "/p.test", dir + "/agents/" + digest + "/xdist", dir + "/ports/1.lock", dir + "/use.lock",
			dir + "/" + mirror + "/m/file", dir + "/xdist-cover-1/data", dir + "/" + work + "/x", dir + "/xdist-" + work + ".lock"}
	}
	home := filepath.Join(everybodys, "home")
	makeFiles(t, in(home)...)
	makeFiles(t, in(ours)...)
	t.Setenv("TMPDIR", home)
	old := time.Now().Add(-2 * tempAge)
	for _, dir := range []string{home, ours} {
		check(t, os.Chtimes(dir+"/xdist-cover-1", old, old))
	}
	before := listing(t, ours)
	b := broom{place: home, homes: []string{home}}
	defer b.close()
	found := b.survey(time.Now())
	if len(found) != 5 {
		t.Fatalf("found %+v", found)
	}
	check(t, os.Rename(home, home+"-away"))
	check(t, os.Symlink(ours, home))
	for _, f := range found {
		if err := f.remove(); err != nil {
			t.Error(err)
		}
	}
	b.tidy()
	if after := listing(t, ours); after != before {
		t.Errorf("there was\n%s\nand is\n%s", before, after)
	}
	for _, name := range []string{"blobs", "agents/" + digest, mirror, work} {
		if _, err := os.Lstat(filepath.Join(home+"-away", name)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s was found, and is still there: %v", name, err)
		}
	}
}
