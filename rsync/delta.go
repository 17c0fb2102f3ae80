package rsync

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// The delta of two versions of a file, after A. Tridgell, "Efficient Algorithms for Sorting and
// Synchronization", 1999, chapter 3: the receiver sends a weak and a strong sum of each block of
// what it has; the sender looks for the blocks at every offset of what it has, with a weak sum that
// is rolled on byte by byte.

const (
	// blockAtLeast and blockAtMost bound the size of a block, in bytes. In between it is the root
	// of the file's size, which makes the sum of signature and one changed block smallest.
	blockAtLeast = 704
	blockAtMost  = 128 << 10
	// blocksAtMost bounds the blocks of a file, and with them the size of a signature; blocks
	// become larger instead.
	blocksAtMost = 1 << 19
	// strongSize is how many bytes of a block's digest are sent. A false match shows in the digest
	// of the whole file.
	strongSize = 8
	// blockSumSize is the size in bytes of a block's sums in a signature.
	blockSumSize = 4 + strongSize
)

// blockSize returns the size of the blocks of a file.
func blockSize(size int64) int {
	b := int64(math.Sqrt(float64(size))) &^ 7
	b = min(max(b, blockAtLeast), blockAtMost)
	return int(max(b, (size+blocksAtMost-1)/blocksAtMost))
}

// blockSum are the sums of a block.
type blockSum struct {
	weak   uint32
	strong [strongSize]byte
}

// signature are the sums of the blocks of a file. The last block may be shorter.
type signature struct {
	size  int64 // of the file
	block int   // of a block
	sums  []blockSum
}

// blocks is how many there are in a file.
func blocks(size int64, block int) int { return int((size + int64(block) - 1) / int64(block)) }

// sign reads a file of size bytes.
func sign(r io.Reader, size int64) (*signature, error) {
	s := &signature{size: size, block: blockSize(size)}
	buf := make([]byte, s.block)
	for left := size; left > 0; left -= int64(len(buf)) {
		buf = buf[:min(int64(len(buf)), left)]
		if _, err := io.ReadFull(r, buf); err != nil {
			return nil, err
		}
		s.sums = append(s.sums, blockSum{weakSum(buf).value(), strongSum(buf)})
	}
	return s, nil
}

func strongSum(b []byte) (s [strongSize]byte) {
	h := sumOf(b)
	copy(s[:], h[:])
	return s
}

func (s *signature) append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(s.size))
	b = binary.AppendUvarint(b, uint64(s.block))
	for _, sum := range s.sums {
		b = binary.BigEndian.AppendUint32(b, sum.weak)
		b = append(b, sum.strong[:]...)
	}
	return b
}

func (d *decoder) signature() *signature {
	s := &signature{size: d.size(), block: d.count(math.MaxInt32)}
	if s.block < blockAtLeast || s.size > int64(s.block)*blocksAtMost {
		d.fail(errGarbled)
		return nil
	}
	b := d.take(blocks(s.size, s.block) * blockSumSize)
	s.sums = make([]blockSum, len(b)/blockSumSize)
	for i := range s.sums {
		s.sums[i].weak = binary.BigEndian.Uint32(b[i*blockSumSize:])
		copy(s.sums[i].strong[:], b[i*blockSumSize+4:])
	}
	return s
}

// rolling is the weak sum of a window of bytes: the sum of the bytes, and the sum of those sums.
type rolling struct {
	a, b uint32
	n    uint32 // bytes in the window
}

// offset is added to each byte, so that runs of zeros of different length differ.
const offset = 31

func weakSum(p []byte) rolling {
	r := rolling{n: uint32(len(p))}
	for _, c := range p {
		r.a += uint32(c) + offset
		r.b += r.a
	}
	return r
}

// roll moves the window on by one byte.
func (r *rolling) roll(out, in byte) {
	r.a += uint32(in) - uint32(out)
	r.b += r.a - r.n*(uint32(out)+offset)
}

