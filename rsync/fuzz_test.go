package rsync

import (
	"bytes"
	"path"
	"path/filepath"
	"reflect"
	"testing"
	"time"
)

func sampleMemory() *memory {
	m := &memory{kept: []string{"kept", "kept/too"}}
	for _, e := range []entry{
		{kind: dirKind, path: "dir", mode: 0o755},
		{kind: fileKind, path: "dir/file", mode: 0o4644, size: 12, mtime: -5, sum: sum{1, 2}},
		{kind: linkKind, path: "link", link: "dir/file", rebase: true},
	} {
		m.records = append(m.records, record{entry: e, stat: fileStat{mode: e.mode, size: e.size, mtime: 7, ctime: 8, inode: 9}, fresh: e.kind == fileKind})
	}
	return m
}

// FuzzMemory: what is read is what was written, and damage is an error, never a panic.
func FuzzMemory(f *testing.F) {
	f.Add(sampleMemory().encode())
	f.Add(new(memory).encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := decodeMemory(b); err == nil && !bytes.Equal(m.encode(), b) {
			t.Errorf("%x is read as %+v", b, m)
		}
	})
}

// TestMemoryDamaged cuts the file at every length and flips every byte.
func TestMemoryDamaged(t *testing.T) {
	whole := sampleMemory().encode()
	if m, err := decodeMemory(whole); err != nil || !reflect.DeepEqual(m, sampleMemory()) {
		t.Fatalf("%+v, %v", m, err)
	}
	for i := range whole {
		flipped := bytes.Clone(whole)
		flipped[i] ^= 1
		for _, b := range [][]byte{whole[:i], flipped} {
			if _, err := decodeMemory(b); err == nil {
				t.Errorf("damage at %d goes unnoticed", i)
			}
		}
	}
}

// FuzzManifest: entries that are accepted are valid paths, and are written as they were read.
func FuzzManifest(f *testing.F) {
	var b []byte
	for _, r := range sampleMemory().records {
		b = r.append(b)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		entries, err := decodeEntries(b)
		if err != nil {
			return
		}
		for _, e := range entries {
			if err := e.check(); err != nil {
				t.Error(err)
			}
		}
		again, err := decodeEntries(newManifest(entries).encodeChunk(nil, chunk{end: len(entries)}))
		if err != nil || !reflect.DeepEqual(again, entries) {
			t.Errorf("%+v is read back as %+v, %v", entries, again, err)
		}
		if _, err := appendChunks(nil, b, new(manifest), nil); err == nil && len(b) > 0 {
			_ = checkTree(entries)
		}
	})
}

// FuzzPacket: no packet takes more memory than is allowed, and what is packed is unpacked.
func FuzzPacket(f *testing.F) {
	c := newCodec()
	f.Cleanup(c.close)
	f.Add(c.pack(filesPacket, make([]byte, 1000)))
	f.Add(c.pack(piecePacket, []byte("short")))
	c.pace.sent(1, time.Second)
	f.Add(c.pack(filesPacket, make([]byte, 1000))) // zstd
	c.pace = new(pace)
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, content, err := c.unpack(b); err == nil && len(content) > packetAtMost {
			t.Errorf("%d bytes", len(content))
		}
		if k, content, err := c.unpack(c.pack(filesPacket, b)); k != filesPacket || !bytes.Equal(content, b) || err != nil {
			t.Errorf("%x comes back as %c %x, %v", b, k, content, err)
		}
	})
}

// FuzzRequests gives the sender what a hostile receiver may ask for: what is accepted is a part of
// a file.
func FuzzRequests(f *testing.F) {
	s, err := sign(bytes.NewReader(make([]byte, 3000)), 3000)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte{wholeRequest, 1, 0, wholeRequest, 1, 3})
	f.Add(s.append([]byte{deltaRequest, 1}))
	entries := sampleMemory().entries()
	f.Fuzz(func(t *testing.T, b []byte) {
		d := &decoder{b: b}
		for len(d.b) > 0 {
			r := d.request(entries)
			if d.err != nil {
				return
			}
			if e := entries[r.index]; e.kind != fileKind || r.offset > e.size {
				t.Errorf("accepted: %+v of %+v", r, e)
			}
			if s := r.signature; s != nil && len(s.sums) != blocks(s.size, s.block) {
				t.Errorf("%d sums for %d bytes in blocks of %d", len(s.sums), s.size, s.block)
			}
		}
	})
}

