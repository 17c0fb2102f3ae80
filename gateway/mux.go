package gateway

import (
	"fmt"
	"io"
	"log"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/yamux"
)

// mux carries many streams over one connection. Everything above is written against it, because yamux cannot
// be used in more than one testing/synctest bubble: tests put one in memory in its place.
type mux interface {
	// open starts a stream. It may block while the peer takes none, until close.
	open() (stream, error)
	// accept waits for the next stream that the peer started, in the order in which it did.
	accept() (stream, error)
	// received returns the number of bytes that have come from the peer: it grows while the peer lives.
	received() int64
	// close ends every stream and the connection, and waits for the mux's goroutines. What has arrived stays readable.
	close() error
}

// stream is one stream. Close ends only the sending direction; the peer reads io.EOF after what was written. Read also
// returns io.EOF when the mux is closed.
type stream interface {
	io.ReadWriteCloser
	// id is the same number on both sides, and unique for the life of the mux. It is odd when the controller opened
	// the stream, and even when the agent did, and each side's grow in the order of opening.
	id() uint32
}

// side says which end of the connection this is.
type side int

const (
	controllerSide side = iota
	agentSide
)

// foreign reports whether a stream with this id was opened by the peer.
func (s side) foreign(id uint32) bool { return (id%2 == 0) == (s == controllerSide) }

const (
	// acceptBacklog is the number of streams that may wait for the peer's accept loop, which never blocks for long.
	acceptBacklog = 256
	// minWindow is the smallest window in bytes that yamux allows, and what each stream begins with.
	minWindow = 256 << 10
	// stalled is how long a write to the connection may take. The lease ends a connection that stalls; this is
	// only yamux's own limit, set out of the way.
	stalled = 24 * time.Hour
)

// yamuxMux is the mux of real connections. It owns yamux's two goroutines, which end in close.
type yamuxMux struct {
	session *yamux.Session
	conn    *frameConn
	opening sync.Mutex // held while a stream is opened, so that ids reach the peer in order
}

func newYamux(s side, conn io.ReadWriteCloser, window int, logger *slog.Logger) (*yamuxMux, error) {
	cfg := yamux.DefaultConfig()
	cfg.AcceptBacklog = acceptBacklog
	cfg.EnableKeepAlive = false // the lease does this, and also in the agent
	cfg.ConnectionWriteTimeout = stalled
	cfg.MaxStreamWindowSize = uint32(window)
	cfg.StreamOpenTimeout = 0 // costs a goroutine per stream; the lease covers it
	// A half-closed channel is a normal state that may last for hours.
	cfg.StreamCloseTimeout = 0
	cfg.LogOutput, cfg.Logger = nil, slogLogger(logger)
	fc := newFrameConn(conn, s)
	open := yamux.Client
	if s == agentSide {
		open = yamux.Server
	}
	session, err := open(fc, cfg)
	if err != nil {
		return nil, fmt.Errorf("start multiplexing: %w", err)
	}
	return &yamuxMux{session: session, conn: fc}, nil
}

func (m *yamuxMux) open() (stream, error) {
	m.opening.Lock()
	defer m.opening.Unlock()
	s, err := m.session.OpenStream()
	if err != nil {
		return nil, err
	}
	return yamuxStream{s}, nil
}

func (m *yamuxMux) accept() (stream, error) {
	s, err := m.session.AcceptStream()
	if err != nil {
		if cause := m.conn.fault(); cause != nil {
			err = cause
		}
		return nil, err
	}
	return yamuxStream{s}, nil
}

func (m *yamuxMux) received() int64 { return m.conn.count.Load() }
func (m *yamuxMux) close() error    { return m.session.Close() }

type yamuxStream struct{ *yamux.Stream }

func (s yamuxStream) id() uint32 { return s.StreamID() }

// slogLogger lets yamux's remarks through to an injected logger only; by itself it writes to os.Stderr.
func slogLogger(logger *slog.Logger) *log.Logger {
	if logger == nil {
		return log.New(io.Discard, "", 0)
	}
	return log.New(logWriter{logger}, "", 0)
}

type logWriter struct{ logger *slog.Logger }

func (w logWriter) Write(p []byte) (int, error) {
	w.logger.Debug(strings.TrimSpace(string(p)))
	return len(p), nil
}