func (r rolling) value() uint32 { return r.a&0xffff | r.b<<16 }

// blockIndex finds blocks by their weak sum.
type blockIndex struct {
	*signature
	first map[uint32]int32
	next  []int32 // the next block with the same weak sum, or -1
	maybe [1 << 10]uint64
}

// bit is where in maybe a sum is noted: most windows match nothing, and then this answers without a
// look at the map.
func bit(weak uint32) (word, mask uint64) {
	h := (weak ^ weak>>16) & 0xffff
	return uint64(h >> 6), 1 << (h & 63)
}

func newBlockIndex(s *signature) *blockIndex {
	x := &blockIndex{signature: s, first: make(map[uint32]int32, len(s.sums)), next: make([]int32, len(s.sums))}
	full := int(s.size / int64(s.block))
	for i := full - 1; i >= 0; i-- { // so that the first of equal blocks is found first
		weak := s.sums[i].weak
		x.next[i] = -1
		if j, ok := x.first[weak]; ok {
			x.next[i] = j
		}
		x.first[weak] = int32(i)
		word, mask := bit(weak)
		x.maybe[word] |= mask
	}
	return x
}

// find returns the block that a window holds, or -1. It prefers the block that follows on the last.
func (x *blockIndex) find(weak uint32, window []byte, follows int) int {
	word, mask := bit(weak)
	if x.maybe[word]&mask == 0 {
		return -1
	}
	i, ok := x.first[weak]
	if !ok {
		return -1
	}
	strong := strongSum(window)
	if follows < len(x.sums) && x.sums[follows] == (blockSum{weak, strong}) {
		return follows
	}
	const tries = 64 // files of equal blocks must not take quadratic time
	for n := 0; i >= 0 && n < tries; i, n = x.next[i], n+1 {
		if x.sums[i].strong == strong {
			return int(i)
		}
	}
	return -1
}

const (
	literalOp byte = 0 // number of bytes, bytes
	copyOp    byte = 1 // first block, number of blocks
	// literalAtMost is the most bytes in one literal.
	literalAtMost = 64 << 10
)

// differ makes a delta. ops collects it, and is given to flush when it is large enough and at the
// end.
type differ struct {
	x     *blockIndex
	r     io.Reader
	buf   []byte // what was read: buf[lit:pos] matches nothing, the window begins at pos
	lit   int
	pos   int
	eof   bool
	ops   []byte
	first int // run of blocks to copy that is not yet in ops
	count int
	flush func(ops []byte) error
}

// diff writes the delta from the file of the signature to what r reads.
func diff(r io.Reader, s *signature, flush func(ops []byte) error) error {
	d := &differ{x: newBlockIndex(s), r: r, flush: flush}
	if err := d.search(); err != nil {
		return err
	}
	d.tail()
	d.copyRun()
	return d.flush(d.ops)
}

// search goes through all full windows.
func (d *differ) search() error {
	block := d.x.block
	for {
		if ok, err := d.fill(block); !ok || err != nil {
			return err
		}
		w := weakSum(d.buf[d.pos : d.pos+block])
		for {
			if i := d.x.find(w.value(), d.buf[d.pos:d.pos+block], d.first+d.count); i >= 0 {
				d.literal()
				d.copyBlock(i)
				d.pos += block
				d.lit = d.pos
				break
			}
			if ok, err := d.fill(block + 1); err != nil {
				return err
			} else if !ok {
				return nil
			}
			w.roll(d.buf[d.pos], d.buf[d.pos+block])
			d.pos++
			if d.pos-d.lit == literalAtMost {
				d.literal()
				if err := d.flushFull(); err != nil {
					return err
				}
			}
		}
		if err := d.flushFull(); err != nil {
			return err
		}
	}
}

