package cover

import (
	"encoding/binary"
	"hash/fnv"
	"slices"
)

// Table keeps what profiles have in common. The processes of one test binary write the same blocks
// and differ in their counts, and with -coverpkg so do those of many binaries; where tests run
// other programs with GOCOVERDIR, whole files are there in addition. So the blocks of a file are
// kept once, the list of the files of a profile is kept once, and a profile of its own is only its
// Counts. The zero value is empty. A Table must not be used concurrently.
type Table struct {
	files   map[string]*file // by key
	layouts map[uint64][]*layout
	last    uint64 // id of the newest file
	size    int
}

// Size is how many bytes of memory the table takes, with all Counts and Intakes of it.
func (t *Table) Size() int { return t.size }

// file is the blocks that a profile has of a source file, in their order.
type file struct {
	key    string // name and blocks without their counts, see appendFile
	blocks int
	id     uint64
	refs   int // layouts and intakes that have it, as often as they do
}

// layout is the files of a profile, in their order.
type layout struct {
	files []*file
	hash  uint64
	refs  int // Counts that have it
}

// What the table's parts take besides their text, in bytes, with their share of a map.
const (
	fileSize   = 176
	entrySize  = 8 // a file in a layout
	layoutSize = 160
	countsSize = 64
)

func (t *Table) add(key []byte, blocks int) *file {
	f := t.files[string(key)]
	if f == nil {
		if t.files == nil {
			t.files = make(map[string]*file)
		}
		t.last++
		f = &file{key: string(key), blocks: blocks, id: t.last}
		t.files[f.key] = f
		t.size += fileSize + len(f.key)
	}
	f.refs++
	return f
}

func (t *Table) drop(f *file) {
	if f.refs--; f.refs == 0 {
		delete(t.files, f.key)
		t.size -= fileSize + len(f.key)
	}
}

// layoutOf returns the layout with these files, whose references it takes over.
func (t *Table) layoutOf(files []*file) *layout {
	h := fnv.New64a()
	for _, f := range files {
		h.Write(binary.LittleEndian.AppendUint64(nil, f.id)) // a hash.Hash returns no error
	}
	sum := h.Sum64()
	for _, l := range t.layouts[sum] {
		if slices.Equal(l.files, files) {
			l.refs++
			for _, f := range files {
				t.drop(f)
			}
			return l
		}
	}
	l := &layout{files: slices.Clone(files), hash: sum, refs: 1}
	if t.layouts == nil {
		t.layouts = make(map[uint64][]*layout)
	}
	t.layouts[sum] = append(t.layouts[sum], l)
	t.size += layoutSize + entrySize*len(files)
	return l
}

func (t *Table) dropLayout(l *layout) {
	if l.refs--; l.refs > 0 {
		return
	}
	t.size -= layoutSize + entrySize*len(l.files)
	for _, f := range l.files {
		t.drop(f)
	}
	if t.layouts[l.hash] = slices.DeleteFunc(t.layouts[l.hash], func(other *layout) bool { return other == l }); len(t.layouts[l.hash]) == 0 {
		delete(t.layouts, l.hash)
	}
}

// Counts is a profile in a Table. It belongs to whoever has it, who is to Release it.
type Counts struct {
	table  *Table
	layout *layout
	counts []byte // see countWriter
}

// Size is how many bytes of the table are there for this profile alone.
func (c *Counts) Size() int {
	size := countsSize + len(c.counts)
	if c.layout.refs > 1 {
		return size
	}
	size += layoutSize + entrySize*len(c.layout.files)
	for _, f := range c.layout.files {
		if f.refs == 1 {
			size += fileSize + len(f.key)
		}
	}
	return size
}

// Release gives the profile up. It may be nil.
func (c *Counts) Release() {
	if c == nil || c.table == nil {
		return
	}
	c.table.size -= countsSize + len(c.counts)
	c.table.dropLayout(c.layout)
	c.table = nil
}

// appendFile appends the beginning of a file's key: its name.
func appendFile(key, name []byte) []byte {
	return append(binary.AppendUvarint(key, uint64(len(name))), name...)
}

// appendBlock appends a block without its count to a file's key. Lines are most often little more
// than those of the block before.
func appendBlock(key []byte, b, before *Block) []byte {
	key = binary.AppendVarint(key, int64(b.StartLine)-int64(before.StartLine))
	key = binary.AppendUvarint(key, uint64(b.StartCol))
	key = binary.AppendVarint(key, int64(b.EndLine)-int64(b.StartLine))
	key = binary.AppendUvarint(key, uint64(b.EndCol))
	return binary.AppendUvarint(key, uint64(b.NumStmt))
}

// name is that of the file.
func (f *file) name() string {
	n, k := uvarint(f.key)
	return f.key[k : k+int(n)]
}

// appendBlocks appends the file's blocks, without counts.
func (f *file) appendBlocks(blocks []Block) []Block {
	n, k := uvarint(f.key)
	name, rest := f.key[k:k+int(n)], f.key[k+int(n):]
	next := func() uint64 {
		v, k := uvarint(rest)
		rest = rest[k:]
		return v
	}
	var line int64
	for range f.blocks {
		b := Block{File: name}
		line += unzigzag(next())
		b.StartLine, b.StartCol = uint32(line), uint32(next())
		b.EndLine, b.EndCol = uint32(line+unzigzag(next())), uint32(next())
		b.NumStmt = uint32(next())
		blocks = append(blocks, b)
	}
	return blocks
}

// unzigzag is the number that binary.AppendVarint has made v of.
func unzigzag(v uint64) int64 { return int64(v>>1) ^ -int64(v&1) }

// uvarint is binary.Uvarint of a string that was made here.
func uvarint(s string) (v uint64, n int) {
	for shift := 0; ; shift += 7 {
		c := s[n]
		n++
		v |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return v, n
		}
	}
}

// countWriter writes counts as varints, and zeros, which most of them are, as a zero and how many
// more follow it. The counts of each file begin anew.
type countWriter struct {
	text  []byte
	zeros uint64
}

func (w *countWriter) add(count uint32) {
	if count == 0 {
		w.zeros++
		return
	}
	w.flush()
	w.text = binary.AppendUvarint(w.text, uint64(count))
}

func (w *countWriter) flush() {
	if w.zeros > 0 {
		w.text = binary.AppendUvarint(append(w.text, 0), w.zeros-1)
		w.zeros = 0
	}
}

// countReader reads what a countWriter has written.
type countReader struct {
	text  []byte
	zeros uint64
}

func (r *countReader) next() uint32 {
	if r.zeros > 0 {
		r.zeros--
		return 0
	}
	v, n := binary.Uvarint(r.text)
	r.text = r.text[n:]
	if v == 0 {
		r.zeros, n = binary.Uvarint(r.text)
		r.text = r.text[n:]
	}
	return uint32(v)
}
