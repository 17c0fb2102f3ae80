package gateway

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"

	"github.com/fxamacker/cbor/v2"
)

// Item is one value in its encoded form, CBOR (RFC 8949). Sending an Item sends these bytes as they
// are, so that an item can be passed on without being decoded. The nil Item is invalid.
type Item []byte

// NewItem encodes v.
func NewItem(v any) (Item, error) {
	b, err := encMode.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode item of type %T: %w", v, err)
	}
	return b, nil
}

// Decode stores the value in *v. A value that does not fit v's type is an error, as are bytes that
// are no CBOR or go beyond the limits of nesting and length; *v may then be partly written.
func (it Item) Decode(v any) error {
	if p, ok := v.(*int); ok && it.decodeInt(p) {
		return nil
	}
	if err := decMode.Unmarshal(it, v); err != nil {
		return fmt.Errorf("decode item into %T: %w", v, err)
	}
	return nil
}

// decodeInt is Decode for what small items are most often, without reflection. It reports whether
// the item is an integer that fits.
func (it Item) decodeInt(p *int) bool {
	if len(it) == 0 || it[0]>>5 > 1 {
		return false
	}
	size, n, ok := itemHead(it)
	if !ok || size != len(it) || n > math.MaxInt {
		return false
	}
	*p = int(n)
	if it[0]>>5 == 1 {
		*p = -1 - *p
	}
	return true
}

// Bytes returns the content of a byte string or text string without copying it: the result shares
// memory with the item. Other values are an error.
func (it Item) Bytes() ([]byte, error) {
	head, n, err := stringHead(it)
	if err != nil {
		return nil, err
	}
	if uint64(len(it)-head) != n {
		return nil, errors.New("read bytes of item: length does not match")
	}
	return it[head:], nil
}

// stringHead returns the size of the head of a definite-length CBOR string, and the string's
// length.
func stringHead(it Item) (head int, n uint64, err error) {
	if len(it) == 0 || (it[0]>>5 != 2 && it[0]>>5 != 3) {
		return 0, 0, errors.New("read bytes of item: item is no string")
	}
	head, n, ok := itemHead(it)
	if !ok {
		return 0, 0, errors.New("read bytes of item: bad head")
	}
	return head, n, nil
}

// itemHead returns the size of the head of an item that is not empty, and the number in it.
func itemHead(it Item) (size int, n uint64, ok bool) {
	info := it[0] & 31
	if info < 24 {
		return 1, uint64(info), true
	}
	width := 1 << (info - 24)
	if info > 27 || len(it) < 1+width {
		return 0, 0, false
	}
	for _, b := range it[1 : 1+width] {
		n = n<<8 | uint64(b)
	}
	return 1 + width, n, true
}

// MarshalCBOR implements cbor.Marshaler.
func (it Item) MarshalCBOR() ([]byte, error) {
	if len(it) == 0 {
		return nil, errors.New("empty item")
	}
	return it, nil
}

// UnmarshalCBOR implements cbor.Unmarshaler.
func (it *Item) UnmarshalCBOR(b []byte) error {
	*it = bytes.Clone(b)
	return nil
}

// Bounds of what is decoded. An array or map is allocated only after its elements have been seen,
// so these and the item size bound the memory that an item takes.
const (
	maxNesting  = 64      // levels of arrays, maps and tags
	maxElements = 1 << 20 // elements of one array, pairs of one map
)

var (
	encMode = newEncMode()
	decMode = newDecMode()
)

func newEncMode() cbor.UserBufferEncMode {
	// Times keep their nanoseconds, which the default loses.
	m, err := cbor.EncOptions{Time: cbor.TimeRFC3339Nano}.UserBufferEncMode()
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return m
}

func newDecMode() cbor.DecMode {
	m, err := cbor.DecOptions{
		MaxNestedLevels:  maxNesting,
		MaxArrayElements: maxElements,
		MaxMapPairs:      maxElements,
		IndefLength:      cbor.IndefLengthForbidden,
		// Go strings may hold any bytes, and output of programs does.
		UTF8: cbor.UTF8DecodeInvalid,
	}.DecMode()
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return m
}

