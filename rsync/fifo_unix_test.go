//go:build unix

package rsync

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/xdist-go/xdist/internal/strangers"
)

// A FIFO in the place of a file of ours, or of one that was a file when it was listed, is waited
// for by nobody.
func TestFIFOsInThePlaceOfFiles(t *testing.T) {
	src := newPlace(t)
	src.write("file", "content")
	s := Source{Root: src.dir, Cache: filepath.Join(t.TempDir(), "index")}
	img, err := s.scan(t.Context())
	if err != nil || img.warn != nil {
		t.Fatal(err, img.warn)
	}

	strangers.FIFO(t, s.indexName(img.tree))
	strangers.AtOnce(t, "an index", func() {
		if len(s.loadIndex(img.tree).records) != 0 {
			t.Error("a FIFO has an index")
		}
	})

	side := t.TempDir()
	strangers.FIFO(t, filepath.Join(side, memoryFile))
	strangers.AtOnce(t, "a memory", func() {
		if len(loadMemory(side).records) != 0 {
			t.Error("a FIFO has a memory")
		}
	})

	strangers.FIFO(t, src.path("file"))
	strangers.AtOnce(t, "a file that is read", func() {
		r, err := img.tree.fileRecord(&hasher{}, record{entry: entry{kind: fileKind, path: "file"}}, time.Now())
		if err != nil || r.kind != 0 {
			t.Errorf("%+v, %v", r, err)
		}
	})
	strangers.AtOnce(t, "a file that is sent", func() {
		if f, err := (&content{img: img}).open(0); f != nil || err != nil {
			t.Errorf("%v, %v", f, err)
		}
	})

	root, err := os.OpenRoot(src.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	strangers.AtOnce(t, "a file that is fetched", func() {
		if (&catcher{root: root}).has(&hasher{}, &entry{kind: fileKind, path: "file"}) {
			t.Error("a FIFO is a file")
		}
	})
	j := &job{receiver: &receiver{root: root}, want: &manifest{entries: []entry{{kind: fileKind, path: "file"}}}}
	strangers.AtOnce(t, "a file that is looked into", func() {
		if err := j.read(t.Context(), []int{0}); err != nil || len(j.wants) != 1 {
			t.Errorf("%v, %v", j.wants, err)
		}
	})
	strangers.AtOnce(t, "a file that is patched", func() {
		if _, err := (&transfer{job: j}).sign(0); err == nil {
			t.Error("a FIFO has a signature")
		}
		a := &assembly{transfer: &transfer{job: j}, signed: signed{block: 1}}
		if err := a.open(); err == nil {
			t.Error("a FIFO is patched")
		}
	})

	strangers.FIFO(t, src.path("digest/blob"))
	strangers.AtOnce(t, "a blob", func() {
		if (&blobs{src.dir, root}).right(Blob{Digest: "digest", Name: "blob"}) {
			t.Error("a FIFO is a blob")
		}
		if _, err := PutBlob(t.Context(), nil, src.path("digest/blob"), PutOptions{}); err == nil {
			t.Error("a FIFO is sent")
		}
	})
}
