package rsync

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/xdist-go/xdist/internal/ownfile"
)

// image is a source as a scan has found it.
type image struct {
	tree *tree
	*manifest
	seen  []seen // of each entry, to notice at the time of sending that a file was changed since
	bytes int64  // of all files
	warn  error  // that nothing is lost by
}

// seen is how a file was when it was read.
type seen struct {
	fileStat
	fresh bool // a change since might not show
}

// scan lists the source and finds out the digest of each file's content.
func (s Source) scan(ctx context.Context) (*image, error) {
	t, err := s.tree()
	if err != nil {
		return nil, err
	}
	all, err := t.list(ctx)
	if err != nil {
		return nil, err
	}
	old := s.loadIndex(t)
	records := make([]record, len(all))
	known := make([]*record, len(all))
	at := 0
	for i := range all {
		known[i], at = old.recall(all[i].path, at)
	}
	h := hasher{}
	now := time.Now()
	err = inParallel(ctx, max(lookers, runtime.GOMAXPROCS(0)), len(all), func(i int) (err error) {
		records[i], err = t.record(&h, &all[i], known[i], now)
		return err
	})
	if err != nil {
		return nil, err
	}
	records = slices.DeleteFunc(records, func(r record) bool { return r.kind == 0 })
	img := newImage(t, records)
	img.warn = s.saveIndex(t, old, records)
	return img, nil
}

func newImage(t *tree, records []record) *image {
	m := &memory{records: records}
	img := &image{tree: t, manifest: newManifest(m.entries()), seen: make([]seen, len(records))}
	for i := range records {
		img.seen[i] = seen{records[i].stat, records[i].fresh}
		img.bytes += records[i].size
	}
	return img
}

// record makes the record of one file. The zero value means that it has vanished.
func (t *tree) record(h *hasher, f *found, known *record, now time.Time) (record, error) {
	if err := checkPath(f.path); err != nil {
		return record{}, fmt.Errorf("send %s: %w", t.file(f.path), err)
	}
	r := record{entry: entry{path: f.path, kind: f.kind, mode: f.stat.mode}, stat: f.stat}
	switch f.kind {
	case dirKind:
		r.stat = fileStat{mode: f.stat.mode}
		return r, nil
	case linkKind:
		return t.linkRecord(r)
	case fileKind:
		if known != nil && known.kind == fileKind && known.intact(f.stat) {
			return *known, nil
		}
		return t.fileRecord(h, r, now)
	}
	return record{}, fmt.Errorf("send %s: it is %s", t.file(f.path), oddName(f.what))
}

func (t *tree) linkRecord(r record) (record, error) {
	name := t.file(r.path)
	target, err := os.Readlink(name)
	if gone(err) {
		return record{}, nil
	} else if err != nil {
		return record{}, err
	}
	r.link = filepath.ToSlash(target)
	if filepath.IsAbs(target) {
		if at, ok := t.place(filepath.Clean(target)); ok {
			r.link, r.rebase = at, true
		}
	}
	if err := r.check(); err != nil {
		return record{}, fmt.Errorf("send %s: %w", name, err)
	}
	return r, nil
}

// fileRecord reads a file. One that is written to meanwhile is recorded as it was at the end, and
// noticed when it is sent.
func (t *tree) fileRecord(h *hasher, r record, now time.Time) (record, error) {
	f, err := ownfile.Open(t.file(r.path))
	if gone(err) || errors.Is(err, fs.ErrInvalid) {
		return record{}, nil // it has gone, or was replaced by something else, since it was listed
	} else if err != nil {
		return record{}, err
	}
	defer f.Close()
	if r.size, r.sum, err = h.file(f); err != nil {
		return record{}, fmt.Errorf("read %s: %w", f.Name(), err)
	}
	info, err := f.Stat()
	if err != nil {
		return record{}, err
	}
	if s := statOf(info); s != r.stat {
		r.stat, now = s, time.Unix(0, 0) // the content read may be older than the stat: never to be trusted
	}
	r.mode, r.mtime = r.stat.mode, r.stat.mtime
	r.refresh(r.stat, now)
	return r, nil
}

// hasher has what is needed to read files. It may be used concurrently.
type hasher struct{ pool sync.Pool }

type hashWork struct {
	hash hash.Hash
	buf  []byte
}

// hashBuffer is how many bytes are read at once.
const hashBuffer = 128 << 10

// file reads r to its end.
func (h *hasher) file(r io.Reader) (n int64, s sum, err error) {
	w, ok := h.pool.Get().(*hashWork)
	if !ok {
		w = &hashWork{hash: newHash(), buf: make([]byte, hashBuffer)}
	}
	defer h.pool.Put(w)
	w.hash.Reset()
	for {
		m, err := r.Read(w.buf)
		w.hash.Write(w.buf[:m]) // never fails
		n += int64(m)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return n, s, err
		}
	}
	w.hash.Sum(s[:0])
	return n, s, nil
}

// indexName is the file of the index: one for each root.
func (s Source) indexName(t *tree) string {
	id := sha256.Sum256([]byte(t.real))
	return filepath.Join(s.Cache, hex.EncodeToString(id[:16])+".index")
}

// loadIndex returns what is remembered of the source. An index that cannot be read is none.
func (s Source) loadIndex(t *tree) *memory {
	if s.kept != nil && len(s.kept.records) > 0 {
		return s.kept
	}
	if s.Cache != "" && ownfile.CheckDir(s.Cache) == nil {
		if b, err := ownfile.Read(s.indexName(t), memoryLimit); err == nil {
			if m, err := decodeMemory(b); err == nil {
				return m
			}
		}
	}
	return new(memory)
}

// saveIndex writes the index if it has changed.
func (s Source) saveIndex(t *tree, old *memory, records []record) error {
	same := slices.Equal(old.records, records)
	m := memory{records: records}
	if s.kept != nil {
		*s.kept = m
	}
	if s.Cache == "" || same {
		return nil
	}
	if err := ownfile.MakeDir(s.Cache); err != nil {
		return fmt.Errorf("save index: %w", err)
	}
	if err := replaceFile(s.indexName(t), m.encode()); err != nil {
		return fmt.Errorf("save index: %w", err)
	}
	return nil
}

// replaceFile writes a file in one step, so that concurrent readers and writers see one content or
// another.
func replaceFile(name string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		if e := os.Remove(f.Name()); e != nil && !errors.Is(e, fs.ErrNotExist) {
			return errors.Join(err, e)
		}
	}
	return err
}
