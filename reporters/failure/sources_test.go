package failure

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/xdist-go/xdist/scheduler/event"
)

// sourceTree makes a module with one test file and returns its directory, and the event that tells
// of its packages.
func sourceTree(t *testing.T) (string, event.Collected) {
	t.Helper()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "p", "q"), 0o700); err != nil {
		t.Fatal(err)
	}
	text := "package q\n\nfunc TestX(t *testing.T) {\n\tt.Log(\"on the way\")\n\tt.Error(\"there\")\n}\n"
	if err := os.WriteFile(filepath.Join(dir, "p", "q", "q_test.go"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir, event.Collected{Platform: "linux/amd64", Dirs: map[string]string{"m/p/q": filepath.Join(dir, "p", "q"), "m": dir}}
}

// Files that the output of tests names are found by their base name, below a mirror, by an import
// path, and from the working directory; nothing is found where nothing is.
func TestSourcesFind(t *testing.T) {
	dir, collected := sourceTree(t)
	var s Sources
	s.Learn(event.RunStarted{Workdir: dir})
	s.Learn(collected)
	there := filepath.Join(dir, "p", "q", "q_test.go")
	for _, tt := range []struct{ pkg, file, want string }{
		{"m/p/q", "q_test.go", there},
		{"m/p/q [gw1 linux/arm64]", "q_test.go", there},
		{"m/p/q", there, there},
		{"m/p/q", "/var/tmp/xdist-0a1b-1/m/p/q/q_test.go", there},
		{"m/p/q", `C:\Users\u\xdist\m\p\q\q_test.go`, there},
		{"m/p/q", "m/p/q/q_test.go", there},
		{"m", "p/q/q_test.go", there},
		{"m/p/q", "./p/q/q_test.go", there},
		{"m/p/q", "/usr/lib/go/src/testing/testing.go", ""},
		{"m/p/q", "/../../q/q_test.go/..", ""},
		{"m/p/q", "none_test.go", ""},
		{"m/other", "q_test.go", ""},
		{"m/p/q", "", ""},
	} {
		if got := s.Find(tt.pkg, tt.file); got != tt.want {
			t.Errorf("%s in %s is %q, want %q", tt.file, tt.pkg, got, tt.want)
		}
	}
	// A link is followed only to what is there anyway: a report must not show any file of this
	// machine.
	secret := filepath.Join(t.TempDir(), "key.go")
	if err := os.WriteFile(secret, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"link.go": secret, "inside.go": there} {
		if err := os.Symlink(target, filepath.Join(dir, "p", "q", name)); err != nil {
			t.Skipf("there are no symbolic links: %v", err)
		}
	}
	for _, file := range []string{"link.go", secret, "../../../" + filepath.Base(filepath.Dir(secret)) + "/key.go"} {
		if got := s.Find("m/p/q", file); got != "" {
			t.Errorf("%s is shown as %s", file, got)
		}
	}
	if got := s.Find("m/p/q", "inside.go"); got == "" {
		t.Error("a link to a source is not followed")
	}
	if got := s.Place("m/p/q", Place{File: "/var/tmp/xdist-0a1b-1/m/p/q/q_test.go", Line: 5}); got != filepath.Join("p", "q", "q_test.go")+":5" {
		t.Errorf("the place is %q", got)
	}
	for pkg, want := range map[string]string{"m": "m", "m/p/q": "p/q", "m/p/q [gw1]": "p/q [gw1]", "elsewhere/x": "elsewhere/x"} {
		if got := s.Name(pkg); got != want {
			t.Errorf("%s is called %q, want %q", pkg, got, want)
		}
	}
}
