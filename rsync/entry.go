package rsync

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
)

// kind is what an entry of a tree is.
type kind byte

const (
	dirKind  kind = 'd'
	fileKind kind = 'f'
	linkKind kind = 'l'
	oddKind  kind = 'o' // fifo, socket, device: never in a manifest
)

// entry is one line of a manifest: a file, directory or symbolic link of the source.
type entry struct {
	path   string // slash-separated, relative to the root
	kind   kind
	mode   uint32 // the twelve bits of Unix; 0 for links
	size   int64  // of files
	mtime  int64  // of files, nanoseconds since 1970. Directories have none: every file that comes and goes in them, sent or not, changes it
	sum    sum    // of files
	link   string // target of a link
	rebase bool   // link is relative to the root of the tree, wherever that is
}

const (
	pathAtMost = 4096 // bytes of a path or of a link's target
	nameAtMost = 255  // bytes of one name in a path
)

// tempPrefix and tempSuffix enclose the names of files that are on their way into the tree.
const (
	tempPrefix = ".xdist-sync-"
	tempSuffix = ".part"
)

// tempName names a file on its way by its content, so that a later sync finds what has arrived of
// it. serial tells files of equal content apart.
func tempName(s sum, serial int) string {
	return fmt.Sprintf("%s%x.%d%s", tempPrefix, s[:tempDigest], serial, tempSuffix)
}

// tempDigest is how many bytes of the content's digest are in the name.
const tempDigest = 16

func isTemp(name string) bool {
	return strings.HasPrefix(name, tempPrefix) && strings.HasSuffix(name, tempSuffix)
}

// comparePaths orders paths as a walk through the tree meets them: what a directory holds comes
// right behind it.
func comparePaths(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] == b[i] {
			continue
		}
		switch {
		case a[i] == '/':
			return -1
		case b[i] == '/':
			return 1
		}
		return cmp.Compare(a[i], b[i])
	}
	return cmp.Compare(len(a), len(b))
}

var errBadPath = errors.New("no path of a tree")

// checkPath refuses what is not the plain relative path of something in a tree, on this platform.
func checkPath(p string) error {
	bad := p == "" || p == "." || len(p) > pathAtMost
	if !bad {
		local := p
		if runtime.GOOS != "windows" {
			local = strings.ToValidUTF8(p, "_") // names there are bytes, which Localize has doubts about
		}
		_, err := filepath.Localize(local) // absolute, .., NUL; on Windows backslashes, colons and reserved names
		bad = err != nil
	}
	for name := range strings.SplitSeq(p, "/") {
		bad = bad || len(name) > nameAtMost || isTemp(name)
	}
	if bad {
		return fmt.Errorf("%w: %q", errBadPath, clip(p))
	}
	return nil
}

// clip keeps what a peer sent from filling an error.
func clip(s string) string {
	const most = 300 // bytes
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

func (e *entry) check() error {
	if err := checkPath(e.path); err != nil {
		return err
	}
	switch {
	case e.mode > 0o7777:
		return fmt.Errorf("mode %o of %q", e.mode, e.path)
	case e.kind == linkKind && (e.link == "" || len(e.link) > pathAtMost || strings.IndexByte(e.link, 0) >= 0):
		return fmt.Errorf("target %q of link %q", clip(e.link), e.path)
	case e.kind == linkKind && e.rebase && e.link != "." && checkPath(e.link) != nil:
		return fmt.Errorf("target %q of link %q", clip(e.link), e.path)
	case e.kind == fileKind && e.size < 0:
		return fmt.Errorf("size %d of %q", e.size, e.path)
	}
	return nil
}

// append appends the encoded entry to b.
func (e *entry) append(b []byte) []byte {
	b = append(b, byte(e.kind))
	b = appendText(b, e.path)
	switch e.kind {
	case fileKind:
		b = binary.AppendUvarint(b, uint64(e.mode))
		b = binary.AppendUvarint(b, uint64(e.size))
		b = binary.AppendVarint(b, e.mtime)
		b = append(b, e.sum[:]...)
	case dirKind:
		b = binary.AppendUvarint(b, uint64(e.mode))
	case linkKind:
		b = appendBool(b, e.rebase)
		b = appendText(b, e.link)
	}
	return b
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

// errTruncated and errGarbled are what is wrong with bytes that cannot be decoded.
var (
	errTruncated = errors.New("ends too early")
	errGarbled   = errors.New("is garbled")
)

// decoder takes values from the front of b. After the first error it gives zeros.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail(err error) {
	if d.err == nil {
		d.err = err
	}
	d.b = nil
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.fail(errTruncated)
		return 0
	}
	v := d.b[0]
	d.b = d.b[1:]
	return v
}

func (d *decoder) bool() bool {
	v := d.byte()
	if v > 1 {
		d.fail(errGarbled)
	}
	return v == 1
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail(errTruncated)
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail(errTruncated)
		return 0
	}
	d.b = d.b[n:]
	return v
}

// count takes a number that has to be at most limit.
func (d *decoder) count(limit int) int {
	v := d.uvarint()
	if v > uint64(limit) {
		d.fail(errGarbled)
		return 0
	}
	return int(v)
}

// size takes a number of bytes of a file.
func (d *decoder) size() int64 {
	v := d.uvarint()
	if v > 1<<62 {
		d.fail(errGarbled)
		return 0
	}
	return int64(v)
}

// take takes n bytes, which share memory with b.
func (d *decoder) take(n int) []byte {
	if n < 0 || n > len(d.b) {
		d.fail(errTruncated)
		return nil
	}
	v := d.b[:n:n]
	d.b = d.b[n:]
	return v
}

func (d *decoder) text() string { return string(d.take(d.count(pathAtMost))) }

func (d *decoder) sum() (s sum) {
	copy(s[:], d.take(len(s)))
	return s
}

// entry takes an entry and checks it.
func (d *decoder) entry() entry {
	e := entry{kind: kind(d.byte()), path: d.text()}
	switch e.kind {
	case fileKind:
		e.mode = uint32(d.count(0o7777))
		e.size = d.size()
		e.mtime = d.varint()
		e.sum = d.sum()
	case dirKind:
		e.mode = uint32(d.count(0o7777))
	case linkKind:
		e.rebase = d.bool()
		e.link = d.text()
	default:
		d.fail(errGarbled)
	}
	if d.err == nil {
		if err := e.check(); err != nil {
			d.fail(err)
		}
	}
	return e
}
