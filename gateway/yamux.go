package gateway

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
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

const (
	// acceptBacklog is the number of streams that may wait for the peer's accept loop, which never
	// blocks for long.
	acceptBacklog = 256
	// minWindow is the smallest window in bytes that yamux allows, and what each stream begins
	// with.
	minWindow = 256 << 10
	// writeAtMost is the size in bytes of what one yamux frame carries, so that many channels share
	// a slow connection fairly and the beat is not stuck behind one of them.
	writeAtMost = 64 << 10
)

// yamuxMux is the mux of real connections. It speaks hashicorp/yamux's protocol, with which tests
// compare it, but moves bulk data from the connection straight to who waits for it, and from Send's
// buffer straight to the connection, where that library copies each byte five times more.
//
// It owns two goroutines, readLoop and updateLoop, which end in close, or when the connection does.
// readLoop never writes: two sides that wait for each other to read would wait for ever.
type yamuxMux struct {
	side   side
	conn   io.ReadWriteCloser
	r      *bufio.Reader
	window uint32 // bytes that a stream may have in its buffers, from its second frame on
	count  atomic.Int64
	chunks sync.Pool // *[chunkSize]byte

	opening sync.Mutex    // held while a stream is opened, so that ids reach the peer in order
	backlog chan struct{} // capacity acceptBacklog: a token for each stream that the peer has not yet accepted
	writing sync.Mutex    // held while a frame is written

	loops     sync.WaitGroup
	closeOnce sync.Once
	donec     chan struct{} // closed when readLoop has ended and err is set
	err       error         // why readLoop ended; to be read after donec
	acceptc   chan struct{} // capacity 1, never closed: waiting has grown
	duec      chan struct{} // capacity 1, never closed: due has grown

	mu       sync.Mutex // guards the fields below; a stream's is taken before it, never after
	ended    bool       // readLoop has ended and err is set
	streams  map[uint32]*yamuxStream
	next     uint32         // id of the next stream to open
	accepted uint32         // highest id that the peer has opened
	waiting  []*yamuxStream // opened by the peer and not yet accepted
	due      []*yamuxStream // have credit to give back to the peer
}

func newYamux(s side, conn *bufferedConn, window int) *yamuxMux {
	m := &yamuxMux{
		side: s, conn: conn.ReadWriteCloser, r: conn.r, window: uint32(window),
		backlog: make(chan struct{}, acceptBacklog),
		donec:   make(chan struct{}), acceptc: make(chan struct{}, 1), duec: make(chan struct{}, 1),
		streams: make(map[uint32]*yamuxStream), next: s.firstID(),
	}
	m.loops.Go(m.readLoop)
	m.loops.Go(m.updateLoop)
	return m
}

func (m *yamuxMux) open() (stream, error) {
	select {
	case m.backlog <- struct{}{}:
	case <-m.donec:
		return nil, m.err
	}
	m.opening.Lock()
	defer m.opening.Unlock()
	m.mu.Lock()
	if m.ended {
		m.mu.Unlock()
		return nil, m.err
	}
	s := newYamuxStream(m, m.next, muxFlagSYN)
	m.next += 2
	m.streams[s.number] = s
	m.mu.Unlock()
	if err := s.update(); err != nil {
		return nil, err
	}
	return s, nil
}

func (m *yamuxMux) accept() (stream, error) {
	for {
		m.mu.Lock()
		if len(m.waiting) > 0 {
			s := m.waiting[0]
			m.waiting = m.waiting[1:]
			m.mu.Unlock()
			if err := s.update(); err != nil {
				return nil, err
			}
			return s, nil
		}
		m.mu.Unlock()
		select {
		case <-m.acceptc:
		case <-m.donec:
			return nil, m.err
		}
	}
}

func (m *yamuxMux) received() int64 { return m.count.Load() }

func (m *yamuxMux) close() error {
	var err error
	m.closeOnce.Do(func() { err = m.conn.Close() })
	m.loops.Wait()
	return err
}

// readLoop reads frames until the connection ends or the peer breaks the rules.
func (m *yamuxMux) readLoop() {
	var err error
	for err == nil {
		var h [muxHeader]byte
		if err = m.readFull(h[:]); err == nil {
			err = m.handle(&h)
		}
	}
	m.err = err
	m.mu.Lock()
	m.ended = true
	streams := slices.Collect(maps.Values(m.streams))
	m.mu.Unlock()
	close(m.donec)
	for _, s := range streams { // without m.mu, because a stream's comes before it
		s.end()
	}
}

// read is a read from the connection that counts.
func (m *yamuxMux) read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	m.count.Add(int64(n))
	return n, err
}

