package hosts

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/xdist-go/xdist/internal/lockfile"
)

// tempDir makes the directory for temporary files of this test's work directories.
func tempDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("GOTMPDIR", dir)
	t.Setenv("TMPDIR", dir)
	return dir
}

// storeBinaries puts files with these names and other contents into a store below dir.
func storeBinaries(t *testing.T, dir string, names ...string) (paths []string) {
	t.Helper()
	for _, name := range names {
		path := filepath.Join(dir, "of-"+name, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("content of "+name), 0o700); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}

func wantBinary(t *testing.T, w *WorkDir, stored string) string {
	t.Helper()
	path, err := w.Binary(stored)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if want := "content of " + filepath.Base(stored); string(got) != want {
		t.Errorf("%s has %q, want %q", path, got, want)
	}
	return path
}

func wantNames(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if g, w := strings.Join(got, " "), strings.Join(want, " "); g != w {
		t.Errorf("%s has %q, want %q", dir, g, w)
	}
}

// otherFileSystem returns a directory to which no hard links can be made from dir.
func otherFileSystem(t *testing.T, dir string) string {
	t.Helper()
	other, err := os.MkdirTemp("/dev/shm", "xdist-test-")
	if err != nil {
		t.Skipf("skipped: no other file system is known here: %v", err)
	}
	t.Cleanup(func() { os.RemoveAll(other) })
	name := filepath.Join(other, "probe")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if os.Link(name, filepath.Join(dir, "probe")) == nil {
		t.Skip("skipped: /dev/shm is the same file system")
	}
	return other
}

func TestWorkDir(t *testing.T) {
	for _, place := range []struct {
		name  string
		store func(t *testing.T, temp string) string
	}{
		{"links", func(t *testing.T, _ string) string { return t.TempDir() }},
		{"copies", otherFileSystem},
	} {
		t.Run(place.name, func(t *testing.T) {
			temp := tempDir(t)
			stored := storeBinaries(t, place.store(t, temp), "a.test", "b.test")
			var w, other WorkDir
			defer other.Close()
			a, b := wantBinary(t, &w, stored[0]), wantBinary(t, &w, stored[1])
			for path, want := range map[string]string{a: "go-build*/b001/a.test", b: "go-build*/b002/b.test"} {
				if ok, err := filepath.Match(filepath.Join(temp, want), path); !ok || err != nil {
					t.Errorf("got %s, want %s below %s", path, want, temp)
				}
			}
			if path := wantBinary(t, &other, stored[0]); filepath.Dir(filepath.Dir(path)) == w.root {
				t.Errorf("two workers have %s", path)
			}

			// The next process has its binary whatever a test did to it, and the store nothing new.
			makeFiles(t, filepath.Join(filepath.Dir(a), "left"))
			if err := os.Remove(a); err != nil {
				t.Fatal(err)
			}
			if again := wantBinary(t, &w, stored[0]); again != a {
				t.Errorf("a binary that was removed is at %s, and was at %s", again, a)
			}
			if err := os.WriteFile(b+".new", []byte("another one"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(b+".new", b); err != nil {
				t.Fatal(err)
			}
			wantBinary(t, &w, stored[1])
			wantNames(t, filepath.Dir(stored[0]), "a.test")
			if err := os.Chmod(filepath.Dir(a), 0o500); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Error(err)
			}
			for _, name := range []string{w.root, workLockOf(w.root)} {
				if _, err := os.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("after the end there is %s: %v", name, err)
				}
			}
			wantBinary(t, &other, stored[0])
		})
	}
}

func TestWorkDirKeepsFewCopies(t *testing.T) {
	temp := tempDir(t)
	stored := storeBinaries(t, otherFileSystem(t, temp), "a.test", "b.test", "c.test")
	for _, name := range stored {
		if err := os.Truncate(name, keptCopies*2/3); err != nil {
			t.Fatal(err)
		}
	}
	var w WorkDir
	defer w.Close()
	for range 2 {
		for _, name := range stored {
			path, err := w.Binary(name)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(path); err != nil {
				t.Error(err)
			}
		}
	}
	root, err := os.OpenRoot(w.root)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if size := sizeOf(root, "."); size > keptCopies*2/3*2 || size != w.copied {
		t.Errorf("copies take %d bytes, and %d are known", size, w.copied)
	}
}

func TestWorkDirCannotBe(t *testing.T) {
	temp := tempDir(t)
	stored := storeBinaries(t, t.TempDir(), "a.test")
	none := filepath.Join(temp, "none")
	t.Setenv("GOTMPDIR", none)
	var second WorkDir
	defer second.Close()
	if path := wantBinary(t, &second, stored[0]); !strings.HasPrefix(path, filepath.Join(temp, "go-build")) {
		t.Errorf("got %s, want one below %s", path, temp)
	}
	if runtime.GOOS == "windows" {
		return // TMPDIR has no meaning there
	}
	t.Setenv("TMPDIR", none)
	var w WorkDir
	defer w.Close()
	for range 2 {
		path, err := w.Binary(stored[0])
		if path != stored[0] || err == nil || !strings.Contains(err.Error(), none+" as under go test: ") {
			t.Errorf("got %s, %v", path, err)
		}
	}
}

// TestSweepWorkDirs shows that what a killed worker has left goes, and nothing that lives or is of
// others.
func TestSweepWorkDirs(t *testing.T) {
	temp := tempDir(t)
	stored := storeBinaries(t, t.TempDir(), "a.test")
	var live, dead WorkDir
	defer live.Close()
	wantBinary(t, &live, stored[0])
	makeFiles(t, filepath.Join(filepath.Dir(wantBinary(t, &dead, stored[0])), "left"))
	dead.lock.Close() // as the end of its process does

	// The directories of others, and what a worker leaves that was killed as it began or ended.
	name := func(digits int) string { return filepath.Join(temp, "go-build"+strings.Repeat("1", digits)) }
	kept := []string{name(10), name(workDigits), workLockOf(name(10))}
	makeFiles(t, filepath.Join(name(10), "b001", "p.test"), workLockOf(name(10)), filepath.Join(name(workDigits), "b001", "p.test"))
	early := workLockOf(filepath.Join(temp, "go-build"+strings.Repeat("2", workDigits)))
	if runtime.GOOS != "windows" {
		link := workLockOf(name(workDigits))
		if err := os.Symlink(kept[2], link); err != nil {
			t.Fatal(err)
		}
		kept = append(kept, link)
	}

	b := broom{}
	defer b.unlock()
	found := b.survey(time.Now())
	if len(found) != 1 || found[0].Path != dead.root || found[0].Kind != kindWork || found[0].Bytes == 0 {
		t.Errorf("clean finds %+v, want %s", found, dead.root)
	}
	SweepWorkDirs(t.Context())
	if _, err := os.Lstat(dead.root); err != nil {
		t.Errorf("a sweep removes what another one has: %v", err)
	}
	b.unlock()
	makeFiles(t, early)
	SweepWorkDirs(t.Context())
	for _, dir := range []string{dead.root, workLockOf(dead.root), early} {
		if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s stays: %v", dir, err)
		}
	}
	for _, dir := range append(kept, live.root) {
		if _, err := os.Lstat(dir); err != nil {
			t.Error(err)
		}
	}
	if err := lockfile.Try(lockfile.New(workLockOf(live.root))); !errors.Is(err, lockfile.ErrLocked) {
		t.Errorf("the lock of a live worker: %v", err)
	}
}
