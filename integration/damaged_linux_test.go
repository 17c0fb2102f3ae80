package integration

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xdist-go/xdist/integration/netns"
)

// damagedModule has two packages, so that the binary of one is whole.
func damagedModule(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "go.mod"), "module example.com/damaged\n\ngo 1.26\n")
	for _, p := range []string{"a", "b"} {
		text := "package " + p + "\n\nimport \"testing\"\n\nfunc TestOne(t *testing.T) {}\n\nfunc TestTwo(t *testing.T) {}\n"
		if err := os.Mkdir(filepath.Join(dir, p), 0o777); err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(dir, p, p+"_test.go"), text)
	}
	return dir
}

// zeros is what a loss of power leaves of a file whose size was written and whose content was not.
func zeros(binary []byte) []byte { return make([]byte, len(binary)) }

// hollow leaves the headers, so that the process starts and dies.
func hollow(binary []byte) []byte {
	return append(bytes.Clone(binary[:4096]), make([]byte, len(binary)-4096)...)
}

// damage changes the binaries that a pattern matches, in place, and keeps their times: nothing but
// their content tells. It returns how many there were.
func damage(t *testing.T, pattern string, change func([]byte) []byte) int {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		binary, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, change(binary), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name, info.ModTime(), info.ModTime()); err != nil {
			t.Fatal(err)
		}
	}
	return len(names)
}

var damages = []struct {
	name   string
	change func([]byte) []byte
}{{"zeros", zeros}, {"hollow", hollow}}

// TestDamagedStore has every binary of a store damaged. The next run builds them again, and the one
// after that has nothing to say.
func TestDamagedStore(t *testing.T) {
	t.Parallel()
	for _, tt := range damages {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir, cache := damagedModule(t), t.TempDir()
			run := func(told int) {
				t.Helper()
				m, e := runXdist(t, dir, []string{"XDIST_CACHE=" + cache}, "-n", "2", "./...")
				if e.status != 0 || len(m.Problems) > 0 {
					t.Errorf("exit status %d, %v\n%s%s", e.status, m.Problems, e.stdout, e.stderr)
				}
				if n := strings.Count(e.stdout+e.stderr, "was damaged in the store"); n != told {
					t.Errorf("told %d times, want %d\n%s%s", n, told, e.stdout, e.stderr)
				}
				if strings.Contains(e.stdout+e.stderr, "exec format error") || strings.Contains(e.stdout+e.stderr, "signal: ") {
					t.Errorf("the end of a damaged binary's process is told\n%s%s", e.stdout, e.stderr)
				}
			}
			run(0)
			run(0) // the go command may not trust what it knows of files that are this new
			if n := damage(t, filepath.Join(cache, "_bin", "*", "*"), tt.change); n != 2 {
				t.Fatalf("%d binaries, want 2", n)
			}
			run(2)
			run(0)
		})
	}
}

// TestDamagedHost has every binary of a host damaged, and then those of the controller too.
func TestDamagedHost(t *testing.T) {
	t.Parallel()
	for _, tt := range damages {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFar(t, netns.HostOptions{})
			dir, cache := damagedModule(t), t.TempDir()
			run := func(onHost, inStore int) {
				t.Helper()
				r := f.startWith(t, dir, cache, 2, "./...")
				if m, status := r.wait(t); status != 0 || len(m.Problems) > 0 {
					t.Errorf("exit status %d, %v\n%s", status, m.Problems, r.said())
				}
				if n := strings.Count(r.said(), "is damaged there; sending it again"); n != onHost {
					t.Errorf("damage on the host is told %d times, want %d\n%s", n, onHost, r.said())
				}
				if n := strings.Count(r.said(), "damaged in the store"); n != inStore {
					t.Errorf("damage in the store is told %d times, want %d\n%s", n, inStore, r.said())
				}
			}
			blobs := f.hosts[0].Path("/root/.cache/xdist/blobs/*/*.test")
			run(0, 0)
			if n := damage(t, blobs, tt.change); n != 2 {
				t.Fatalf("%d binaries on the host, want 2", n)
			}
			run(2, 0)
			damage(t, blobs, tt.change)
			damage(t, filepath.Join(cache, "_bin", "*", "*"), tt.change)
			run(0, 2)
			run(0, 0)
			if err := os.RemoveAll(filepath.Dir(filepath.Dir(filepath.Dir(blobs)))); err != nil {
				t.Fatal(err)
			}
			damage(t, filepath.Join(cache, "_bin", "*", "*"), tt.change)
			run(0, 2)
			f.checkClean(t)
		})
	}
}

// TestNoInodes has two runs at once keep their store on a disk on which no file can be made, or
// only a few, or enough for one of them.
func TestNoInodes(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("skipped: mounting needs root")
	}
	dir := damagedModule(t)
	for _, tt := range []struct {
		inodes string
		most   int // of the runs do without the store
		least  int
	}{{"1", 2, 2}, {"3", 2, 2}, {"8", 2, 2}, {"40", 2, 2}, {"4140", 2, 0}} {
		t.Run(tt.inodes, func(t *testing.T) {
			t.Parallel()
			cache := t.TempDir()
			script := `mount -t tmpfs -o mode=0700,size=1g,nr_inodes=` + tt.inodes + ` none "$1" && shift && { "$@" & "$@"; s=$?; wait $! && exit $s; }`
			env := []string{"XDIST_CACHE=" + cache, "XDIST_NO_HISTORY=1"}
			e := command(t, dir, env, "unshare", "-m", "sh", "-c", script, "sh", cache, xdist(t), "-n", "2", "./...")
			n := strings.Count(e.stdout+e.stderr, "test binaries are not kept for the next run")
			if e.status != 0 || n < tt.least || n > tt.most {
				t.Errorf("exit status %d, %d runs without the store\n%s%s", e.status, n, e.stdout, e.stderr)
			}
		})
	}
}
