package rsync

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestWriterStaysInside puts links that lead out of the tree, and leftovers, where small files go,
// after the tree was looked at.
func TestWriterStaysInside(t *testing.T) {
	const name, content = "dir/file", "evil"
	e := entry{kind: fileKind, path: name, mode: 0o640, size: int64(len(content)), mtime: 1e18, sum: sumOf([]byte(content))}
	temp := "dir/" + tempName(e.sum, 0)
	for what, tt := range map[string]struct {
		at, target string // of a link
		ok         bool
	}{
		"directory leads out":     {at: "dir", target: "../outside"},
		"directory leads far out": {at: "dir", target: "/outside"},
		"directory is no more":    {at: "dir", target: "gone"},
		"temporary file":          {at: temp, target: "../../outside/witness", ok: true},
		"file":                    {at: name, target: "../../outside/witness", ok: true},
		"nothing":                 {at: "other", target: "dir", ok: true},
	} {
		parent := newPlace(t)
		parent.write("outside/witness", "x")
		parent.do(os.Mkdir(parent.path("tree"), 0o755))
		if tt.at != "dir" {
			parent.do(os.Mkdir(parent.path("tree/dir"), 0o755))
		}
		if tt.target == "/outside" {
			tt.target = parent.path("outside")
		}
		parent.do(symlink(tt.target, parent.path(filepath.Join("tree", tt.at))))
		root, err := os.OpenRoot(parent.path("tree"))
		parent.do(err)
		j := newJob(&receiver{root: root}, new(sight), newManifest([]entry{e}), false)
		if tt.at == temp {
			j.old[0] = new(found) // or the file would not go by that name
		}
		dirs := newFolders(j)
		err = (&transfer{job: j}).writeFile(dirs, 0, []byte(content))
		dirs.close()
		parent.do(root.Close())
		if (err == nil) != tt.ok {
			t.Errorf("%s: error %v", what, err)
		}
		if parent.read("outside/witness") != "x" || strings.Count(parent.lines(), "outside/") != 1 {
			t.Errorf("%s: written outside:\n%s", what, parent.lines())
		}
		if !tt.ok {
			continue
		}
		if info, err := os.Lstat(parent.path("tree/dir/file")); err != nil || !info.Mode().IsRegular() || statOf(info) != j.place[0].stat {
			t.Errorf("%s: %v, %v, remembered %+v", what, info, err, j.place[0].stat)
		}
		if parent.exists("tree/" + temp) {
			t.Errorf("%s: temporary file is left", what)
		}
	}
}

// TestModesOfNewFiles makes files of all kinds of modes one after the other.
func TestModesOfNewFiles(t *testing.T) {
	src, dst := newPlace(t), newPlace(t)
	for name, mode := range map[string]os.FileMode{
		"a": 0o644, "b": 0o644, "c": 0o444, "d": 0o777, "e": 0o777, "f": 0o755, "g": 0o600, "h": 0o666 | os.ModeSetgid, "i": 0o644,
	} {
		src.write(name, name)
		src.do(os.Chmod(src.path(name), mode))
	}
	src.write("empty", "")
	sendOne(t, Source{Root: src.dir, Cache: t.TempDir()}, open(t), dst.dir, TargetOptions{})
	same(t, src, dst)
}
