//go:build unix

package gateway

import (
	"path/filepath"
	"testing"

	"github.com/xdist-go/xdist/internal/strangers"
)

// A go.mod above a package can be another user's, and a FIFO: nobody waits for it.
func TestImportPathBelowAFIFO(t *testing.T) {
	root := t.TempDir()
	strangers.FIFO(t, filepath.Join(root, "go.mod"))
	strangers.AtOnce(t, "a go.mod", func() {
		if path, err := importPath(filepath.Join(root, "task")); err == nil {
			t.Errorf("the import path is %s", path)
		}
	})
}