func (m *yamuxMux) readFull(p []byte) error {
	for len(p) > 0 {
		n, err := m.read(p)
		if err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

// handle obeys one frame. The checks come before anything is allocated.
func (m *yamuxMux) handle(h *[muxHeader]byte) error {
	flags, id, length := binary.BigEndian.Uint16(h[2:]), binary.BigEndian.Uint32(h[4:]), binary.BigEndian.Uint32(h[8:])
	switch kind := h[1]; {
	case h[0] != 0 || kind > muxGoAway:
		return fmt.Errorf("%w: multiplexer frame of version %d and type %d", ErrProtocol, h[0], kind)
	case kind == muxPing:
		return fmt.Errorf("%w: multiplexer ping", ErrProtocol)
	case kind == muxGoAway:
		if length != 0 {
			return fmt.Errorf("peer gave the connection up: multiplexer error %d", length)
		}
		return nil
	case flags&muxFlagRST != 0:
		return fmt.Errorf("peer gave stream %d up", id)
	case flags&muxFlagSYN != 0:
		if err := m.admit(id); err != nil {
			return err
		}
	}
	m.mu.Lock()
	s := m.streams[id]
	m.mu.Unlock()
	var err error
	switch {
	case s == nil && h[1] == muxData:
		err = m.skip(length)
	case s == nil:
	case h[1] == muxData:
		err = m.readBody(s, length)
	default:
		err = s.grant(length)
	}
	if s == nil || err != nil {
		return err
	}
	return s.flagged(flags)
}

// admit registers a stream that the peer opens.
func (m *yamuxMux) admit(id uint32) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case id == 0 || !m.side.foreign(id):
		return fmt.Errorf("%w: stream %d opened by the wrong side", ErrProtocol, id)
	case id <= m.accepted:
		return fmt.Errorf("%w: stream %d opened out of order", ErrProtocol, id)
	case len(m.waiting) == acceptBacklog:
		return fmt.Errorf("%w: more than %d streams opened at once", ErrProtocol, acceptBacklog)
	}
	m.accepted = id
	s := newYamuxStream(m, id, muxFlagACK)
	m.streams[id] = s
	m.waiting = append(m.waiting, s)
	wake(m.acceptc)
	return nil
}

// skip drops what comes for a stream that is over.
func (m *yamuxMux) skip(n uint32) error {
	skipped, err := io.CopyN(io.Discard, m.r, int64(n))
	m.count.Add(skipped)
	return err
}

// readBody moves n bytes of a frame from the connection to s.
func (m *yamuxMux) readBody(s *yamuxStream, n uint32) error {
	if err := s.charge(n); err != nil {
		return err
	}
	for n > 0 {
		k, err := m.read(s.space(n))
		s.filled(k)
		if err != nil {
			return err
		}
		n -= uint32(k)
	}
	return nil
}

// send writes one frame.
func (m *yamuxMux) send(frame []byte) error {
	m.writing.Lock()
	defer m.writing.Unlock()
	_, err := m.conn.Write(frame)
	return err
}

// schedule has updateLoop give credit of s back to the peer.
func (m *yamuxMux) schedule(s *yamuxStream) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.due = append(m.due, s)
	wake(m.duec)
}

func (m *yamuxMux) updateLoop() {
	var streams []*yamuxStream
	for {
		select {
		case <-m.duec:
		case <-m.donec:
			return
		}
		m.mu.Lock()
		streams, m.due = m.due, streams[:0]
		m.mu.Unlock()
		for _, s := range streams {
			if s.update() != nil {
				return // the connection is gone, which readLoop tells
			}
		}
		clear(streams)
	}
}

// forget takes a stream that has ended in both directions out of the table.
func (m *yamuxMux) forget(s *yamuxStream) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.streams, s.number)
}

// streamEnd is what a stream's reader is told after readLoop has ended.
func (m *yamuxMux) streamEnd() error {
	if errors.Is(m.err, ErrProtocol) || errors.Is(m.err, ErrLease) || errors.Is(m.err, errLeft) {
		return m.err
	}
	return io.EOF
}

// getChunk returns a piece of receive buffer for n bytes, or for some of them.
func (m *yamuxMux) getChunk(n uint32) []byte {
	if n <= smallChunk {
		return make([]byte, smallChunk)
	}
	if b, ok := m.chunks.Get().(*[chunkSize]byte); ok {
		return b[:]
	}
	return new([chunkSize]byte)[:]
}

func (m *yamuxMux) putChunk(b []byte) {
	if len(b) == chunkSize {
		m.chunks.Put((*[chunkSize]byte)(b))
	}
}
