package integration

import (
	"errors"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xdist-go/xdist/integration/netns"
)

// copyOf copies a module of testdata to where the test may change it.
func copyOf(t *testing.T, name string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(fixture(t, name))); err != nil {
		t.Fatal(err)
	}
	return dir
}

// fill leaves no room on a disk of the host.
func fill(t *testing.T, h *netns.Host, dir string) {
	t.Helper()
	f, err := os.Create(h.Path(filepath.Join(dir, ".cache", "xdist", "filler")))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 4096)
	for {
		if _, err := f.Write(block); errors.Is(err, unix.ENOSPC) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// TestDiskFull has too little room for the tree, and then for a test binary wherever it could be.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	t.Run("tree", func(t *testing.T) {
		t.Parallel()
		f := newFar(t, netns.HostOptions{Disks: []netns.Disk{{Dir: "/var/tmp", Size: 1 << 20}}})
		dir := copyOf(t, "cable")
		noise := make([]byte, 4<<20)
		rand.New(rand.NewSource(1)).Read(noise)
		if err := os.WriteFile(filepath.Join(dir, "noise"), noise, 0o666); err != nil {
			t.Fatal(err)
		}
		f.checkSays(t, dir, "./...", "the disk is full: write noise")
	})
	t.Run("binary", func(t *testing.T) {
		t.Parallel()
		f := newFar(t, netns.HostOptions{Disks: []netns.Disk{{Dir: "/root", Size: 64 << 20}, {Dir: "/var/tmp", Size: 1 << 20}, {Dir: "/tmp", Size: 1 << 20}}})
		dir := fixture(t, "cable")
		if _, status := f.start(t, dir, 1, "-run=TestChild", "./one").wait(t); status != 0 {
			t.Fatalf("exit status %d", status)
		}
		fill(t, f.hosts[0], "/root")
		f.checkSays(t, dir, "./two", "no space left on device")
	})
}

// TestHomeFull has a home without room for an agent or a binary. Both go to /var/tmp.
func TestHomeFull(t *testing.T) {
	t.Parallel()
	f := newFar(t, netns.HostOptions{Disks: []netns.Disk{{Dir: "/root", Size: 2 << 20}}})
	dir := damagedModule(t)
	for range 2 { // the second run finds what the first one has left
		r := f.start(t, dir, 2, "./...")
		if m, status := r.wait(t); status != 0 || len(m.Problems) > 0 {
			t.Errorf("exit status %d, %v\n%s", status, m.Problems, r.said())
		}
		if got, _ := filepath.Glob(f.hosts[0].Path("/var/tmp/xdist-0/blobs/*/*.test")); len(got) != 2 {
			t.Errorf("binaries in /var/tmp: %q, want 2", got)
		}
	}
	f.checkClean(t)
}

// checkSays wants a run that fails for want of a host, and says why.
func (f *far) checkSays(t *testing.T, dir, packages, reason string) {
	t.Helper()
	r := f.start(t, dir, 1, "-run=TestChild", packages)
	if _, status := r.wait(t); status != 5 {
		t.Errorf("exit status %d, want 5", status)
	}
	if !strings.Contains(r.said(), reason) {
		t.Errorf("want %q in: %s", reason, r.said())
	}
	f.checkClean(t)
}

// TestHomeNoExec has a home from which no program can be started.
func TestHomeNoExec(t *testing.T) {
	t.Parallel()
	f := newFar(t, netns.HostOptions{Disks: []netns.Disk{{Dir: "/root", NoExec: true}}})
	r := f.start(t, fixture(t, "cable"), 2, "-run=TestChild", "./...")
	if m, status := r.wait(t); status != 0 || len(m.Problems) > 0 {
		t.Errorf("exit status %d, %v\n%s", status, m.Problems, r.said())
	}
	f.checkClean(t)
}