// frameKind is the first byte of a frame on a stream. PROTOCOL.md has the table.
type frameKind byte

const (
	frameOpen  frameKind = 1 // first frame of a stream: openMessage
	frameItem  frameKind = 2 // one item
	frameEnd   frameKind = 3 // the sender sends no more items, and still reads; empty
	frameClose frameKind = 4 // the sender neither sends nor reads any more; empty, or a RemoteError
)

// frameHead is the largest size of a frame's kind and length.
const frameHead = 1 + binary.MaxVarintLen32

// openMessage is the content of frameOpen.
type openMessage struct {
	Name string `cbor:"1,keyasint,omitempty"` // handler to run; empty opens a plain channel
	Args []byte `cbor:"2,keyasint,omitempty"` // the encoded argument of the handler
}

// framePool holds buffers of frames between their uses.
type framePool struct{ pool sync.Pool }

// maxPooled is the capacity in bytes above which a buffer is left to the garbage collector, so that
// one huge item does not stay in memory for ever.
const maxPooled = 4 << 20

func (p *framePool) get() *bytes.Buffer {
	if b, ok := p.pool.Get().(*bytes.Buffer); ok {
		b.Reset()
		return b
	}
	return new(bytes.Buffer)
}

func (p *framePool) put(b *bytes.Buffer) {
	if b != nil && b.Cap() <= maxPooled {
		p.pool.Put(b)
	}
}

// contentPool holds the memory of large items that nobody uses any more. A fresh one costs more
// than its transfer: it is cleared, is not in the processor's caches, and every few of them the
// garbage collector has to run.
type contentPool struct{ pool sync.Pool } // *[]byte

// get returns n bytes of any content, or nil.
func (p *contentPool) get(n int) []byte {
	if p == nil {
		return nil
	}
	if b, ok := p.pool.Get().(*[]byte); ok && cap(*b) >= n {
		return (*b)[:n]
	}
	return nil
}

// put gives memory back that get has given, or any other. What is small is not worth it, and shares
// a slab.
func (p *contentPool) put(b []byte) {
	if cap(b) > slabSize/4 && cap(b) <= maxPooled {
		b = b[:0]
		p.pool.Put(&b)
	}
}

// encodeFrame writes a frame with the encoded v into b, which must be empty, and returns the frame,
// a part of b's memory. A nil v gives an empty frame. It returns ErrTooLarge for content above
// limit bytes.
func encodeFrame(b *bytes.Buffer, kind frameKind, v any, limit int) ([]byte, error) {
	var head [frameHead]byte
	b.Write(head[:])
	if err := encodeContent(b, v); err != nil {
		return nil, fmt.Errorf("encode item of type %T: %w", v, err)
	}
	n := b.Len() - frameHead
	if n > limit {
		return nil, fmt.Errorf("%w: %d bytes, the limit is %d", ErrTooLarge, n, limit)
	}
	head[0] = byte(kind)
	size := 1 + binary.PutUvarint(head[1:], uint64(n))
	frame := b.Bytes()[frameHead-size:]
	copy(frame, head[:size])
	return frame, nil
}

func encodeContent(b *bytes.Buffer, v any) error {
	switch v := v.(type) {
	case nil:
		return nil
	case Item:
		if len(v) == 0 {
			return errors.New("empty item")
		}
		b.Write(v)
		return nil
	case []byte: // the bulk path: no reflection, one copy
		if v == nil {
			break
		}
		b.Write(appendHead(b.AvailableBuffer(), 2, uint64(len(v))))
		b.Write(v)
		return nil
	}
	return encMode.MarshalToBuffer(v, b)
}

// appendHead appends the head of a CBOR item: its major type and a number.
func appendHead(b []byte, major byte, n uint64) []byte {
	major <<= 5
	switch {
	case n < 24:
		return append(b, major|byte(n))
	case n <= math.MaxUint8:
		return append(b, major|24, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, major|25), uint16(n))
	case n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(b, major|26), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(b, major|27), n)
}

