package hosts

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gofrs/flock"
	"github.com/google/go-cmp/cmp"
)

func makeFiles(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte("content"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestBroomSeesItsOwnOnly(t *testing.T) {
	place, home := t.TempDir(), t.TempDir()
	t.Setenv("TMPDIR", place)
	digest := func(c string) string { return strings.Repeat(c, 64) }
	makeFiles(t,
		place+"/xdist-0123456789abcdef-0/m/file", place+"/xdist-0123456789abcdef-0/.m.xdist-sync/lock", // a mirror of an earlier version
		place+"/xdist-0123456789abcdef0123/m/file", place+"/xdist-0123456789abcdef0123/.m.xdist-sync/lock", // a mirror
		place+"/xdist-0123456789abcdef/file", place+"/xdist-0123456789abcdef-x/file", place+"/xdist-me/file", // no mirrors
		place+"/xdist-0123456789abcdee-0", // a file
		place+"/xdist-cover-1/data", place+"/xdist-cover-2/data", place+"/xdist-store-1/_bin/x", place+"/xdist-store-2/_bin/x", place+"/xdist-1/_bin/x",
		place+"/xdist-try-1/x", place+"/xdist-try-2/x",
		home+"/blobs/x", home+"/builds/_bin/x", home+"/_bin/x", home+"/agents/"+digest("a")+"/xdist", home+"/agents/"+digest("b")+"/xdist",
		home+"/agents/xdist-linux-arm64-123", home+"/use.lock")
	if err := os.Symlink(home, filepath.Join(place, "xdist-0123456789abcdef-1")); err != nil {
		t.Skipf("skipped: no links: %v", err)
	}
	old := time.Now().Add(-2 * tempAge)
	for _, name := range []string{"xdist-cover-1", "xdist-store-1", "xdist-try-1"} {
		if err := os.Chtimes(filepath.Join(place, name), old, old); err != nil {
			t.Fatal(err)
		}
	}
	b := broom{self: home + "/agents/" + digest("a") + "/xdist", place: place, homes: []string{home, place + "/none"}}
	defer b.close()
	var got []string
	for _, l := range b.survey(time.Now()) {
		got = append(got, l.Kind+" "+filepath.Base(l.Path))
		if l.Bytes%int64(len("content")) != 0 || l.Bytes == 0 {
			t.Errorf("%s has %d bytes", l.Path, l.Bytes)
		}
	}
	want := []string{"mirror xdist-0123456789abcdef-0", "mirror xdist-0123456789abcdef0123", "cover data xdist-cover-1", "store of a run xdist-store-1", "trial xdist-try-1", "test binaries blobs", "test binaries builds", "agent " + digest("b"), "agent " + digest("a")}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("found (-want +got):\n%s", diff)
	}
}

func TestBroomMindsLocks(t *testing.T) {
	place, home := t.TempDir(), t.TempDir()
	mirror := place + "/xdist-0123456789abcdef-0/.m.xdist-sync/lock"
	makeFiles(t, mirror, home+"/use.lock")
	for _, tc := range []struct {
		name string
		hold func() (func() error, error)
		want []string
	}{
		{"nobody", func() (func() error, error) { return func() error { return nil }, nil }, nil},
		{"a sync", func() (func() error, error) { l := flock.New(mirror); return l.Close, l.Lock() }, []string{mirror}},
		{"a worker", func() (func() error, error) { l := flock.New(home + "/use.lock"); return l.Close, l.RLock() }, []string{home + "/use.lock"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			release, err := tc.hold()
			if err != nil {
				t.Fatal(err)
			}
			b := broom{place: place, homes: []string{home}}
			if got := b.busy(); !slices.Equal(got, tc.want) {
				t.Errorf("busy: %q, want %q", got, tc.want)
			}
			b.unlock()
			if err := release(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestRemoveTreeOfClosedDirectories(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Log("nothing is closed to root: this shows less than as another user")
	}
	dir := filepath.Join(t.TempDir(), "tree")
	makeFiles(t, dir+"/a/b/file", dir+"/c/file")
	for _, d := range []string{dir + "/a/b", dir + "/a", dir + "/c", dir} {
		if err := os.Chmod(d, 0o500); err != nil {
			t.Fatal(err)
		}
	}
	if err := removeTree(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(dir); err == nil {
		t.Error("it is still there")
	}
}
