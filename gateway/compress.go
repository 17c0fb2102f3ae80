package gateway

import (
	"bufio"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

const (
	// compressZstd is the one form in which a session can be compressed.
	compressZstd = "zstd"
	// compressWindow is how many bytes back a compressed session refers to, at most: the memory
	// that a peer can have us take for that.
	compressWindow = 1 << 20
)

// compressedConn is a connection whose bytes are zstd in each direction. One goroutine may read and
// another write.
type compressedConn struct {
	io.ReadWriteCloser
	from sourceReader // below in
	in   *zstd.Decoder
	out  *zstd.Encoder
}

// compressed returns conn as it is, or what compresses over it as the hello wants it, which the
// peer does too. It has no goroutines.
func compressed(conn *bufferedConn, form string) *bufferedConn {
	if form == "" {
		return conn
	}
	c := &compressedConn{ReadWriteCloser: conn.ReadWriteCloser, from: sourceReader{r: conn.r}}
	var err error
	// A concurrency of 1 is without goroutines, and a block is decoded when it has come.
	c.in, err = zstd.NewReader(&c.from, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(compressWindow))
	if err == nil {
		c.out, err = zstd.NewWriter(conn.ReadWriteCloser, zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true),
			zstd.WithWindowSize(compressWindow), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(false))
	}
	if err != nil {
		panic("BUG: " + err.Error()) // of the options
	}
	return &bufferedConn{c, bufio.NewReaderSize(c, connBuffer)}
}

// Write implements io.Writer. The peer can read p when it returns.
func (c *compressedConn) Write(p []byte) (int, error) {
	n, err := c.out.Write(p)
	if err == nil {
		err = c.out.Flush()
	}
	return n, err
}

// Read implements io.Reader.
func (c *compressedConn) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	if err != nil && c.from.err != nil {
		err = c.from.err
	} else if err != nil {
		err = fmt.Errorf("%w: decompress: %w", ErrProtocol, err)
	}
	return n, err
}

// sourceReader remembers why nothing more comes from its reader.
type sourceReader struct {
	r   io.Reader
	err error
}

// Read implements io.Reader.
func (s *sourceReader) Read(p []byte) (n int, err error) {
	n, err = s.r.Read(p)
	if err != nil {
		s.err = err
	}
	return n, err
}
