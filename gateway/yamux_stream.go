package gateway

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"sync"
)

const (
	// fillAtLeast is the size in bytes from which on a Read waits until its buffer is full.
	fillAtLeast = 16 << 10
	// chunkSize is the size in bytes of pieces of a stream's receive buffer, and smallChunk that of
	// a piece for little.
	chunkSize  = 64 << 10
	smallChunk = 2 << 10
)

// yamuxStream is a stream of a yamuxMux. What arrives goes straight to a Read that waits, else to
// chunks.
type yamuxStream struct {
	mux    *yamuxMux
	number uint32

	mu      sync.Mutex // guards the fields below
	changed sync.Cond  // of mu: any of them has changed in a way that somebody may wait for

	flags    uint16 // to be sent with the next frame: SYN or ACK
	room     uint32 // bytes that the peer can take
	sentFIN  bool
	gotFIN   bool
	accepted bool // the peer has accepted the stream
	ended    bool // readLoop has ended

	left    uint32  // bytes that the peer may send
	credit  uint32  // bytes that were read since the peer was told
	due     bool    // updateLoop is to tell
	chunks  []chunk // arrived and not yet read
	filling bool    // readLoop is at work in the last chunk
	direct  bool    // readLoop is at work in want
	want    []byte  // what is still to be filled of the buffer of a Read that waits
}

// chunk is a piece of a receive buffer: b[r:w] is to be read.
type chunk struct {
	b    []byte
	r, w int
}

var _ stream = (*yamuxStream)(nil)

func newYamuxStream(m *yamuxMux, id uint32, flags uint16) *yamuxStream {
	s := &yamuxStream{
		mux: m, number: id, flags: flags,
		room: minWindow, left: minWindow, credit: m.window - minWindow,
	}
	s.accepted = flags == muxFlagACK
	s.changed.L = &s.mu
	return s
}

func (s *yamuxStream) id() uint32 { return s.number }

func (s *yamuxStream) Read(p []byte) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n = s.take(p)
	s.want = p[n:]
	full := len(p) >= fillAtLeast
	for len(s.want) > 0 && (full || len(s.want) == len(p)) && !s.gotFIN && !s.ended || s.direct {
		s.changed.Wait()
	}
	n = len(p) - len(s.want)
	s.want = nil
	if n > 0 || len(p) == 0 {
		return n, nil
	}
	if s.gotFIN {
		return 0, io.EOF
	}
	return 0, s.mux.streamEnd()
}

// take copies what has arrived to p. s.mu is held.
func (s *yamuxStream) take(p []byte) (n int) {
	for n < len(p) && len(s.chunks) > 0 {
		c := &s.chunks[0]
		k := copy(p[n:], c.b[c.r:c.w])
		c.r += k
		n += k
		if c.r < c.w || s.filling && len(s.chunks) == 1 {
			break
		}
		s.mux.putChunk(c.b)
		s.chunks[0] = chunk{}
		s.chunks = s.chunks[1:]
	}
	if len(s.chunks) == 0 {
		s.chunks = nil
	}
	s.consumed(n)
	return n
}

// consumed gives bytes that left the receive buffer back to the peer, many at a time. s.mu is held.
func (s *yamuxStream) consumed(n int) {
	s.credit += uint32(n)
	if s.credit >= s.mux.window/2 && !s.due && !s.gotFIN {
		s.due = true
		s.mux.schedule(s)
	}
}

// charge takes n bytes of a frame from the window of the peer.
func (s *yamuxStream) charge(n uint32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n > s.left || s.gotFIN {
		return fmt.Errorf("%w: %d bytes on stream %d, which can take %d", ErrProtocol, n, s.number, s.left)
	}
	s.left -= n
	return nil
}

// space returns where readLoop is to put what comes next, at most n bytes. A call of filled must
// follow.
func (s *yamuxStream) space(n uint32) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.want) > 0 {
		s.direct = true
		return s.want[:min(int(n), len(s.want))]
	}
	s.filling = true
	if last := len(s.chunks) - 1; last < 0 || s.chunks[last].w == len(s.chunks[last].b) {
		s.chunks = append(s.chunks, chunk{b: s.mux.getChunk(n)})
	}
	c := &s.chunks[len(s.chunks)-1]
	return c.b[c.w:min(len(c.b), c.w+int(n))]
}

