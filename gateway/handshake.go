package gateway

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// Wire constants of the handshake; PROTOCOL.md describes it.
const (
	// ProtocolVersion is the version of the wire protocol. Both sides must have the same.
	ProtocolVersion uint16 = 3
	// magic precedes each side's hello. It holds bytes that no banner does.
	magic = "\x00xdist gateway\n"
	// maxNoise is how many bytes of banners and shell chatter are skipped in search of magic.
	maxNoise = 64 << 10
	// maxHello is the size in bytes of the largest hello.
	maxHello = 64 << 10
)

// hello is what the controller sends first.
type hello struct {
	Gateway     string `cbor:"1,keyasint"`           // id, for messages
	Nonce       uint64 `cbor:"2,keyasint"`           // names this connection in channel references
	MaxItem     int    `cbor:"3,keyasint"`           // bytes of one item
	MaxChannels int    `cbor:"4,keyasint"`           // open at once
	Window      int    `cbor:"5,keyasint"`           // bytes of a stream's window
	Lease       int64  `cbor:"6,keyasint"`           // milliseconds; not positive is for ever
	Grace       int64  `cbor:"7,keyasint"`           // milliseconds that handlers get to return at the end
	Chdir       string `cbor:"8,keyasint,omitempty"` // directory to create and enter
	Nice        int    `cbor:"9,keyasint,omitempty"` // to be added to the niceness
	Frame       int    `cbor:"10,keyasint"`          // bytes that a frame of the multiplexer carries

	Compress string `cbor:"11,keyasint,omitempty"` // form in which all that follows the handshake is compressed
}

// welcome is the agent's answer.
type welcome struct {
	Error string `cbor:"1,keyasint,omitempty"` // why the agent cannot serve; the rest is then missing
	Info  Info   `cbor:"2,keyasint"`
}

// Info says where and what an agent is.
type Info struct {
	Pid        int    `cbor:"1,keyasint"`
	Hostname   string `cbor:"2,keyasint"`
	GOOS       string `cbor:"3,keyasint"`
	GOARCH     string `cbor:"4,keyasint"`
	CPUs       int    `cbor:"5,keyasint"` // usable ones, see UsableCPUs
	Dir        string `cbor:"6,keyasint"` // working directory
	Executable string `cbor:"7,keyasint"`
	Version    string `cbor:"8,keyasint"` // of the agent's main module, as its build recorded it
	GoVersion  string `cbor:"9,keyasint"` // of the Go that built the agent
	Niceness   int    `cbor:"10,keyasint"`
	Load       Load   `cbor:"11,keyasint,omitzero"` // when it was asked; Refresh asks again
}

// bufferedConn is a connection whose first bytes were read ahead by the handshake.
type bufferedConn struct {
	io.ReadWriteCloser
	r *bufio.Reader
}

// connBuffer is the size in bytes of the buffer below the multiplexer: several small frames arrive
// with one system call, and little of a large one, which is read to where it is wanted, gets in.
const connBuffer = 4 << 10

func newBufferedConn(conn io.ReadWriteCloser) *bufferedConn {
	return &bufferedConn{conn, bufio.NewReaderSize(conn, connBuffer)}
}

// Read implements io.Reader.
func (c *bufferedConn) Read(p []byte) (int, error) { return c.r.Read(p) }

// greet is the controller's side of the handshake. It closes conn when ctx ends meanwhile.
func greet(ctx context.Context, conn *bufferedConn, h hello) (Info, error) {
	stop := context.AfterFunc(ctx, func() { conn.Close() }) // wakes the reads and writes below
	defer stop()
	var w welcome
	err := writeGreeting(conn, ProtocolVersion, h)
	// What can be read tells more than a failed write: the agent, or what was started in its place,
	// may have said why.
	if readErr := readGreeting(conn.r, &w); readErr != nil {
		err = readErr
	} else if w.Error != "" {
		err = errors.New(w.Error)
	}
	if !stop() || err != nil && ctx.Err() != nil { // somebody else may have closed conn for that
		err = ctx.Err()
	}
	if err != nil {
		return Info{}, fmt.Errorf("handshake: %w", err)
	}
	return w.Info, nil
}