// appendIntFrame appends the frame of an item that is an integer, without reflection and without a
// buffer from the pool.
func appendIntFrame(b []byte, v int) []byte {
	b = append(b, byte(frameItem), 0)
	if v >= 0 {
		b = appendHead(b, 0, uint64(v))
	} else {
		b = appendHead(b, 1, uint64(^v))
	}
	b[1] = byte(len(b) - 2) // at most 9
	return b
}

// frameReader reads frames of bounded size. Only one goroutine may use it.
type frameReader struct {
	r     byteReader
	limit int          // largest content in bytes
	slab  []byte       // memory that small contents are cut from
	slabs int          // bytes of the slab before, or 0
	spare *contentPool // memory for large contents, or nil
}

type byteReader interface {
	io.Reader
	io.ByteReader
}

const (
	firstSlab = 256      // bytes of a channel's first slab; each is twice as large as the one before
	slabSize  = 16 << 10 // bytes of the largest slab; contents up to a quarter of it share one
	readAhead = 1 << 20  // bytes allocated for a content before any byte of it has arrived
)

// next returns the next frame. The content belongs to the caller. It returns io.EOF only between
// frames, io.ErrUnexpectedEOF in one, and an error that wraps ErrProtocol for a frame that is not
// allowed.
func (f *frameReader) next() (frameKind, []byte, error) {
	k, err := f.r.ReadByte()
	if err != nil {
		return 0, nil, err
	}
	kind := frameKind(k)
	if kind < frameOpen || kind > frameClose {
		return 0, nil, fmt.Errorf("%w: frame of unknown kind %d", ErrProtocol, k)
	}
	n, err := f.length()
	if err != nil {
		return 0, nil, err
	}
	content, err := f.content(n)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return kind, content, err
}

// length reads the uvarint and checks it before anything is allocated.
func (f *frameReader) length() (int, error) {
	var n uint64
	for shift := 0; ; shift += 7 {
		b, err := f.r.ReadByte()
		if errors.Is(err, io.EOF) {
			return 0, io.ErrUnexpectedEOF
		} else if err != nil {
			return 0, err
		}
		n |= uint64(b&0x7f) << shift
		if n > uint64(f.limit) || shift > 28 {
			return 0, fmt.Errorf("%w: frame of more than %d bytes", ErrProtocol, f.limit)
		}
		if b < 0x80 {
			return int(n), nil
		}
	}
}

// itemFollows reports whether a whole frame with an item is in the buffer of r, which is f's
// reader: then next does not wait, and does not fail.
func (f *frameReader) itemFollows(r *bufio.Reader) bool {
	head, _ := r.Peek(min(frameHead, r.Buffered())) // never fails
	if len(head) < 2 || frameKind(head[0]) != frameItem {
		return false
	}
	n, width := binary.Uvarint(head[1:])
	return width > 0 && n > 0 && n <= uint64(min(f.limit, r.Buffered()-1-width))
}

func (f *frameReader) content(n int) ([]byte, error) {
	switch {
	case n == 0:
		return nil, nil
	case n <= slabSize/4:
		if len(f.slab) < n { // most channels have few items: they get little
			f.slabs = min(max(2*f.slabs, n, firstSlab), slabSize)
			f.slab = make([]byte, f.slabs)
		}
		b := f.slab[:n:n]
		f.slab = f.slab[n:]
		_, err := io.ReadFull(f.r, b)
		return b, err
	}
	b := f.spare.get(n)
	if b == nil {
		b = make([]byte, min(n, readAhead))
	}
	read := 0
	for {
		m, err := io.ReadFull(f.r, b[read:])
		read += m
		if err != nil || read == n {
			return b, err
		}
		grown := make([]byte, min(n, 2*len(b)))
		copy(grown, b)
		b = grown
	}
}