// filled says how many bytes were put there.
func (s *yamuxStream) filled(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.direct {
		s.direct = false
		s.want = s.want[n:]
		s.consumed(n)
	} else {
		s.filling = false
		s.chunks[len(s.chunks)-1].w += n
		if len(s.want) > 0 { // a Read has come meanwhile
			s.want = s.want[s.take(s.want):]
		}
	}
	s.changed.Broadcast()
}

// grant takes a window update.
func (s *yamuxStream) grant(n uint32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n > math.MaxUint32-s.room {
		return fmt.Errorf("%w: window of stream %d overflows", ErrProtocol, s.number)
	}
	s.room += n
	s.changed.Broadcast()
	return nil
}

// flagged obeys the flags of a frame, after what else was in it.
func (s *yamuxStream) flagged(flags uint16) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if flags&muxFlagACK != 0 && !s.accepted {
		s.accepted = true
		<-s.mux.backlog
	}
	if flags&muxFlagFIN == 0 {
		return nil
	}
	if s.gotFIN {
		return fmt.Errorf("%w: second end of stream %d", ErrProtocol, s.number)
	}
	s.gotFIN = true
	s.changed.Broadcast()
	if s.sentFIN {
		s.forgetLocked()
	}
	return nil
}

// forgetLocked ends the stream's life. s.mu is held.
func (s *yamuxStream) forgetLocked() {
	if !s.accepted { // the peer may have forgotten to say so, and now never will
		s.accepted = true
		<-s.mux.backlog
	}
	s.mux.forget(s)
}

// end wakes who waits: readLoop has ended.
func (s *yamuxStream) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.changed.Broadcast()
}

func (s *yamuxStream) write(b []byte) error {
	for len(b) > muxHeader {
		n, flags, err := s.reserve(min(len(b)-muxHeader, writeAtMost))
		if err != nil {
			return err
		}
		putMuxHeader(b, muxData, flags, s.number, uint32(n))
		if err := s.mux.send(b[:muxHeader+n]); err != nil {
			return err
		}
		b = b[n:] // the next header goes over bytes that were sent
	}
	return nil
}

// reserve waits until the peer can take some of n bytes, and returns how many, with the flags to
// send.
func (s *yamuxStream) reserve(n int) (int, uint16, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.room == 0 && !s.ended {
		s.changed.Wait()
	}
	if s.ended {
		return 0, 0, s.mux.err
	}
	n = int(min(uint32(n), s.room))
	s.room -= uint32(n)
	return n, s.takeFlags(), nil
}

// takeFlags returns what is to be sent once, with whichever frame comes first. s.mu is held.
func (s *yamuxStream) takeFlags() uint16 {
	flags := s.flags
	s.flags = 0
	return flags
}

// update tells the peer of credit, and what else it has to know.
func (s *yamuxStream) update() error {
	s.mu.Lock()
	flags, credit := s.takeFlags(), s.credit
	s.due, s.credit = false, 0
	s.left += credit
	s.mu.Unlock()
	return s.tell(flags, credit)
}

func (s *yamuxStream) tell(flags uint16, credit uint32) error {
	var h [muxHeader]byte
	putMuxHeader(h[:], muxWindow, flags, s.number, credit)
	return s.mux.send(h[:])
}

// Close implements io.Closer. A second call does nothing.
func (s *yamuxStream) Close() error {
	s.mu.Lock()
	if s.sentFIN {
		s.mu.Unlock()
		return nil
	}
	s.sentFIN = true
	flags := s.takeFlags()
	s.mu.Unlock()
	err := s.tell(flags|muxFlagFIN, 0)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gotFIN {
		s.forgetLocked()
	}
	return err
}

func putMuxHeader(b []byte, kind byte, flags uint16, id, length uint32) {
	b[0], b[1] = 0, kind
	binary.BigEndian.PutUint16(b[2:], flags)
	binary.BigEndian.PutUint32(b[4:], id)
	binary.BigEndian.PutUint32(b[8:], length)
}
