package gateway

import (
	"errors"
	"io"
	"math"
	"sync"

	"github.com/hashicorp/yamux"

	"github.com/xdist-go/xdist/xspec"
)

const (
	// acceptBacklog is the number of streams that may wait for the peer's accept loop, which never
	// blocks for long.
	acceptBacklog = 256
	// minWindow is the smallest window in bytes that yamux allows, and what each stream begins
	// with.
	minWindow = 256 << 10
)

// frameFor returns how many bytes one frame of the multiplexer carries. Between processes of one
// host a frame takes next to no time, and each costs two switches between goroutines. Elsewhere
// many channels share a slow connection, and the beat must not be stuck behind one of them. yamux
// keeps memory for the largest frame that it has sent, so that still larger ones are not worth it.
func frameFor(spec xspec.Spec) int {
	if spec.Popen && spec.Via == "" {
		return maxFrame
	}
	return minFrame
}

// yamuxMux is the mux of real connections, hashicorp/yamux. Its connection is a muxConn, which
// holds the peer to PROTOCOL.md. yamux has two goroutines, which end in close, or when the
// connection does. One of them reads and never writes: two sides that wait for each other to read
// would wait for ever.
type yamuxMux struct {
	session *yamux.Session
	conn    *muxConn
	frame   int        // bytes of the largest data frame
	opening sync.Mutex // held while a stream is opened, so that ids reach the peer in order
}

// newYamux owns conn. The peer has the same window and frame, in bytes.
func newYamux(s side, conn *bufferedConn, window, frame int) *yamuxMux {
	return newYamuxTaking(s, conn, window, window, frame)
}

// newYamuxTaking is newYamux for a side that takes a smaller window than the peer's.
func newYamuxTaking(s side, conn *bufferedConn, own, window, frame int) *yamuxMux {
	m := &yamuxMux{conn: newMuxConn(s, conn, window, frame), frame: frame}
	cfg := &yamux.Config{
		AcceptBacklog:       acceptBacklog,
		MaxStreamWindowSize: uint32(own),
		// The lease bounds how long anything takes; yamux's own bounds are off, and so are its
		// keep-alive and its log.
		ConnectionWriteTimeout: math.MaxInt64,
		KeepAliveInterval:      1,
		LogOutput:              io.Discard,
	}
	start := yamux.Client
	if s == agentSide {
		start = yamux.Server
	}
	var err error
	if m.session, err = start(m.conn, cfg); err != nil {
		panic("BUG: " + err.Error())
	}
	return m
}

func (m *yamuxMux) open() (stream, error) {
	m.opening.Lock()
	defer m.opening.Unlock()
	return m.made(m.session.OpenStream())
}

func (m *yamuxMux) accept() (stream, error) { return m.made(m.session.AcceptStream()) }

// made returns a stream, or why there is none: the connection knows it better than yamux.
func (m *yamuxMux) made(s *yamux.Stream, err error) (stream, error) {
	if err == nil {
		return &yamuxStream{s, m}, nil
	}
	if cause := m.conn.ended(); cause != nil {
		err = cause
	}
	return nil, err
}

func (m *yamuxMux) received() int64 { return m.conn.count.Load() }

func (m *yamuxMux) close() { m.session.Close() } // never fails

type yamuxStream struct {
	*yamux.Stream
	mux *yamuxMux
}

var _ stream = (*yamuxStream)(nil)

func (s *yamuxStream) id() uint32 { return s.StreamID() }

// Read implements stream. Once yamux has ended it returns io.EOF for whatever reason.
func (s *yamuxStream) Read(p []byte) (int, error) {
	n, err := s.Stream.Read(p)
	if err == io.EOF {
		cause := s.mux.conn.ended()
		if errors.Is(cause, ErrProtocol) || errors.Is(cause, ErrLease) || errors.Is(cause, errLeft) {
			err = cause
		}
	}
	return n, err
}

// Write implements stream.
func (s *yamuxStream) Write(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var sent int
		sent, err = s.Stream.Write(p[n:min(len(p), n+s.mux.frame)])
		n += sent
	}
	return n, err
}
