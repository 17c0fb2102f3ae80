//go:build unix

package programs

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/xdist-go/xdist/internal/strangers"
)

// stranger is the id of a user that the tests are not.
const stranger = 12345

// Somebody else puts things where programs would be kept. Nothing is made, used or removed there,
// and the next place is taken.
func TestStrangers(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	for _, tc := range []struct {
		name string
		make func(t *testing.T, place string)
	}{
		{"link", func(t *testing.T, place string) {
			target := t.TempDir()
			check(t, os.Symlink(target, place))
		}},
		{"file", func(t *testing.T, place string) { check(t, os.WriteFile(place, nil, 0o600)) }},
		{"fifo", func(t *testing.T, place string) { check(t, syscall.Mkfifo(place, 0o600)) }},
		{"open to the group", func(t *testing.T, place string) { check(t, os.Mkdir(place, 0o700)); check(t, os.Chmod(place, 0o770)) }},
		{"open to all", func(t *testing.T, place string) { check(t, os.Mkdir(place, 0o700)); check(t, os.Chmod(place, 0o777)) }},
		{"theirs", func(t *testing.T, place string) {
			if os.Geteuid() != 0 {
				t.Skip("skipped: only root can give a directory away")
			}
			check(t, os.Mkdir(place, 0o700))
			check(t, os.Chown(place, stranger, stranger))
		}},
		{"link inside", func(t *testing.T, place string) {
			check(t, os.Mkdir(place, 0o700))
			check(t, os.Symlink(t.TempDir(), filepath.Join(place, "agents")))
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			bad, good := filepath.Join(dir, "bad"), filepath.Join(dir, "good")
			tc.make(t, bad)
			s := &Store{places: []string{bad, good}, limit: 1000}
			if _, path := put(t, s, "hello"); !strings.HasPrefix(path, good) {
				t.Errorf("put at %s", path)
			}
			s.Sweep()
			s.limit = 1
			s.prune()
			filepath.WalkDir(bad, func(path string, d os.DirEntry, err error) error {
				if err == nil && !strings.HasSuffix(path, "agents") && path != bad {
					t.Errorf("%s was made", path)
				}
				return nil
			})
			only := &Store{places: []string{bad}, limit: 1000}
			p, receive := program("hello")
			if _, _, err := only.Put(p, receive); err == nil || !strings.Contains(err.Error(), bad) {
				t.Errorf("without another place: %v", err)
			}
		})
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A FIFO in the place of a program is waited for by nobody.
func TestProgramThatIsAFIFO(t *testing.T) {
	name := filepath.Join(t.TempDir(), "xdist")
	strangers.FIFO(t, name)
	strangers.AtOnce(t, "a program", func() {
		if digest, err := digestOf(name); err == nil {
			t.Errorf("a FIFO has the digest %s", digest)
		}
	})
}
