package rsync

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync"

	"github.com/xdist-go/xdist/internal/ownfile"
)

const (
	// pieceSize is how many bytes of files go into one packet: enough to compress well, and little
	// enough that several are in memory.
	pieceSize = 256 << 10
	// smallFile is the size up to which files are sent complete, several in a packet.
	smallFile = 128 << 10
)

// fate is what has become of a file since the scan.
type fate byte

const (
	sentFate    fate = iota // here it is
	goneFate                // it has vanished
	changedFate             // it was written to, and needs another scan
)

// content reads the files of an image for all targets. Packets are kept for a while, so that
// targets that want the same at about the same time cost one reading and one compression. It may be
// used concurrently.
type content struct {
	img  *image
	keep bool // there is more than one target

	mu    sync.Mutex         // guards the fields below
	made  map[string]*packet // by what is in it
	order []string           // keys of made, oldest first
	size  int                // bytes in made
}

func newContent(img *image, keep bool) *content {
	return &content{img: img, keep: keep, made: make(map[string]*packet)}
}

// packet is made once, by whoever asks first.
type packet struct {
	once  sync.Once
	bytes []byte
	lost  lost
	err   error
}

// lost counts the files that a packet is without.
type lost struct{ gone, changed int }

// contentAtMost is how many bytes of packets are kept: what a target may be behind another before
// files are read again for it.
const contentAtMost = 64 << 20

// get returns the packet for a key, made by make when there is none.
func (c *content) get(key string, make func(p *packet)) *packet {
	if !c.keep {
		p := new(packet)
		make(p)
		return p
	}
	c.mu.Lock()
	p := c.made[key]
	if p == nil {
		p = new(packet)
		c.made[key] = p
		c.order = append(c.order, key)
	}
	c.mu.Unlock()
	p.once.Do(func() {
		make(p)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.size += len(p.bytes)
		for c.size > contentAtMost && c.order[0] != key {
			c.size -= len(c.made[c.order[0]].bytes)
			delete(c.made, c.order[0])
			c.order = c.order[1:]
		}
	})
	return p
}

// small makes a packet of complete small files: their number, for each its index, fate and size,
// and then their contents.
func (c *content) small(codec *codec, files []int) *packet {
	key := appendBool(nil, codec.plain)
	for _, i := range files {
		key = binary.AppendUvarint(key, uint64(i))
	}
	return c.get(string(key), func(p *packet) {
		head := binary.AppendUvarint(nil, uint64(len(files)))
		w := codec.scratch()
		defer codec.work.Put(w)
		body := w.body[:0]
		for _, i := range files {
			var ft fate
			before := len(body)
			if body, ft, p.err = c.appendFile(body, i); p.err != nil {
				return
			}
			p.lost.count(ft)
			head = binary.AppendUvarint(head, uint64(i))
			head = append(head, byte(ft))
			head = binary.AppendUvarint(head, uint64(len(body)-before))
		}
		w.body = body
		w.all = append(append(w.all[:0], head...), body...)
		p.bytes = codec.pack(filesPacket, w.all)
	})
}

func (l *lost) count(ft fate) {
	switch ft {
	case goneFate:
		l.gone++
	case changedFate:
		l.changed++
	}
}

// open opens a file of the image, nil if it has vanished or something else is in its place.
func (c *content) open(i int) (*os.File, error) {
	f, err := ownfile.Open(c.img.tree.file(c.img.entries[i].path))
	if gone(err) || errors.Is(err, fs.ErrInvalid) {
		return nil, nil
	}
	return f, err
}

// appendFile appends the content of a small file to b, nothing if it is not as it was.
func (c *content) appendFile(b []byte, i int) ([]byte, fate, error) {
	f, err := c.open(i)
	if err != nil || f == nil {
		return b, goneFate, err
	}
	defer f.Close()
	size := int(c.img.entries[i].size)
	start := len(b)
	b = slices.Grow(b, size)[:start+size]
	_, err = io.ReadFull(f, b[start:])
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return b[:start], changedFate, nil
	}
	if err != nil {
		return b[:start], sentFate, fmt.Errorf("read %s: %w", f.Name(), err)
	}
	same, err := c.unchanged(f, i, b[start:])
	if err != nil || !same {
		return b[:start], changedFate, err
	}
	return b, sentFate, nil
}

