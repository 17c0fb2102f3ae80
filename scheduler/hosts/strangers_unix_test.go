//go:build unix

package hosts

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/xdist-go/xdist/internal/lockfile"
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
			defer b.unlock()
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

// A mirror's directory that is another user's is known from other trouble: the controller goes to
// another name.
func TestMirrorOfAStranger(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("skipped: only root can give a directory to another user")
	}
	dir := filepath.Join(t.TempDir(), "xdist-0123456789abcdef-0")
	check(t, os.Mkdir(dir, 0o700))
	check(t, os.Chown(dir, stranger, stranger))
	link, fifo := dir+"1", dir+"2"
	check(t, os.Symlink(t.TempDir(), link))
	check(t, syscall.Mkfifo(fifo, 0o666))
	for _, taken := range []string{dir, link, fifo} {
		if _, err := tokenIn(taken); !errors.Is(err, errTaken) {
			t.Errorf("%s: %v, want %v", taken, err, errTaken)
		}
	}
}
