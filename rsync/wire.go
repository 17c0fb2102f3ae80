package rsync

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"

	"github.com/xdist-go/xdist/gateway"
)

// Handler is the name under which an agent has [Receive].
const Handler = "rsync"

// version of what the two sides say to each other. Both are built from the same source, or they do
// not talk.
const version = 5

// openArgs are the arguments of the handler.
type openArgs struct {
	Version int    `cbor:"1,keyasint"`
	Dir     string `cbor:"2,keyasint"`
	Delete  bool   `cbor:"3,keyasint,omitempty"`
	Clean   bool   `cbor:"4,keyasint,omitempty"`
	Wait    int64  `cbor:"5,keyasint,omitempty"` // milliseconds for the lock; 0 is for ever, negative is lockGrace
}

// begin says what the target is to look like. It begins a round.
type begin struct {
	Digest  []byte `cbor:"1,keyasint"` // of the manifest
	Entries int    `cbor:"2,keyasint"`
	Whole   bool   `cbor:"3,keyasint,omitempty"` // ask for whole files only
}

// answer is the receiver's to begin.
type answer struct {
	Known  bool   `cbor:"1,keyasint,omitempty"` // the manifest does not have to be sent
	Have   []byte `cbor:"2,keyasint,omitempty"` // digests of the chunks that do not have to be sent
	Report *tally `cbor:"3,keyasint,omitempty"` // the round has ended: nothing has to be sent
	Busy   bool   `cbor:"4,keyasint,omitempty"` // somebody else holds the lock, and there is no waiting
}

// tally is what a round has done at a receiver, and ends it.
type tally struct {
	Dir     string `cbor:"1,keyasint"` // absolute
	Files   int    `cbor:"2,keyasint,omitempty"`
	Patched int    `cbor:"3,keyasint,omitempty"`
	Resumed int    `cbor:"4,keyasint,omitempty"`
	Touched int    `cbor:"5,keyasint,omitempty"`
	Removed int    `cbor:"6,keyasint,omitempty"`
	Strange int    `cbor:"7,keyasint,omitempty"`
	Failed  int    `cbor:"8,keyasint,omitempty"` // files that did not come out right
}

// packetKind is the first byte of an item of bytes.
type packetKind byte

const (
	chunksPacket  packetKind = 'M' // parts of the manifest
	requestPacket packetKind = 'R' // what the receiver wants
	filesPacket   packetKind = 'S' // small files, complete
	piecePacket   packetKind = 'B' // a piece of a file, in order
	endPacket     packetKind = 'E' // no more of the kinds before
)

// packetAtMost bounds the content of a packet in bytes, so that what a peer sends takes no more
// memory than that. The largest are the signatures of huge files.
const packetAtMost = 8 << 20

// codec compresses and decompresses packets. It may be used concurrently. A copy shares what the
// codec has learnt of the way.
type codec struct {
	enc   *zstd.Encoder
	dec   *zstd.Decoder
	plain bool // compress nothing
	pace  *pace
	work  *sync.Pool // of *scratch
}

// scratch are buffers that are used again and again. They grow to what a packet takes.
type scratch struct {
	body   []byte // contents of files
	all    []byte // of a packet
	packed []byte
}

func (c *codec) scratch() *scratch {
	if w, ok := c.work.Get().(*scratch); ok {
		return w
	}
	return new(scratch)
}

func newCodec() *codec {
	n := min(runtime.GOMAXPROCS(0), 4) // more take memory, and the network is slower
	// A window of a packet's usual size, because each is compressed by itself.
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(n), zstd.WithWindowSize(512<<10), zstd.WithLowerEncoderMem(true))
	if err != nil {
		panic("BUG: " + err.Error())
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(n), zstd.WithDecoderMaxMemory(packetAtMost), zstd.WithDecoderLowmem(true))
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return &codec{enc: enc, dec: dec, pace: new(pace), work: new(sync.Pool)}
}

// close ends the decoder's goroutines, of which there are none while it is only used for whole
// packets.
func (c *codec) close() { c.dec.Close() }

// packetHead is the size of kind and form.
const packetHead = 2

const (
	plainForm byte = 0
	zstdForm  byte = 1
	s2Form    byte = 2
)

// pack makes a packet, compressed if that makes it smaller: with zstd where bytes take their time
// on the way, else with S2, which takes a quarter of zstd's time to make a third more bytes of
// source code.
func (c *codec) pack(k packetKind, content []byte) []byte {
	const worthwhile = 64 // bytes: less than that is hardly ever made smaller
	if len(content) >= worthwhile && !c.plain {
		w := c.scratch()
		defer c.work.Put(w)
		form := s2Form
		if c.pace.slow() {
			form = zstdForm
			w.packed = c.enc.EncodeAll(content, w.packed[:0])
		} else {
			w.packed = s2.Encode(w.packed[:cap(w.packed)], content)
		}
		if len(w.packed) < len(content) {
			content = w.packed
			return append(append(make([]byte, 0, packetHead+len(content)), byte(k), form), content...)
		}
	}
	return append(append(make([]byte, 0, packetHead+len(content)), byte(k), plainForm), content...)
}

var errBadPacket = errors.New("no packet")

// unpack returns a packet's kind and content, which may share memory with p.
func (c *codec) unpack(p []byte) (packetKind, []byte, error) { return c.unpackTo(nil, p) }

// unpackTo is unpack with memory for the content, which is used when it suffices.
func (c *codec) unpackTo(buf, p []byte) (packetKind, []byte, error) {
	if len(p) < packetHead {
		return 0, nil, errBadPacket
	}
	k, content := packetKind(p[0]), p[packetHead:]
	switch p[1] {
	case plainForm:
	case s2Form:
		n, err := s2.DecodedLen(content)
		if err == nil && n > packetAtMost {
			err = fmt.Errorf("%d bytes", n)
		}
		if err == nil {
			content, err = s2.Decode(slices.Grow(buf[:0], n)[:n], content)
		}
		if err != nil {
			return 0, nil, fmt.Errorf("%w: %w", errBadPacket, err)
		}
	case zstdForm:
		var err error
		if content, err = c.dec.DecodeAll(content, buf[:0]); err != nil {
			return 0, nil, fmt.Errorf("%w: %w", errBadPacket, err)
		}
	default:
		return 0, nil, errBadPacket
	}
	if len(content) > packetAtMost {
		return 0, nil, fmt.Errorf("%w: %d bytes", errBadPacket, len(content))
	}
	return k, content, nil
}

// unpackItem is unpack for an item as it comes from a channel.
func (c *codec) unpackItem(it gateway.Item) (packetKind, []byte, error) {
	b, err := it.Bytes()
	if err != nil {
		return 0, nil, err
	}
	return c.unpack(b)
}