// welcomeController is the agent's side of the handshake: apply obeys the settings in the hello.
func welcomeController(ctx context.Context, conn *bufferedConn, apply func(hello) (Info, error)) (hello, error) {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	var h hello
	var w welcome
	err := readGreeting(conn.r, &h)
	if err == nil {
		err = h.check()
	}
	if err == nil {
		w.Info, err = apply(h)
	}
	if err != nil {
		w = welcome{Error: err.Error()}
	}
	if writeErr := writeGreeting(conn, ProtocolVersion, w); err == nil {
		err = writeErr
	}
	if !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		return hello{}, fmt.Errorf("handshake: %w", err)
	}
	return h, nil
}

// check refuses limits with which nothing can work, or by which a peer would take all memory.
func (h *hello) check() error {
	for _, l := range []struct {
		name          string
		value, lo, hi int
	}{
		{"item size", h.MaxItem, minItemSize, maxItemSize},
		{"number of channels", h.MaxChannels, 1, maxMaxChannels},
		{"window", h.Window, minWindow, maxWindow},
		{"multiplexer frame", h.Frame, minFrame, maxFrame},
	} {
		if l.value < l.lo || l.value > l.hi {
			return fmt.Errorf("%w: %s %d is not from %d to %d", ErrProtocol, l.name, l.value, l.lo, l.hi)
		}
	}
	if h.Compress != "" && h.Compress != compressZstd {
		return fmt.Errorf("compress with %q: only %s is known", h.Compress, compressZstd)
	}
	return nil
}

// Bounds of what the two sides can agree on.
const (
	minItemSize    = 64 << 10 // bytes; every control frame fits
	maxItemSize    = 1 << 30  // bytes
	maxMaxChannels = 1 << 20
	maxWindow      = 256 << 20 // bytes
	minFrame       = 64 << 10  // bytes
	maxFrame       = 256 << 10 // bytes
)

func (h *hello) lease() time.Duration { return time.Duration(h.Lease) * time.Millisecond }
func (h *hello) grace() time.Duration { return time.Duration(h.Grace) * time.Millisecond }

func writeGreeting(w io.Writer, version uint16, v any) error {
	content, err := encMode.Marshal(v)
	if err != nil {
		return err
	}
	if len(content) > maxHello {
		return fmt.Errorf("hello of %d bytes is too large", len(content))
	}
	b := binary.BigEndian.AppendUint16([]byte(magic), version)
	b = binary.BigEndian.AppendUint32(b, uint32(len(content)))
	_, err = w.Write(append(b, content...))
	return err
}

// readGreeting searches for the peer's magic and decodes what follows into *v. The errors are
// *VersionError, ErrProtocol, or that of the reader.
func readGreeting(r *bufio.Reader, v any) error {
	if err := skipNoise(r); err != nil {
		return err
	}
	var head [6]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return fmt.Errorf("connection ended in the hello: %w", err)
	}
	if version := binary.BigEndian.Uint16(head[:]); version != ProtocolVersion {
		return &VersionError{Ours: ProtocolVersion, Theirs: version}
	}
	n := binary.BigEndian.Uint32(head[2:])
	if n > maxHello {
		return fmt.Errorf("%w: hello of %d bytes", ErrProtocol, n)
	}
	content := make([]byte, n)
	if _, err := io.ReadFull(r, content); err != nil {
		return fmt.Errorf("connection ended in the hello: %w", err)
	}
	if err := decMode.Unmarshal(content, v); err != nil {
		return fmt.Errorf("%w: hello: %w", ErrProtocol, err)
	}
	return nil
}

// skipNoise reads up to and including magic.
func skipNoise(r *bufio.Reader) error {
	var noise []byte
	for len(noise) < maxNoise+len(magic) {
		b, err := r.ReadByte()
		if err != nil {
			return fmt.Errorf("connection ended before the hello%s: %w", excerpt(noise), err)
		}
		noise = append(noise, b)
		if b == magic[len(magic)-1] && bytes.HasSuffix(noise, []byte(magic)) {
			return nil
		}
	}
	return fmt.Errorf("%w: no hello in the first %d bytes%s", ErrProtocol, maxNoise, excerpt(noise))
}

// excerptAtMost is the number of bytes of noise that an error shows.
const excerptAtMost = 400

// excerpt quotes the end of what came instead of a hello, which says most often what is wrong.
func excerpt(noise []byte) string {
	noise = bytes.ReplaceAll(noise, []byte(announcement), nil)
	if len(noise) == 0 {
		return ""
	}
	return fmt.Sprintf(", after %q", noise[max(0, len(noise)-excerptAtMost):])
}