// TestHostBound has a host keep binaries within --cache-size, and agents of other versions for a
// while only.
func TestHostBound(t *testing.T) {
	t.Parallel()
	f := newFar(t, netns.HostOptions{})
	dir, home := damagedModule(t), f.hosts[0].Path("/root/.cache/xdist")
	count := func(kind string) int {
		t.Helper()
		names, err := filepath.Glob(filepath.Join(home, kind, strings.Repeat("[0-9a-f]", 64)))
		if err != nil {
			t.Fatal(err)
		}
		return len(names)
	}
	run := func(size string) {
		t.Helper()
		r := f.startWith(t, dir, t.TempDir(), 2, "--cache-size", size, "./...")
		if m, status := r.wait(t); status != 0 || len(m.Problems) > 0 {
			t.Errorf("exit status %d, %v\n%s", status, m.Problems, r.said())
		}
		f.checkClean(t)
	}
	run("1G")
	if n := count("blobs"); n != 2 {
		t.Fatalf("%d binaries within 1G, want 2", n)
	}
	old := time.Now().Add(-30 * 24 * time.Hour)
	for _, letter := range []string{"a", "b", "c"} {
		agent := filepath.Join(home, "agents", strings.Repeat(letter, 64))
		if err := os.Mkdir(agent, 0o700); err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(agent, "xdist"), "of another version")
		if err := os.Chtimes(agent, old, old); err != nil {
			t.Fatal(err)
		}
	}
	run("1G")
	if n := count("agents"); n != 3 {
		t.Errorf("%d agents, want the one that runs and two others", n)
	}
	run("1M")
	if agents, blobs := count("agents"), count("blobs"); agents != 1 || blobs != 0 {
		t.Errorf("%d agents and %d binaries within 1M, want only the agent that runs", agents, blobs)
	}
	run("1M") // and they come again
}

// placeTest fails when its executable is not where go test would have it.
const placeTest = `package place

import (
	"os"
	"path/filepath"
	"testing"
)

func TestPlace(t *testing.T) {
	exe, err := os.Executable()
	if ok, _ := filepath.Match(os.TempDir()+"/go-build[0-9]*/b001/place.test", exe); !ok || err != nil {
		t.Errorf("%s, %v", exe, err)
	}
}
`

// TestTempDisk has a directory for temporary files on a disk of its own, to which no links can be
// made. Where test binaries cannot be executed from there they are executed all the same.
func TestTempDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "go.mod"), "module example.com/place\n\ngo 1.26\n")
	writeFile(t, filepath.Join(dir, "place_test.go"), placeTest)
	for _, tt := range []struct {
		name   string
		disk   netns.Disk
		status int
		reason string // why binaries are not executed from there
	}{
		{"large", netns.Disk{Size: 256 << 20}, 0, ""},
		{"small", netns.Disk{Size: 32 << 20}, 1, "there is little space left"},
		{"noexec", netns.Disk{NoExec: true}, 1, "nothing may be executed there (noexec)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.disk.Dir = "/tmp"
			f := newFar(t, netns.HostOptions{Disks: []netns.Disk{tt.disk}})
			r := f.start(t, dir, 2, ".")
			if _, status := r.wait(t); status != tt.status {
				t.Errorf("exit status %d, want %d\n%s", status, tt.status, r.said())
			}
			want := min(len(tt.reason), 1)
			if n := strings.Count(r.said(), "as under go test: "+tt.reason); n != want {
				t.Errorf("the reason is told %d times, want %d\n%s", n, want, r.said())
			}
			f.checkClean(t)
		})
	}
}

// TestTwoControllers runs the same module from two controllers with caches of their own, on one
// host, at once.
func TestTwoControllers(t *testing.T) {
	t.Parallel()
	f := newFar(t, netns.HostOptions{})
	h := f.hosts[0]
	if err := os.Mkdir(h.Path(desk), 0o777); err != nil {
		t.Fatal(err)
	}
	dir := fixture(t, "cable")
	r1 := f.start(t, dir, 2, "./...")
	r2 := f.startWith(t, dir, t.TempDir(), 2, "./...")
	tell(t, h, "go")
	for _, r := range []*farRun{r1, r2} {
		m, status := r.wait(t)
		checkAllPass(t, r, m, status)
	}
	f.checkClean(t)
}