// tail handles what is shorter than a block: it may be the last block of the old file, or end with
// it.
func (d *differ) tail() {
	rest := d.buf[d.pos:]
	last := len(d.x.sums) - 1
	if short := int(d.x.size % int64(d.x.block)); last >= 0 && short > 0 && len(rest) >= short {
		end := rest[len(rest)-short:]
		if d.x.sums[last] == (blockSum{weakSum(end).value(), strongSum(end)}) {
			d.pos = len(d.buf) - short
			d.literal()
			d.copyBlock(last)
			return
		}
	}
	d.pos = len(d.buf)
	d.literal()
}

// fill makes the window n bytes long if the file is; it reports whether.
func (d *differ) fill(n int) (bool, error) {
	if len(d.buf)-d.pos >= n {
		return true, nil
	}
	if d.eof {
		return false, nil
	}
	if d.lit > 0 {
		d.buf = d.buf[:copy(d.buf, d.buf[d.lit:])]
		d.pos, d.lit = d.pos-d.lit, 0
	}
	want := max(n, 256<<10)
	if free := cap(d.buf) - len(d.buf); free < want {
		d.buf = append(make([]byte, 0, len(d.buf)+2*want), d.buf...)
	}
	m, err := io.ReadAtLeast(d.r, d.buf[len(d.buf):len(d.buf)+want], n-(len(d.buf)-d.pos))
	d.buf = d.buf[:len(d.buf)+m]
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		d.eof, err = true, nil
	}
	return len(d.buf)-d.pos >= n, err
}

func (d *differ) literal() {
	for d.lit < d.pos {
		d.copyRun()
		p := d.buf[d.lit:min(d.pos, d.lit+literalAtMost)]
		d.ops = binary.AppendUvarint(append(d.ops, literalOp), uint64(len(p)))
		d.ops = append(d.ops, p...)
		d.lit += len(p)
	}
}

func (d *differ) copyBlock(i int) {
	if d.count > 0 && i != d.first+d.count {
		d.copyRun()
	}
	if d.count == 0 {
		d.first = i
	}
	d.count++
}

func (d *differ) copyRun() {
	if d.count == 0 {
		return
	}
	d.ops = binary.AppendUvarint(append(d.ops, copyOp), uint64(d.first))
	d.ops = binary.AppendUvarint(d.ops, uint64(d.count))
	d.first, d.count = d.first+d.count, 0
}

func (d *differ) flushFull() error {
	if len(d.ops) < pieceSize {
		return nil
	}
	d.copyRun()
	err := d.flush(d.ops)
	d.ops = nil
	return err
}

var errBadDelta = errors.New("no delta of this file")

// patch carries out the ops of a delta: it writes to w what they make of base, of which size and
// block are what was signed. At most limit bytes are written; it returns how many.
func patch(w io.Writer, base io.ReaderAt, size int64, block int, ops []byte, limit int64) (int64, error) {
	d := &decoder{b: ops}
	var done int64
	for len(d.b) > 0 {
		var r io.Reader
		var n int64
		switch d.byte() {
		case literalOp:
			p := d.take(d.count(literalAtMost))
			r, n = bytes.NewReader(p), int64(len(p))
		case copyOp:
			total := blocks(size, block)
			first := d.count(total)
			count := d.count(total - first)
			start := int64(first) * int64(block)
			n = max(0, min(size-start, int64(count)*int64(block)))
			r = io.NewSectionReader(base, start, n)
		default:
			d.fail(errGarbled)
		}
		if d.err != nil {
			return done, fmt.Errorf("%w: %w", errBadDelta, d.err)
		}
		if n > limit-done {
			return done, fmt.Errorf("%w: more than %d bytes", errBadDelta, limit)
		}
		m, err := io.Copy(w, r)
		done += m
		if err == nil && m < n {
			err = fmt.Errorf("%w: old file is shorter than it was", errBadDelta)
		}
		if err != nil {
			return done, err
		}
	}
	return done, nil
}
