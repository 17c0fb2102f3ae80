package rsync

import (
	"errors"
	"fmt"
	"hash/fnv"
	"path"
)

// manifest is all that a tree is to hold, in the order of comparePaths, each directory before what
// is in it. It is not changed once it is complete.
//
// It is cut into chunks at places that depend on the paths there, so that trees that have much in
// common have most chunks in common. The digest of a manifest is that of the digests of its chunks.
type manifest struct {
	entries []entry
	chunks  []chunk
	digest  sum
}

// chunk is a run of entries.
type chunk struct {
	start, end int // entries[start:end]
	sum        sum // of the encoded entries
}

const (
	// chunkEntries is how many entries a chunk has on average.
	chunkEntries = 128
	// chunkAtMost bounds the entries of a chunk, and so the memory that a peer can ask for at once.
	chunkAtMost = 1024
	// entriesAtMost bounds the entries of a tree.
	entriesAtMost = 8 << 20
)

// cutsAfter reports whether a chunk ends behind the entry with this path.
func cutsAfter(path string) bool {
	h := fnv.New32a()
	h.Write([]byte(path)) // never fails
	return h.Sum32()%chunkEntries == 0
}

// newManifest cuts entries, which have to be in order, into chunks.
func newManifest(entries []entry) *manifest {
	m := &manifest{entries: entries}
	var buf []byte
	all := newHash()
	start := 0
	for i := range entries {
		buf = entries[i].append(buf)
		if i+1 < len(entries) && i+1-start < chunkAtMost && !cutsAfter(entries[i].path) {
			continue
		}
		c := chunk{start: start, end: i + 1, sum: sumOf(buf)}
		m.chunks = append(m.chunks, c)
		all.Write(c.sum[:]) // never fails
		buf, start = buf[:0], i+1
	}
	all.Sum(m.digest[:0])
	return m
}

// encodeChunk appends the entries of a chunk to b.
func (m *manifest) encodeChunk(b []byte, c chunk) []byte {
	for i := c.start; i < c.end; i++ {
		b = m.entries[i].append(b)
	}
	return b
}

// decodeEntries reads the entries of a chunk.
func decodeEntries(b []byte) ([]entry, error) {
	d := &decoder{b: b}
	var entries []entry
	for len(d.b) > 0 && d.err == nil {
		if len(entries) == chunkAtMost {
			return nil, fmt.Errorf("read manifest: more than %d entries in a chunk", chunkAtMost)
		}
		entries = append(entries, d.entry())
	}
	if d.err != nil {
		return nil, fmt.Errorf("read manifest: %w", d.err)
	}
	return entries, nil
}

var errNoTree = errors.New("the entries make no tree")

// checkTree checks that the entries are in order, without doubles, and that each is in a directory
// that comes before it: so nothing lies behind a link or a file.
func checkTree(entries []entry) error {
	var open []string // directories that entries may follow in, outermost first
	for i := range entries {
		e := &entries[i]
		if i > 0 && comparePaths(entries[i-1].path, e.path) >= 0 {
			return fmt.Errorf("%w: %q comes after %q", errNoTree, e.path, entries[i-1].path)
		}
		parent := path.Dir(e.path)
		for len(open) > 0 && open[len(open)-1] != parent {
			open = open[:len(open)-1]
		}
		if parent != "." && len(open) == 0 {
			return fmt.Errorf("%w: %q is in no directory", errNoTree, e.path)
		}
		if e.kind == dirKind {
			open = append(open, e.path)
		}
	}
	return nil
}
