package hosts

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/xdist-go/xdist/rsync"
)

// What a host says of where its packages are is taken for directories of the tree, and for nothing
// else that there is here.
func TestHome(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("skipped: links need a right there")
	}
	base := t.TempDir()
	root := filepath.Join(base, "mod")
	for _, dir := range []string{filepath.Join(root, "a", "b"), filepath.Join(base, "secret")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, to := range map[string]string{"out": base, "in": "a"} {
		if err := os.Symlink(to, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	m := &Mirror{Source: rsync.Source{Root: root}}
	unix, windows := &Host{mirror: "/var/tmp/x/mod"}, &Host{mirror: `C:\x\mod`}
	for _, tt := range []struct {
		host       *Host
		goos, path string
		want       string // below root; "" is that it is not known here
	}{
		{unix, "linux", "/var/tmp/x/mod", "."},
		{unix, "linux", "/var/tmp/x/mod/a/b", "a/b"},
		{unix, "linux", "/var/tmp/x/mod/in/b", "in/b"},
		{unix, "linux", "/var/tmp/x/mod/a/../a", "a"},
		{unix, "linux", "/var/tmp/x/mod/none", ""},
		{unix, "linux", "/var/tmp/x/mod/out", ""},
		{unix, "linux", "/var/tmp/x/mod/out/secret", ""},
		{unix, "linux", "/var/tmp/x/mod/..", ""},
		{unix, "linux", "/var/tmp/x/mod/../secret", ""},
		{unix, "linux", "/var/tmp/x/mod/a/../../secret", ""},
		{unix, "linux", "/var/tmp/x/mod/" + root, ""},
		{unix, "linux", "/var/tmp/x/mod2", ""},
		{unix, "linux", "/", ""},
		{unix, "linux", "", ""},
		{unix, "linux", root, ""},
		{windows, "windows", `C:\x\mod`, "."},
		{windows, "windows", `C:\x\mod\a\b`, "a/b"},
		{windows, "windows", `C:\x\mod\..\secret`, ""},
		{windows, "windows", `C:\x\mod2`, ""},
	} {
		want := ""
		if tt.want != "" {
			want = filepath.Join(root, tt.want)
		}
		if got := tt.host.Home(m, tt.goos, tt.path); got != want {
			t.Errorf("%q is %q here, want %q", tt.path, got, want)
		}
	}
}
