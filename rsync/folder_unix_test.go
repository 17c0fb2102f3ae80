//go:build unix && !aix && !solaris

package rsync

import (
	"os"
	"testing"
)

// TestQuickWay checks that the quick way works where nothing is in its way, because the other one
// would hide that it does not.
func TestQuickWay(t *testing.T) {
	dst := newPlace(t)
	dst.write("dir/old", "this was here before")
	root, err := os.OpenRoot(dst.dir)
	dst.do(err)
	defer root.Close()
	d := &folder{tree: root, path: "dir"}
	defer d.close()
	for _, e := range []entry{
		{path: "dir/new", mode: 0o644, size: 3, mtime: -1}, {path: "dir/old", mode: 0o4511, size: 3, mtime: 1e18 + 1}, {path: "dir/empty", mode: 0o777},
	} {
		stat, err := d.put(tempName(e.sum, 1), &e, e.path != "dir/old", []byte("new")[:e.size])
		dst.do(err)
		info, err := os.Lstat(dst.path(e.path))
		dst.do(err)
		if want := (fileStat{mode: e.mode, size: e.size, mtime: e.mtime, ctime: stat.ctime, inode: stat.inode}); stat != want || stat != statOf(info) {
			t.Errorf("%s: got %+v, want %+v, and there is %+v", e.path, stat, want, statOf(info))
		}
	}
}
