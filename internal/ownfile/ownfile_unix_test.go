//go:build unix

package ownfile

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// What is no file is told at once, and by its kind.
func TestRead(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	check(t, os.WriteFile(at("file"), []byte("12345"), 0o600))
	check(t, os.Symlink("file", at("link")))
	check(t, syscall.Mkfifo(at("fifo"), 0o600))
	for _, tt := range []struct {
		name  string
		limit int64
		want  string // of the error; "" is none
	}{
		{at("file"), 5, ""},
		{at("link"), 5, ""},
		{at("file"), 4, "more than 4 bytes"},
		{at("fifo"), 5, "it is a FIFO, and a file is wanted"},
		{dir, 5, "it is a directory, and a file is wanted"},
		{"/dev/zero", 5, "it is a device, and a file is wanted"},
		{at("none"), 5, "no such file"},
	} {
		text, err := Read(tt.name, tt.limit)
		if tt.want == "" && (err != nil || string(text) != "12345") {
			t.Errorf("%s: %q, %v", tt.name, text, err)
		}
		if tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: error %v, want %q", tt.name, err, tt.want)
		}
	}
}

// A directory that others may write to, or exchange for another, is refused.
func TestMakeDir(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	dir := t.TempDir()
	for _, tt := range []struct {
		name           string
		parent, inside os.FileMode
		owner          int // 0 is whoever runs the test
		want           string
	}{
		{"ours", 0o755, 0o755, 0, ""},
		{"sticky", 0o777 | os.ModeSticky, 0o700, 0, ""},
		{"group", 0o755, 0o775, 0, "others may write to"},
		{"all", 0o755, 0o777, 0, "others may write to"},
		{"parent", 0o777, 0o700, 0, "others may write to"},
		{"theirs", 0o755, 0o755, 12345, "belongs to uid 12345"},
	} {
		if tt.owner != 0 && os.Geteuid() != 0 {
			t.Logf("%s: not shown, since only root can give a directory away", tt.name)
			continue
		}
		parent := filepath.Join(dir, tt.name)
		inside := filepath.Join(parent, "xdist")
		check(t, os.MkdirAll(inside, 0o755))
		check(t, os.Chmod(inside, tt.inside))
		check(t, os.Chmod(parent, tt.parent))
		if tt.owner != 0 {
			check(t, os.Chown(inside, tt.owner, tt.owner))
		}
		if err := MakeDir(inside); (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
	fresh := filepath.Join(dir, "fresh", "xdist")
	check(t, MakeDir(fresh))
	if info, err := os.Stat(fresh); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("a fresh directory has mode %v, %v", info.Mode(), err)
	}
}
