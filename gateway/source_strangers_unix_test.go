//go:build unix

package gateway_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xdist-go/xdist/gateway"
)

// What was compiled of a source is not kept, or started, where another user could exchange it.
func TestSourceCacheAmongStrangers(t *testing.T) {
	needGo(t)
	everybodys := t.TempDir()
	if err := os.Chmod(everybodys, 0o777); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_CACHE_HOME", everybodys)
	for name, dir := range map[string]string{"user's cache": "", "CacheDir": filepath.Join(everybodys, "own")} {
		cfg := config()
		cfg.CacheDir = dir
		_, err := openIn(t, newGroup(t, cfg), "popen").RunSource(t.Context(), remote("", "\treturn nil"), nil)
		if err == nil || !strings.Contains(err.Error(), "others may write to "+everybodys) {
			t.Errorf("%s: %v", name, err)
		}
	}
	left, err := filepath.Glob(filepath.Join(everybodys, "*", "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left there: %v, %v", left, err)
	}
}

// CacheDir is where compiled sources are.
func TestSourceCacheDir(t *testing.T) {
	needGo(t)
	cfg := config()
	cfg.CacheDir = filepath.Join(t.TempDir(), "cache")
	_, err := openIn(t, newGroup(t, cfg), "popen").RunSource(t.Context(), remote("", "\tsyntax error"), nil)
	if _, ok := errors.AsType[*gateway.CompileError](err); !ok {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(filepath.Join(cfg.CacheDir, "sources")); err != nil {
		t.Error(err)
	}
}