// FuzzPatch: ops of a hostile sender write no more than is allowed, and never panic.
func FuzzPatch(f *testing.F) {
	f.Add([]byte{literalOp, 2, 'h', 'i', copyOp, 0, 2}, uint16(1500), uint16(2000))
	f.Fuzz(func(t *testing.T, ops []byte, size, limit uint16) {
		var out bytes.Buffer
		n, err := patch(&out, bytes.NewReader(make([]byte, size)), int64(size), blockAtLeast, ops, int64(limit))
		if n != int64(out.Len()) || n > int64(limit) {
			t.Errorf("wrote %d, says %d, limit %d, %v", out.Len(), n, limit, err)
		}
	})
}

// FuzzDelta: the delta of two files makes the one of the other.
func FuzzDelta(f *testing.F) {
	f.Add([]byte("old content"), []byte("new content"), uint16(300), uint16(100))
	f.Add([]byte("x"), []byte("x"), uint16(3000), uint16(3001))
	f.Add([]byte(noise(1, 2000)), []byte("y"), uint16(2), uint16(500))
	f.Fuzz(func(t *testing.T, a, b []byte, repeatA, repeatB uint16) {
		if len(a)*int(repeatA) > 1<<20 || len(b)*int(repeatB) > 1<<20 {
			return
		}
		old := bytes.Repeat(a, int(repeatA))
		target := append(bytes.Repeat(b, int(repeatB)), old[:len(old)/2]...)
		target = append(append(target, b...), old...)
		s, err := sign(bytes.NewReader(old), int64(len(old)))
		if err != nil {
			t.Fatal(err)
		}
		d := &decoder{b: s.append(nil)}
		if got := d.signature(); d.err != nil || !reflect.DeepEqual(got.sums, s.sums) && len(s.sums) > 0 {
			t.Fatalf("signature is read back as %+v, %v", got, d.err)
		}
		var out bytes.Buffer
		err = diff(bytes.NewReader(target), s, func(ops []byte) error {
			_, err := patch(&out, bytes.NewReader(old), s.size, s.block, ops, int64(len(target)-out.Len()))
			return err
		})
		if err != nil || !bytes.Equal(out.Bytes(), target) {
			t.Errorf("%d bytes from %d become %d others, %v", len(target), len(old), out.Len(), err)
		}
	})
}

// FuzzFiles gives the receiver files of a hostile sender: what is accepted has the size that it is
// to have. TestHostilePackets has the rest over a gateway.
func FuzzFiles(f *testing.F) {
	f.Add([]byte{1, 1, 0, 12, 'g', 'o', 'o', 'd', ' ', 'c', 'o', 'n', 't', 'e', 'n', 't'})
	f.Add([]byte{2, 1, byte(goneFate), 0, 1, byte(changedFate), 0})
	entries := sampleMemory().entries()
	f.Fuzz(func(t *testing.T, b []byte) {
		files, err := decodeFiles(b, entries)
		if err != nil {
			return
		}
		for _, c := range files {
			if c.index >= len(entries) || c.fate == sentFate && int64(len(c.data)) != entries[c.index].size {
				t.Errorf("accepted: %+v", c)
			}
		}
	})
}

// FuzzNames gives the controller the list of a hostile agent: what is accepted was asked for, comes
// in order, and is no more than may come.
func FuzzNames(f *testing.F) {
	var b []byte
	for _, r := range sampleMemory().records {
		b = r.append(b)
	}
	f.Add(b, true)
	f.Add((&entry{kind: fileKind, path: "dir/file", size: 12}).append(nil), false)
	f.Fuzz(func(t *testing.T, b []byte, tree bool) {
		c := &catcher{fetchArgs: fetchArgs{Tree: tree}, opts: PullOptions{Limit: 1000, Entries: 5}, wanted: ignore{"dir", "li*"}}
		if c.names(b) != nil {
			return
		}
		if c.report.Bytes > 1000 || len(c.entries) > 5 || c.report.Entries != len(c.entries) {
			t.Errorf("accepted: %+v", c.report)
		}
		for i, e := range c.entries {
			if e.check() != nil || !c.matches(e.path) || inGit(e.path) || i > 0 && comparePaths(c.entries[i-1].path, e.path) >= 0 || e.kind != fileKind && !tree {
				t.Errorf("accepted: %+v", e)
			}
			if e.kind != linkKind {
				continue
			}
			if target, ok := inside(&e, path.Dir(e.path)); ok && !filepath.IsLocal(filepath.Join(filepath.FromSlash(path.Dir(e.path)), filepath.FromSlash(target))) {
				t.Errorf("%q leads to %q", e.path, target)
			}
		}
	})
}
