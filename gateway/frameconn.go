package gateway

import (
	"encoding/binary"
	"fmt"
	"io"
	"sync/atomic"
)

// yamux's frame: version, type, flags (2), stream id (4), length (4).
const (
	muxHeader   = 12 // bytes
	muxData     = 0
	muxPing     = 2
	muxFlagSYN  = 1
	joinAtMost  = 128 << 10 // bytes of a body that are copied to be written along with their header
	headerTypeB = 1         // index of the type byte
)

// frameConn stands between yamux and the connection. On the way out it joins each header with the body that
// follows, which halves the system calls. On the way in it counts bytes and refuses frames by which a
// peer could make yamux allocate or confuse streams: pings, each of which starts a goroutine, and
// streams under our own ids. One goroutine reads and another writes.
type frameConn struct {
	io.ReadWriteCloser
	side  side
	count atomic.Int64 // bytes read

	header []byte // the part of the header read so far
	body   uint64 // bytes of the body still to be read
	bad    atomic.Pointer[error]

	pending []byte // header waiting for its body, then both
}

func newFrameConn(conn io.ReadWriteCloser, s side) *frameConn {
	return &frameConn{ReadWriteCloser: conn, side: s}
}

// fault returns the violation that ended reading, or nil.
func (c *frameConn) fault() error {
	if p := c.bad.Load(); p != nil {
		return *p
	}
	return nil
}

// Read implements io.Reader.
func (c *frameConn) Read(p []byte) (int, error) {
	if err := c.fault(); err != nil {
		return 0, err
	}
	n, err := c.ReadWriteCloser.Read(p)
	c.count.Add(int64(n))
	if bad := c.inspect(p[:n]); bad != nil {
		c.bad.Store(&bad)
		return 0, bad
	}
	return n, err
}

// inspect follows the frames in p.
func (c *frameConn) inspect(p []byte) error {
	for len(p) > 0 {
		if c.body > 0 {
			n := min(c.body, uint64(len(p)))
			c.body -= n
			p = p[n:]
			continue
		}
		n := min(muxHeader-len(c.header), len(p))
		c.header = append(c.header, p[:n]...)
		p = p[n:]
		if len(c.header) < muxHeader {
			return nil
		}
		if err := c.check(c.header); err != nil {
			return err
		}
		if c.header[headerTypeB] == muxData {
			c.body = uint64(binary.BigEndian.Uint32(c.header[8:]))
		}
		c.header = c.header[:0]
	}
	return nil
}

func (c *frameConn) check(h []byte) error {
	flags, id := binary.BigEndian.Uint16(h[2:]), binary.BigEndian.Uint32(h[4:])
	switch {
	case h[headerTypeB] == muxPing:
		return fmt.Errorf("%w: multiplexer ping", ErrProtocol)
	case flags&muxFlagSYN != 0 && (id == 0 || !c.side.foreign(id)):
		return fmt.Errorf("%w: stream %d opened by the wrong side", ErrProtocol, id)
	}
	return nil
}

// Write implements io.Writer. yamux writes each header alone, and then its body, if there is one.
func (c *frameConn) Write(p []byte) (int, error) {
	if len(c.pending) == 0 {
		if len(p) == muxHeader && p[headerTypeB] == muxData && binary.BigEndian.Uint32(p[8:]) > 0 {
			c.pending = append(c.pending, p...)
			return len(p), nil
		}
		return c.ReadWriteCloser.Write(p)
	}
	head := c.pending
	defer func() { c.pending = c.pending[:0] }()
	if len(p) <= joinAtMost {
		c.pending = append(head, p...)
		if _, err := c.ReadWriteCloser.Write(c.pending); err != nil {
			return 0, err
		}
		return len(p), nil
	}
	if _, err := c.ReadWriteCloser.Write(head); err != nil {
		return 0, err
	}
	return c.ReadWriteCloser.Write(p)
}
