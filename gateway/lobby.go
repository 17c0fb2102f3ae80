package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"
)

// Limits on connections that have not proved the shared key, where nobody has set others.
const (
	defaultHandshakes       = 512
	defaultHandshakeTimeout = 10 * time.Second
)

// lobby takes connections in and bounds how many may be without a proof of the shared key. Its
// methods may be called concurrently.
type lobby struct {
	limit  int
	logger *slog.Logger

	mu        sync.Mutex // guards strangers
	strangers []net.Conn // without a proof of the key, oldest first
}

// Pauses after an error of Accept: the process may be out of file descriptors, which passes.
const (
	minAcceptPause = 5 * time.Millisecond
	maxAcceptPause = time.Second
)

// acceptLoop hands each connection, as a stranger's, to serve, which must not block. It returns
// when the listener is closed.
func (l *lobby) acceptLoop(ctx context.Context, ln net.Listener, serve func(net.Conn)) error {
	return acceptAll(ctx, ln, l.logger, func(conn net.Conn) {
		l.admit(conn)
		serve(conn)
	})
}

// acceptAll hands each connection to serve. It returns when the listener is closed, or ctx has
// ended. The logger may be nil.
func acceptAll(ctx context.Context, ln net.Listener, logger *slog.Logger, serve func(net.Conn)) error {
	pause := time.Duration(0)
	for {
		conn, err := ln.Accept()
		if err == nil {
			pause = 0
			serve(conn)
			continue
		}
		if errors.Is(err, net.ErrClosed) || ctx.Err() != nil {
			return err
		}
		pause = min(max(2*pause, minAcceptPause), maxAcceptPause)
		if logger != nil {
			logger.Warn("cannot accept a connection", "error", err, "pause", pause)
		}
		within(pause, ctx.Done())
	}
}

// admit counts a new connection as a stranger's, and closes the oldest stranger's if there are too
// many.
func (l *lobby) admit(conn net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.strangers) >= l.limit {
		l.strangers[0].Close()
		l.strangers = slices.Delete(l.strangers, 0, 1)
	}
	l.strangers = append(l.strangers, conn)
}

// known takes a connection out of the strangers'. It reports whether it was there still.
func (l *lobby) known(conn net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.strangers, conn)
	if i < 0 {
		return false
	}
	l.strangers = slices.Delete(l.strangers, i, i+1)
	return true
}

// hangUp closes the strangers' connections.
func (l *lobby) hangUp() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, conn := range l.strangers {
		conn.Close()
	}
}
