package gateway

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// socketConn is the client's end of a connection to an agent that a SocketServer runs: its bytes
// and its process. It owns readLoop and the goroutines that say that it is closed, interrupted or
// killed; they end with the connection, and wait joins them.
type socketConn struct {
	raw net.Conn // closing it wakes whatever is blocked
	in  socketReader
	out *socketWriter

	data     *io.PipeReader // what the agent sends
	toData   *io.PipeWriter
	copyTo   io.Writer // gets the agent's standard error; nil for nobody
	tail     tail
	endedc   chan struct{} // closed when readLoop has ended and status is set
	status   string        // how the agent ended; empty when that is not known
	cut      string        // what it means that the connection ends without a status, for stderr
	closing  sync.Once
	killing  sync.Once
	speaking sync.WaitGroup

	mu   sync.Mutex // guards mute
	mute bool       // nothing more is to be said
}

func newSocketConn(raw, conn net.Conn, in socketReader, copyTo io.Writer) *socketConn {
	c := &socketConn{raw: raw, in: in, out: &socketWriter{w: conn}, copyTo: copyTo, endedc: make(chan struct{})}
	c.data, c.toData = io.Pipe()
	return c
}

// Read implements io.Reader. It returns io.EOF after what the agent has sent.
func (c *socketConn) Read(p []byte) (int, error) { return c.data.Read(p) }

// Write implements io.Writer.
func (c *socketConn) Write(p []byte) (int, error) { return c.out.write(socketData, p) }

// Close ends the agent's input and drops what it still sends. How it ends is still to be learned
// from wait.
func (c *socketConn) Close() error {
	c.closing.Do(func() {
		c.data.CloseWithError(net.ErrClosed)
		c.say(socketEnd, socketCloseWait, nil)
	})
	return nil
}

// interrupt implements process.
func (c *socketConn) interrupt() { c.say(socketInterrupt, socketKillWait, nil) }

// kill implements process. A server that does not confirm in time is left: it ends the agent when
// it notices.
func (c *socketConn) kill() {
	c.killing.Do(func() {
		c.data.CloseWithError(net.ErrClosed)
		c.say(socketKill, socketKillWait, c.endedc)
	})
}

// say sends an empty frame without blocking. The connection is cut when that and donec, unless it
// is nil, take longer than d.
func (c *socketConn) say(kind byte, d time.Duration, donec <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mute {
		return
	}
	c.speaking.Go(func() {
		late := time.AfterFunc(d, func() { c.raw.Close() })
		defer late.Stop()
		c.out.write(kind, nil) // a connection that has ended needs no telling
		if donec != nil {
			<-donec
		}
	})
}

// wait implements process. The agent's session was ended by the server when it tells the status.
func (c *socketConn) wait() string {
	<-c.endedc
	c.mu.Lock()
	c.mute = true
	c.mu.Unlock()
	c.raw.Close()
	c.speaking.Wait()
	return c.status
}

// stderr implements process.
func (c *socketConn) stderr() string { return c.tail.String() }

// errLeft is the end of a connection whose agent's side went of its own accord. What has become of
// the agent says nothing then.
var errLeft = errors.New("its host has left of its own accord")

// readLoop sorts what the server sends until it tells how the agent ended, or the connection ends.
func (c *socketConn) readLoop() {
	defer close(c.endedc)
	for {
		done, err := c.receive()
		if err == nil && !done {
			continue
		}
		if err == nil {
			err = io.EOF
		} else {
			io.WriteString(&c.tail, c.cut) // never fails
		}
		c.toData.CloseWithError(err) // does nothing when the agent's data had an end already
		return
	}
}

// receive takes one frame, and reports whether it was the last.
func (c *socketConn) receive() (done bool, err error) {
	kind, n, err := c.in.next()
	if err != nil {
		return false, err
	}
	switch kind {
	case socketData:
		return false, c.in.copyTo(c.toData, n)
	case socketStderr:
		var w io.Writer = &c.tail
		if c.copyTo != nil {
			w = io.MultiWriter(w, c.copyTo)
		}
		return false, c.in.copyTo(w, n)
	case socketStatus:
		c.status, err = readStatus(c.in, n)
		return true, err
	}
	if kind == socketLeave && n == 0 {
		return true, errLeft
	}
	if n != 0 || kind != socketEnd && kind != socketAlive {
		return false, fmt.Errorf("%w: frame of kind %d with %d bytes", ErrProtocol, kind, n)
	}
	if kind == socketEnd {
		c.toData.Close()
	}
	return false, nil
}
