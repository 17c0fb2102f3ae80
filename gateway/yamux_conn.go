package gateway

import (
	"encoding/binary"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// yamux's frame: version, type, flags (2), stream id (4), length (4). See PROTOCOL.md.
const (
	muxHeader = 12 // bytes

	muxData   = 0
	muxWindow = 1
	muxPing   = 2
	muxGoAway = 3

	muxFlagSYN = 1
	muxFlagACK = 2
	muxFlagFIN = 4
	muxFlagRST = 8
)

// muxHead is the header of a frame.
type muxHead struct {
	version, kind byte
	flags         uint16
	id, length    uint32
}

func parseMuxHead(b []byte) muxHead {
	return muxHead{
		version: b[0], kind: b[1], flags: binary.BigEndian.Uint16(b[2:]),
		id: binary.BigEndian.Uint32(b[4:]), length: binary.BigEndian.Uint32(b[8:]),
	}
}

// bodyBytes is how much follows the header.
func (h muxHead) bodyBytes() int64 {
	if h.kind != muxData {
		return 0
	}
	return int64(h.length)
}

// muxConn is the connection below a yamux session: it shows every header to muxRules before yamux
// or the peer sees it. One goroutine may read and another write, which are yamux's.
type muxConn struct {
	conn  io.ReadWriteCloser
	r     io.Reader // conn, behind what the handshake has read ahead
	rules muxRules
	count atomic.Int64 // bytes that have come

	head [muxHeader]byte // of the header that comes, head[:got]
	got  int
	body int64 // bytes still to come of a frame's body

	writing sync.Mutex  // guards the fields below, and the order of writes
	out     []byte      // what waits to be written: frames that are held, the header that was written last, a small body
	joined  bool        // the next Write is the body of the frame in out
	broken  bool        // a write has failed
	late    *time.Timer // writes frames that are held; set once

	mu  sync.Mutex // guards err
	err error      // why nothing more comes
}

func newMuxConn(s side, conn *bufferedConn, window, frame int) *muxConn {
	c := &muxConn{conn: conn.ReadWriteCloser, r: conn.r, rules: newMuxRules(s, window, frame)}
	c.late = time.AfterFunc(holdFor, c.flushHeld)
	c.late.Stop() // or it finds nothing
	return c
}

// Read implements io.Reader.
func (c *muxConn) Read(p []byte) (int, error) {
	if err := c.ended(); err != nil {
		return 0, err
	}
	n, err := c.r.Read(p)
	c.count.Add(int64(n))
	n, refused := c.scan(p[:n])
	if refused != nil {
		err = refused
	}
	if err != nil {
		c.mu.Lock()
		c.err = err
		c.mu.Unlock()
		c.conn.Close() // yamux may have to write before it ends, and would wait for a peer that does not read
	}
	return n, err
}

// scan checks the headers in p. It returns how much of p may be shown to yamux, and why not all.
func (c *muxConn) scan(p []byte) (int, error) {
	for at := 0; at < len(p); {
		if c.body > 0 {
			n := min(c.body, int64(len(p)-at))
			c.body -= n
			at += int(n)
			continue
		}
		n := copy(c.head[c.got:], p[at:])
		c.got += n
		at += n
		if c.got < muxHeader {
			break
		}
		c.got = 0
		h := parseMuxHead(c.head[:])
		if err := c.rules.incoming(h); err != nil {
			return max(0, at-muxHeader), err
		}
		c.body = h.bodyBytes()
	}
	return len(p), nil
}

// ended returns why nothing more comes, or nil.
func (c *muxConn) ended() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// splitFrom is the size in bytes from which on a body is a write of its own: a second one costs
// less than the copy behind the header.
const splitFrom = 128 << 10

// holdFor is how long the beginning or the end of a stream may wait for the next frame, to be
// written with it. The opening of a stream is followed by its first data at once, and what it is
// acknowledged with by an answer: each write that is saved is one less for the peer to wake for.
const holdFor = time.Millisecond

// Write implements io.Writer. yamux writes header and body apart. An error is not told: it would
// end yamux at once, and with it what the peer has sent before it went. The end of reading tells.
func (c *muxConn) Write(p []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	switch {
	case !c.joined:
		h := parseMuxHead(p)
		c.rules.outgoing(h)
		c.out = append(c.out, p...)
		c.joined = h.bodyBytes() > 0
		switch {
		case c.joined:
		case h.kind == muxWindow && h.flags != 0 && len(c.out) < connBuffer:
			c.hold()
		default:
			c.flush()
		}
	case len(p) < splitFrom:
		c.joined = false
		c.out = append(c.out, p...)
		c.flush()
	default:
		c.joined = false
		c.flush()
		c.put(p)
	}
	return len(p), nil
}

// hold has the frames in out written soon. c.writing is held.
func (c *muxConn) hold() {
	if len(c.out) == muxHeader { // else it runs
		c.late.Reset(holdFor)
	}
}

// flushHeld writes what is held. A frame whose body is to come follows with that.
func (c *muxConn) flushHeld() {
	c.writing.Lock()
	defer c.writing.Unlock()
	if !c.joined {
		c.flush()
	}
}

// flush writes what waits. c.writing is held.
func (c *muxConn) flush() {
	if len(c.out) > 0 {
		c.put(c.out)
	}
	c.out = c.out[:0]
}

func (c *muxConn) put(b []byte) {
	if c.broken {
		return
	}
	_, err := c.conn.Write(b)
	c.broken = err != nil
}

// Close implements io.Closer. What is held is of streams that end with it.
func (c *muxConn) Close() error {
	c.late.Stop()
	return c.conn.Close()
}

// muxRules is what PROTOCOL.md forbids and yamux lets pass, or ends without saying why. It knows
// each stream by what either side may still send on it.
type muxRules struct {
	side          side
	window, frame uint32 // bytes

	mu      sync.Mutex        // guards the fields below
	opened  uint32            // highest id that the peer has opened
	waiting int               // streams that the peer has opened and this side has not acknowledged
	left    map[uint32]uint32 // bytes that the peer may send, by stream, until its FIN
	room    map[uint32]uint32 // bytes that this side may send, by stream, until its FIN
}

func newMuxRules(s side, window, frame int) muxRules {
	return muxRules{
		side: s, window: uint32(window), frame: uint32(frame),
		left: make(map[uint32]uint32), room: make(map[uint32]uint32),
	}
}

// incoming refuses a header of the peer's that breaks a rule.
func (r *muxRules) incoming(h muxHead) error {
	switch {
	case h.version != 0 || h.kind > muxGoAway:
		return fmt.Errorf("%w: multiplexer frame of version %d and type %d", ErrProtocol, h.version, h.kind)
	case h.kind == muxPing:
		return fmt.Errorf("%w: multiplexer ping", ErrProtocol)
	case h.kind == muxGoAway:
		return fmt.Errorf("peer gave the connection up: multiplexer error %d", h.length)
	case h.flags&muxFlagRST != 0:
		return fmt.Errorf("peer gave stream %d up", h.id)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if h.flags&muxFlagSYN != 0 {
		if err := r.admit(h.id); err != nil {
			return err
		}
	}
	left, sends := r.left[h.id]
	room, takes := r.room[h.id]
	switch {
	case h.kind == muxData && (!sends || h.length > min(left, r.frame)):
		return fmt.Errorf("%w: %d bytes on stream %d, which can take %d", ErrProtocol, h.length, h.id, min(left, r.frame))
	case h.kind == muxData && h.flags&muxFlagFIN != 0:
		return fmt.Errorf("%w: data with the end of stream %d", ErrProtocol, h.id)
	case h.flags&muxFlagFIN != 0 && !sends:
		return fmt.Errorf("%w: second end of stream %d", ErrProtocol, h.id)
	case h.kind == muxWindow && takes && h.length > r.window-room:
		return fmt.Errorf("%w: window of stream %d overflows", ErrProtocol, h.id)
	case h.flags&muxFlagFIN != 0:
		delete(r.left, h.id)
	case h.kind == muxData:
		r.left[h.id] -= h.length
	}
	if h.kind == muxWindow && takes {
		r.room[h.id] += h.length
	}
	return nil
}

// admit registers a stream that the peer opens. r.mu is held.
func (r *muxRules) admit(id uint32) error {
	switch {
	case id == 0 || !r.side.foreign(id):
		return fmt.Errorf("%w: stream %d opened by the wrong side", ErrProtocol, id)
	case id <= r.opened:
		return fmt.Errorf("%w: stream %d opened out of order", ErrProtocol, id)
	case r.waiting == acceptBacklog:
		return fmt.Errorf("%w: more than %d streams opened at once", ErrProtocol, acceptBacklog)
	}
	r.opened = id
	r.waiting++
	r.left[id], r.room[id] = minWindow, minWindow
	return nil
}

// outgoing notes a header of yamux's before it goes to the peer, which may answer at once.
func (r *muxRules) outgoing(h muxHead) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if h.flags&muxFlagSYN != 0 {
		r.left[h.id], r.room[h.id] = minWindow, minWindow
	}
	if h.flags&muxFlagACK != 0 {
		r.waiting--
	}
	_, sends := r.left[h.id]
	switch {
	case h.kind == muxData:
		r.room[h.id] -= h.length
	case h.kind == muxWindow && sends:
		r.left[h.id] += h.length
	}
	if h.flags&muxFlagFIN != 0 {
		delete(r.room, h.id)
	}
}
