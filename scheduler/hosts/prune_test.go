package hosts

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gofrs/flock"
	"github.com/google/go-cmp/cmp"
)

// keep makes a binary or an agent that was used some time ago.
func keep(t *testing.T, home, kind, letter string, size int, ago time.Duration) {
	t.Helper()
	dir := filepath.Join(home, kind, strings.Repeat(letter, 64))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"xdist", "other.name"} { // names of one file
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, size), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	when := time.Now().Add(-ago)
	if err := os.Chtimes(dir, when, when); err != nil {
		t.Fatal(err)
	}
}

// built makes a binary that the host has built some time ago, in the store of builds.
func built(t *testing.T, home, letter string, size int, ago time.Duration) {
	t.Helper()
	digest := strings.Repeat(letter, 64)
	name := filepath.Join(home, BuildsDir, "_bin", digest[:2], fmt.Sprintf("%s-%d", digest, size))
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, make([]byte, size), 0o700); err != nil {
		t.Fatal(err)
	}
	when := time.Now().Add(-ago)
	if err := os.Chtimes(name, when, when); err != nil {
		t.Fatal(err)
	}
}

// TestPruneBuilds counts what a host has built among what it keeps: a binary that is also among
// those that tests run from has both names, and counts once.
func TestPruneBuilds(t *testing.T) {
	for _, tt := range []struct {
		max  int64
		want []string // letters of what is left
	}{
		{-1, []string{"blob a", "blob b", "build a", "build c", "build d"}},
		{400, []string{"blob a", "blob b", "build a", "build c", "build d"}},
		{300, []string{"blob a", "blob b", "build a", "build c"}},
		{200, []string{"blob a", "build a", "build c"}},
		{100, []string{"blob a", "build a"}},
		{0, nil},
	} {
		home := t.TempDir()
		keep(t, home, "blobs", "a", 100, 5*time.Hour)
		built(t, home, "a", 100, time.Hour) // its use counts
		built(t, home, "c", 100, 2*time.Hour)
		keep(t, home, "blobs", "b", 100, 3*time.Hour)
		built(t, home, "d", 100, 4*time.Hour)
		pruneHost([]string{home}, "/none/xdist", tt.max, time.Now())
		var got []string
		for kind, pattern := range map[string]string{"blob": "blobs/*", "build": BuildsDir + "/_bin/*/*"} {
			names, err := filepath.Glob(filepath.Join(home, filepath.FromSlash(pattern)))
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range names {
				got = append(got, kind+" "+filepath.Base(name)[:1])
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, tt.want) {
			t.Errorf("%d bytes: left are %q, want %q", tt.max, got, tt.want)
		}
	}
}

// left are the kinds and letters of what is in a home.
func left(t *testing.T, home string) []string {
	t.Helper()
	names, err := filepath.Glob(home + "/*/*")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, name := range names {
		all = append(all, filepath.Base(filepath.Dir(name))+" "+filepath.Base(name)[:1])
	}
	return all
}

// TestPruneHost removes what was used least recently, and neither the agent that runs, nor one that
// a server has started, nor anything while a worker is there.
func TestPruneHost(t *testing.T) {
	for _, tt := range []struct {
		name string
		max  int64
		gone []string
	}{
		{"no bound", -1, []string{"agents d"}},
		{"enough", 1000, []string{"agents d"}},
		{"two hundred bytes", 250, []string{"agents c", "agents d", "blobs b"}}, // the rest takes 200 and the agent that runs
		{"nothing", 0, []string{"agents b", "agents c", "agents d", "blobs a", "blobs b", "blobs c"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			home := t.TempDir()
			keep(t, home, "blobs", "a", 100, time.Hour)
			keep(t, home, "blobs", "b", 100, 4*time.Hour)
			keep(t, home, "blobs", "c", 50, 2*time.Hour)
			keep(t, home, "agents", "a", 50, 100*agentAge) // runs
			keep(t, home, "agents", "b", 50, 3*time.Hour)
			keep(t, home, "agents", "c", 50, 2*agentAge)
			keep(t, home, "agents", "d", 50, 3*agentAge)
			keep(t, home, "agents", "e", 50, 3*agentAge)
			keep(t, home, "blobs", "tmp", 1, 0)
			served := flock.New(filepath.Join(home, "agents", strings.Repeat("e", 64), ".use.lock"))
			if ok, err := served.TryRLock(); !ok || err != nil {
				t.Skipf("skipped: no locks here: %v", err)
			}
			defer served.Close()
			age := time.Now().Add(-3 * agentAge) // as keep has it
			if err := os.Chtimes(filepath.Dir(served.Path()), age, age); err != nil {
				t.Fatal(err)
			}
			before := left(t, home)
			self := filepath.Join(home, "agents", strings.Repeat("a", 64), "xdist")

			lock := flock.New(filepath.Join(home, useLock))
			if ok, err := lock.TryRLock(); !ok || err != nil {
				t.Skipf("skipped: no locks here: %v", err)
			}
			pruneHost([]string{home, home + "/none"}, self, tt.max, time.Now())
			if diff := cmp.Diff(before, left(t, home)); diff != "" {
				t.Errorf("removed while a worker is there (-want +got):\n%s", diff)
			}
			lock.Close()
			pruneHost([]string{home, home + "/none"}, self, tt.max, time.Now())
			want := slices.DeleteFunc(slices.Clone(before), func(name string) bool { return slices.Contains(tt.gone, name) })
			if diff := cmp.Diff(want, left(t, home)); diff != "" {
				t.Errorf("left (-want +got):\n%s", diff)
			}
		})
	}
}
