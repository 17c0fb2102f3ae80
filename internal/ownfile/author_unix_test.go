//go:build unix

package ownfile

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// What nobody has named is read when this user or root has made it, and nobody else may change it.
// Links count too: in a directory that is everybody's, another user can make one to a file of ours.
func TestReadOwn(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("skipped: only root can give files away")
	}
	defer syscall.Umask(syscall.Umask(0))
	const stranger = 12345
	type ids struct{ uid, gid int }
	ours := ids{}
	for _, tt := range []struct {
		name       string
		dir, file  os.FileMode
		dirs       ids
		files      ids
		linkOf     int    // who has made the directory's name a link to it; 0 is that it is none
		fileLinkOf int    // the same for the file
		sudo       string // who has called sudo
		refused    bool
	}{
		{name: "ours", dir: 0o755, file: 0o644},
		{name: "of a group of our name", dir: 0o775, file: 0o664},
		{name: "a group may write the file", dir: 0o755, file: 0o664, files: ids{0, stranger}, refused: true},
		{name: "a group may write to the directory", dir: 0o775, file: 0o644, dirs: ids{0, stranger}, refused: true},
		{name: "all may write the file", dir: 0o755, file: 0o646, refused: true},
		{name: "all may write to the directory", dir: 0o757, file: 0o644, refused: true},
		{name: "another's file", dir: 0o755, file: 0o644, files: ids{stranger, stranger}, refused: true},
		{name: "another's directory", dir: 0o755, file: 0o644, dirs: ids{stranger, stranger}, refused: true},
		{name: "another's link to a directory", dir: 0o755, file: 0o644, linkOf: stranger, refused: true},
		{name: "another's link to a file", dir: 0o755, file: 0o644, fileLinkOf: stranger, refused: true},
		{name: "of who called sudo", dir: 0o755, file: 0o644, dirs: ids{stranger, stranger}, files: ids{stranger, stranger}, sudo: "12345"},
		{name: "of another than who called sudo", dir: 0o755, file: 0o644, files: ids{stranger, stranger}, sudo: "12346", refused: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("SUDO_UID", tt.sudo)
			root := t.TempDir()
			dir, name := filepath.Join(root, "dir"), "file"
			check(t, os.Mkdir(dir, 0o755))
			check(t, os.WriteFile(filepath.Join(dir, name), []byte("text"), 0o600))
			check(t, os.Chown(filepath.Join(dir, name), tt.files.uid, tt.files.gid))
			check(t, os.Chmod(filepath.Join(dir, name), tt.file))
			if tt.fileLinkOf != 0 {
				check(t, os.Symlink(name, filepath.Join(dir, "link")))
				name = "link"
				check(t, os.Lchown(filepath.Join(dir, name), tt.fileLinkOf, tt.fileLinkOf))
			}
			if tt.dirs != ours {
				check(t, os.Chown(dir, tt.dirs.uid, tt.dirs.gid))
			}
			check(t, os.Chmod(dir, tt.dir))
			if tt.linkOf != 0 {
				check(t, os.Symlink(dir, filepath.Join(root, "link")))
				dir = filepath.Join(root, "link")
				check(t, os.Lchown(dir, tt.linkOf, tt.linkOf))
			}
			text, err := ReadOwn(filepath.Join(dir, name), 4)
			if tt.refused && !errors.Is(err, ErrShared) || !tt.refused && (err != nil || string(text) != "text") {
				t.Errorf("%q, %v", text, err)
			}
		})
	}
	if _, err := ReadOwn(filepath.Join(t.TempDir(), "none"), 4); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}
