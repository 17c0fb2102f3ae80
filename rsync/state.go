package rsync

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// record is an entry and the stat that the file had when it was as the entry says.
type record struct {
	entry
	stat  fileStat
	fresh bool // a later change might not show in the stat
}

// memory is what one side remembers of a tree between two syncs: the controller to not read all
// files again, a receiver to know what it has, and what of it was touched. The zero value remembers
// nothing.
type memory struct {
	records []record
	kept    []string // paths that an earlier sync brought, that the source has no more and that stay, in order
}

// recall returns the record of a path. from is where to look first, for callers that go through
// paths in order: the index that the call before returned.
func (m *memory) recall(p string, from int) (*record, int) {
	for from < len(m.records) && comparePaths(m.records[from].path, p) < 0 {
		from++
	}
	if from < len(m.records) && m.records[from].path == p {
		return &m.records[from], from
	}
	return nil, from
}

// intact reports whether a file with this stat still has the content of the record.
func (r *record) intact(s fileStat) bool {
	return !r.fresh && r.stat == s && (r.kind != fileKind || s.ctime != 0)
}

// refresh notes how the file looks at the time now.
func (r *record) refresh(s fileStat, now time.Time) {
	r.stat, r.fresh = s, r.kind == fileKind && !s.settled(now)
}

// entries returns a copy of the entries.
func (m *memory) entries() []entry {
	all := make([]entry, len(m.records))
	for i := range m.records {
		all[i] = m.records[i].entry
	}
	return all
}

// memoryMagic begins the file of a memory. Another version is as good as none.
const memoryMagic = "xdist rsync memory 2\n"

// encode returns the memory's file: magic, records, kept paths, and the digest of all that.
func (m *memory) encode() []byte {
	b := make([]byte, 0, len(memoryMagic)+len(m.records)*160)
	b = append(b, memoryMagic...)
	b = binary.AppendUvarint(b, uint64(len(m.records)))
	for i := range m.records {
		r := &m.records[i]
		b = r.append(b)
		b = binary.AppendUvarint(b, uint64(r.stat.mode))
		b = binary.AppendUvarint(b, uint64(r.stat.size))
		b = binary.AppendVarint(b, r.stat.mtime)
		b = binary.AppendVarint(b, r.stat.ctime)
		b = binary.AppendUvarint(b, r.stat.inode)
		b = appendBool(b, r.fresh)
	}
	b = binary.AppendUvarint(b, uint64(len(m.kept)))
	for _, p := range m.kept {
		b = appendText(b, p)
	}
	s := sumOf(b)
	return append(b, s[:]...)
}

var errNoMemory = errors.New("no memory of a tree")

// decodeMemory reads what encode has written. Damage of any kind is an error.
func decodeMemory(b []byte) (*memory, error) {
	rest, ok := bytes.CutPrefix(b, []byte(memoryMagic))
	if !ok || len(rest) < len(sum{}) {
		return nil, errNoMemory
	}
	end := len(b) - len(sum{})
	if sumOf(b[:end]) != sum(b[end:]) {
		return nil, fmt.Errorf("%w: %w", errNoMemory, errGarbled)
	}
	d := &decoder{b: rest[:len(rest)-len(sum{})]}
	m := new(memory)
	n := d.count(min(entriesAtMost, len(rest)))
	for range n {
		r := record{entry: d.entry()}
		r.stat.mode = uint32(d.count(0o7777))
		r.stat.size = d.size()
		r.stat.mtime = d.varint()
		r.stat.ctime = d.varint()
		r.stat.inode = d.uvarint()
		r.fresh = d.bool()
		if d.err != nil {
			break
		}
		m.records = append(m.records, r)
	}
	for range d.count(len(rest)) {
		m.kept = append(m.kept, d.text())
		if d.err != nil {
			break
		}
	}
	if len(d.b) > 0 {
		d.fail(errGarbled)
	}
	if d.err != nil {
		return nil, fmt.Errorf("%w: %w", errNoMemory, d.err)
	}
	return m, nil
}
