//go:build unix

package ownfile

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A directory in the user's cache is refused where another user could put his own in its place: he
// may write to the cache, or to what is in between, or has made that.
func TestUserCache(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(t *testing.T, cache string)
		want  string
	}{
		{"ours", func(*testing.T, string) {}, ""},
		{"the cache", func(t *testing.T, cache string) { check(t, os.Chmod(cache, 0o777)) }, "others may write to"},
		{"in between", func(t *testing.T, cache string) {
			check(t, os.Mkdir(filepath.Join(cache, "xdist"), 0o700))
			check(t, os.Chmod(filepath.Join(cache, "xdist"), 0o777))
		}, "others may write to"},
		{"the directory", func(t *testing.T, cache string) {
			check(t, os.MkdirAll(filepath.Join(cache, "xdist", "x"), 0o700))
			check(t, os.Chmod(filepath.Join(cache, "xdist", "x"), 0o777))
		}, "others may write to"},
		{"somebody else's", func(t *testing.T, cache string) {
			if os.Geteuid() != 0 {
				t.Skip("skipped: only root can give a directory away")
			}
			check(t, os.MkdirAll(filepath.Join(cache, "xdist", "x"), 0o755))
			check(t, os.Chown(filepath.Join(cache, "xdist"), 12345, 12345))
		}, "belongs to uid 12345"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cache := t.TempDir()
			t.Setenv("XDG_CACHE_HOME", cache)
			t.Setenv("HOME", cache) // os.UserCacheDir of macOS asks for that
			var err error
			if cache, err = os.UserCacheDir(); err != nil {
				t.Fatal(err)
			}
			check(t, os.MkdirAll(cache, 0o755))
			tt.spoil(t, cache)
			dir, err := UserCache("x")
			if tt.want == "" && (err != nil || dir != filepath.Join(cache, "xdist", "x")) {
				t.Errorf("%s, %v", dir, err)
			}
			if tt.want != "" && (!errors.Is(err, ErrShared) || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}
