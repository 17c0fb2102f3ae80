//go:build unix

package integration

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/xdist-go/xdist/integration/sshd"
)

// writeModule writes a module with one package, of which the test passes when testdata/wanted says
// so.
func writeModule(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"go.mod":          "module example.com/mirrored\n\ngo 1.24\n",
		"testdata/wanted": "pass",
		"a_test.go": `package mirrored

import (
	"os"
	"testing"
)

func TestWanted(t *testing.T) {
	if b, err := os.ReadFile("testdata/wanted"); err != nil || string(b) != "pass" {
		t.Fatalf("%q, %v", b, err)
	}
}
`,
	} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestSourceUnreadable shows that a tree that cannot be sent whole ends the run: the mirror has
// what an earlier run has sent, with which the tests pass.
func TestSourceUnreadable(t *testing.T) {
	dir, host := writeModule(t), sshd.Start(t, sshd.Options{})
	args := []string{"--tx", "2*" + host.Spec(), "--mirror-dir", t.TempDir(), "./..."}
	if _, e := runXdist(t, dir, nil, args...); e.status != 0 {
		t.Fatalf("status %d\n%s%s", e.status, e.stdout, e.stderr)
	}
	if err := os.WriteFile(filepath.Join(dir, "testdata", "wanted"), []byte("fail"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "testdata", "fifo"), 0o600); err != nil {
		t.Skipf("skipped: no fifos here: %v", err)
	}
	if _, e := runXdist(t, dir, nil, args...); e.status != 5 || !strings.Contains(e.stderr, "testdata/fifo") {
		t.Errorf("status %d, want 5 and a word about testdata/fifo\n%s%s", e.status, e.stdout, e.stderr)
	}
}

// TestPull shows that what is asked for comes back, however soon the gateways could end. The
// package's one process is a matter of milliseconds, and one of the gateways never has work.
func TestPull(t *testing.T) {
	dir, host := writeModule(t), sshd.Start(t, sshd.Options{})
	mirrors := t.TempDir()
	for range 3 {
		_, e := runXdist(t, dir, nil, "--tx", "2*"+host.Spec(), "--mirror-dir", mirrors, "--pull", "cpu.out", "-cpuprofile", "cpu.out", ".")
		if e.status != 0 {
			t.Fatalf("status %d\n%s%s", e.status, e.stdout, e.stderr)
		}
		for _, name := range []string{"cpu.out", "mirrored.test"} { // go test leaves the binary beside the profile
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestMirrorsTaken has another user put something under the name of a mirror. The same run goes on
// under the next name, says so, and leaves alone what is there. The next run begins with that name.
func TestMirrorsTaken(t *testing.T) {
	const stranger = 12345
	dir, host, elsewhere := writeModule(t), sshd.Start(t, sshd.Options{}), t.TempDir()
	for what, plant := range map[string]func(name string) error{
		"directory": func(name string) error { return os.Mkdir(name, 0o777) },
		"link":      func(name string) error { return os.Symlink(elsewhere, name) },
		"broken":    func(name string) error { return os.Symlink(filepath.Join(elsewhere, "made"), name) },
		"fifo":      func(name string) error { return syscall.Mkfifo(name, 0o666) },
		"file":      func(name string) error { return os.WriteFile(name, nil, 0o666) },
	} {
		t.Run(what, func(t *testing.T) {
			if what == "directory" && os.Getuid() != 0 {
				t.Skip("skipped: only root can give a directory to another user")
			}
			mirrors := t.TempDir()
			run := func(warned bool) {
				t.Helper()
				_, e := runXdist(t, dir, nil, "--tx", "2*"+host.Spec(), "--mirror-dir", mirrors, "-count=1", "./...")
				if e.status != 0 {
					t.Fatalf("status %d\n%s%s", e.status, e.stdout, e.stderr)
				}
				if got := strings.Contains(e.stderr, "belongs to another user"); got != warned {
					t.Errorf("warned: %v, want %v\n%s", got, warned, e.stderr)
				}
			}
			run(false)
			names, err := filepath.Glob(filepath.Join(mirrors, "xdist-*"))
			if err != nil || len(names) != 1 {
				t.Fatalf("mirrors %q, %v", names, err)
			}
			if err := errors.Join(os.RemoveAll(names[0]), plant(names[0])); err != nil {
				t.Fatal(err)
			}
			if os.Getuid() == 0 {
				if err := os.Lchown(names[0], stranger, stranger); err != nil {
					t.Fatal(err)
				}
			}
			run(true)
			run(false)
			if all, err := os.ReadDir(mirrors); err != nil || len(all) != 2 {
				t.Errorf("mirrors %v, %v, want the taken name and the next one", all, err)
			}
			for _, place := range []string{names[0], elsewhere} {
				if left, err := os.ReadDir(place); err == nil && len(left) > 0 {
					t.Errorf("made in %s: %v", place, left)
				}
			}
		})
	}
}