// unchanged reports whether an open file is as the scan has found it. What was read of it is looked
// at when the stat may not tell; nil is not looked at, because the receiver checks it.
func (c *content) unchanged(f *os.File, i int, read []byte) (bool, error) {
	info, err := f.Stat()
	if err != nil {
		return false, err
	}
	was := c.img.seen[i]
	if statOf(info) != was.fileStat {
		return false, nil
	}
	if !was.fresh || read == nil {
		return true, nil
	}
	return sumOf(read) == c.img.entries[i].sum, nil
}

// Flags of a piece.
const (
	pieceData  byte = 0 // bytes of the file
	pieceDelta byte = 1 // ops
	pieceEnd   byte = 2 // the fate; the file is complete
)

// piece makes a packet of a part of a file: flag, index, and what there is.
func (c *codec) piece(flag byte, i int, body []byte) []byte {
	w := c.scratch()
	defer c.work.Put(w)
	w.all = append(binary.AppendUvarint(append(w.all[:0], flag), uint64(i)), body...)
	return c.pack(piecePacket, w.all)
}

// large sends a file in pieces, from an offset on.
func (c *content) large(ctx context.Context, codec *codec, i int, offset int64, send func([]byte) error) (fate, error) {
	f, err := c.open(i)
	if err != nil {
		return 0, err
	}
	if f == nil {
		return goneFate, send(codec.piece(pieceEnd, i, []byte{byte(goneFate)}))
	}
	defer f.Close()
	ft := sentFate
	for size := c.img.entries[i].size; offset < size && ft == sentFate; offset += pieceSize {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		n := min(pieceSize, size-offset)
		p := c.get(fmt.Sprintf("%v %d@%d", codec.plain, i, offset), func(p *packet) {
			w := codec.scratch()
			defer codec.work.Put(w)
			w.body = slices.Grow(w.body[:0], int(n))[:n]
			if _, p.err = f.ReadAt(w.body, offset); p.err == nil {
				p.bytes = codec.piece(pieceData, i, w.body)
			}
		})
		switch {
		case errors.Is(p.err, io.EOF):
			ft = changedFate
		case p.err != nil:
			return 0, fmt.Errorf("read %s: %w", f.Name(), p.err)
		default:
			if err := send(p.bytes); err != nil {
				return 0, err
			}
		}
	}
	err = c.endPiece(codec, f, i, &ft, send)
	return ft, err
}

// endPiece tells how the file that was sent in pieces has turned out.
func (c *content) endPiece(codec *codec, f *os.File, i int, ft *fate, send func([]byte) error) error {
	same, err := c.unchanged(f, i, nil)
	if err != nil {
		return err
	}
	if !same {
		*ft = changedFate
	}
	return send(codec.piece(pieceEnd, i, []byte{byte(*ft)}))
}

// delta sends what makes the new file of the one that was signed.
func (c *content) delta(ctx context.Context, codec *codec, i int, s *signature, send func([]byte) error) (fate, error) {
	f, err := c.open(i)
	if err != nil {
		return 0, err
	}
	if f == nil {
		return goneFate, send(codec.piece(pieceEnd, i, []byte{byte(goneFate)}))
	}
	defer f.Close()
	ft := sentFate
	err = diff(io.LimitReader(f, c.img.entries[i].size), s, func(ops []byte) error {
		if err := ctx.Err(); err != nil || len(ops) == 0 {
			return err
		}
		return send(codec.piece(pieceDelta, i, ops))
	})
	if err != nil {
		return 0, fmt.Errorf("send changes of %s: %w", f.Name(), err)
	}
	err = c.endPiece(codec, f, i, &ft, send)
	return ft, err
}
