package hosts

import (
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"github.com/xdist-go/xdist/rsync"
	"github.com/xdist-go/xdist/xspec"
)

func TestPathsOnAnotherHost(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("skipped: the controller's paths are those of Unix")
	}
	m := &Mirror{Source: rsync.Source{Root: "/home/me/mod"}}
	unix, windows := &Host{mirror: "/var/tmp/x/mod"}, &Host{mirror: `C:\x\mod`}
	for _, tc := range []struct{ path, unix, windows string }{
		{"/home/me/mod", "/var/tmp/x/mod", `C:\x\mod`},
		{"/home/me/mod/a/b", "/var/tmp/x/mod/a/b", `C:\x\mod\a\b`},
		{"/home/me/mod2/a", "/home/me/mod2/a", "/home/me/mod2/a"},
		{"/home/me/mod/..a", "/var/tmp/x/mod/..a", `C:\x\mod\..a`},
		{"/home/me", "/home/me", "/home/me"},
	} {
		if got := unix.Translate(m, "linux", tc.path); got != tc.unix {
			t.Errorf("%s is %s on linux, want %s", tc.path, got, tc.unix)
		}
		if got := windows.Translate(m, "windows", tc.path); got != tc.windows {
			t.Errorf("%s is %s on windows, want %s", tc.path, got, tc.windows)
		}
	}
	for text, want := range map[string]string{
		"/var/tmp/x/mod/a.go:1: no /var/tmp/x/mod2": "/home/me/mod/a.go:1: no /var/tmp/x/mod2",
		"two packages in /var/tmp/x/mod\n":          "two packages in /home/me/mod\n",
		"# example.com/m":                           "# example.com/m",
	} {
		if got := unix.Homeward(m.Source.Root, text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
	for arg, want := range map[string]string{
		"-test.outputdir=/home/me/mod/a": "-test.outputdir=/var/tmp/x/mod/a",
		"-test.run=/home/me/mod":         "-test.run=/var/tmp/x/mod", // a path by its looks, and of no use as a pattern
		"-test.v=test2json":              "-test.v=test2json",
		"-data=/home/me/mod/a":           "-data=/home/me/mod/a", // the user's
		"/home/me/mod":                   "/home/me/mod",
	} {
		if got := unix.translateArg(m, "linux", arg); got != want {
			t.Errorf("%s is %s, want %s", arg, got, want)
		}
	}
}

// Specs that lead to one place count as one host, whatever their number.
func TestHostsToExpect(t *testing.T) {
	specs, err := xspec.Expand([]string{"2*popen", "8*ssh=a", "ssh=b", "2*popen//via=p"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if hs := New(&Mirror{}, specs, "", func(any) {}); hs.expect != 4 {
		t.Errorf("%d hosts are expected, want 4", hs.expect)
	}
}

// Agents that begin in one directory at the same time agree on its token.
func TestTokenOfADirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mirror")
	tokens := make([]string, 8)
	var wait sync.WaitGroup
	for i := range tokens {
		wait.Go(func() {
			token, err := tokenIn(dir)
			if err != nil {
				t.Error(err)
			}
			tokens[i] = token
		})
	}
	wait.Wait()
	for _, token := range tokens {
		if token == "" || token != tokens[0] {
			t.Fatalf("tokens %q", tokens)
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 {
		t.Errorf("left behind: %v, %v", files, err)
	}
	if runtime.GOOS == "windows" {
		return
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := tokenIn(dir); err == nil {
		t.Error("a directory that everybody may enter is taken")
	}
}

// What two hosts call by one name is kept apart, and away from binaries.
func TestPlacesOfCoverageData(t *testing.T) {
	hs := New(&Mirror{}, nil, "/run", func(any) {})
	const meta = "/x/covermeta-1"
	seen := map[string]bool{filepath.Join("/run", "built"): true}
	for _, place := range []string{hs.coverPlace("a", meta), hs.coverPlace("b", meta), hs.coverPlace("a", "/y/covermeta-1")} {
		if seen[filepath.Dir(place)] || filepath.Base(place) != "covermeta-1" || filepath.Dir(filepath.Dir(place)) != filepath.Join("/run", "cover") {
			t.Errorf("%s", place)
		}
		seen[filepath.Dir(place)] = true
	}
}
