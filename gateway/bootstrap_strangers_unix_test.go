//go:build unix

package gateway_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xdist-go/xdist/internal/strangers"
)

// TestBootstrapAmongStrangers has somebody else put things where an agent would be kept, as can be
// done in a directory that is everybody's. Nothing is made, removed or started there, and the next
// directory is taken.
func TestBootstrapAmongStrangers(t *testing.T) {
	strangers.Each(t, func(t *testing.T, _ string, plant func(name, precious string)) {
		everybodys, next, precious := t.TempDir(), t.TempDir(), t.TempDir()
		planted := filepath.Join(everybodys, "xdist")
		if err := os.Mkdir(filepath.Join(precious, "agents"), 0o700); err != nil {
			t.Fatal(err)
		}
		plant(planted, precious)
		t.Setenv("XDG_CACHE_HOME", everybodys)
		t.Setenv("XDG_RUNTIME_DIR", next)
		before := modified(t, precious) + modified(t, planted)
		for range 2 { // the second finds the agent
			gw := open(t, "cmd=sh")
			wantEcho(t, gw)
			if !strings.HasPrefix(gw.Info().Executable, next+"/xdist/") {
				t.Errorf("the agent is %s", gw.Info().Executable)
			}
		}
		if after := modified(t, precious) + modified(t, planted); after != before {
			t.Errorf("things were made or removed there:\n%swas\n%s", after, before)
		}
	})
}

// modified lists the directories below one, with the times when things were made or removed there.
// A link is not followed.
func modified(t *testing.T, dir string) string {
	t.Helper()
	var list strings.Builder
	err := filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err != nil {
			list.WriteString(name + ": " + err.Error() + "\n")
			return nil
		}
		if !d.IsDir() {
			return nil
		}
		info, err := d.Info()
		if err == nil {
			list.WriteString(name + " " + info.ModTime().String() + "\n")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list.String()
}
