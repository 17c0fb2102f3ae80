//go:build unix

package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/xdist-go/xdist/internal/strangers"
)

// A go.mod above the working directory can be another user's, and a FIFO: nobody waits for it.
func TestModuleThatIsAFIFO(t *testing.T) {
	root := t.TempDir()
	strangers.FIFO(t, filepath.Join(root, "go.mod"))
	strangers.FIFO(t, filepath.Join(root, "goenv"))
	dir := filepath.Join(root, "job")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	strangers.AtOnce(t, "a go.mod", func() {
		if at, path := moduleAbove(dir); at != dir || path != "" {
			t.Errorf("the module is %s in %s", path, at)
		}
		cache := filepath.Join(t.TempDir(), "cache")
		if got, err := sourceDir(dir, cache); err != nil || filepath.Dir(got) != filepath.Join(cache, "sources") {
			t.Errorf("sources are compiled in %s, %v", got, err)
		}
	})
	t.Setenv("GOENV", filepath.Join(root, "goenv"))
	strangers.AtOnce(t, "the file of go env -w", func() { goSetting("GOWORK") })
}
