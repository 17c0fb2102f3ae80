package gateway

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// compressedPipe is the two ends of a compressed connection.
func compressedPipe(t *testing.T) (a, b *bufferedConn) {
	t.Helper()
	x, y := net.Pipe()
	t.Cleanup(func() { x.Close(); y.Close() })
	return compressed(newBufferedConn(x), compressZstd), compressed(newBufferedConn(y), compressZstd)
}

// What was written can be read at once, however small it is, and is the same.
func TestCompressed(t *testing.T) {
	a, b := compressedPipe(t)
	sizes := []int{1, 2, 12, 1000, 4096, 70_000, 131_072, 131_073, 1 << 20, 3 << 20, 5}
	wrotec := make(chan error, 1)
	for i, n := range sizes {
		block := bytes.Repeat([]byte{byte(i), 'x', byte(n)}, n/3+1)[:n]
		go func() {
			_, err := a.Write(block)
			wrotec <- err
		}()
		got := make([]byte, n)
		if _, err := io.ReadFull(b, got); err != nil || !bytes.Equal(got, block) {
			t.Fatalf("%d bytes: %v", n, err)
		}
		if err := <-wrotec; err != nil {
			t.Fatal(err)
		}
	}
	a.Close()
	if n, err := b.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("at the end: %d, %v", n, err)
	}
}

// hostile is a connection on which this comes.
type hostile struct {
	io.Reader
	io.Writer
	io.Closer
}

// A peer does not make this side take memory, and what it says wrong is a violation.
func TestCompressedHostile(t *testing.T) {
	encode := func(content string, o ...zstd.EOption) string {
		var b bytes.Buffer
		w, err := zstd.NewWriter(&b, o...)
		if err == nil {
			_, err = io.WriteString(w, content)
		}
		if err == nil {
			err = w.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	zeros := strings.Repeat("\x00", 64<<20)
	single, err := zstd.NewWriter(nil, zstd.WithSingleSegment(true))
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, said string }{
		{"garbage", "hello, this is no zstd"},
		{"a large window", encode(zeros, zstd.WithWindowSize(8<<20))},
		{"a frame that is its own window", string(single.EncodeAll([]byte(zeros), nil))},
		{"a block that is none", "\x28\xb5\x2f\xfd\x00\x50\xff\xff\xff"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := compressed(newBufferedConn(hostile{Reader: strings.NewReader(tc.said)}), compressZstd)
			if _, err := io.Copy(io.Discard, c); !errors.Is(err, ErrProtocol) {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("bomb", func(t *testing.T) {
		var b bytes.Buffer
		w, err := zstd.NewWriter(&b, zstd.WithWindowSize(compressWindow))
		if err != nil {
			t.Fatal(err)
		}
		for range 16 {
			io.WriteString(w, zeros) // a buffer takes all
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		c := compressed(newBufferedConn(hostile{Reader: &b}), compressZstd)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		n, err := io.Copy(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{c})
		runtime.ReadMemStats(&after)
		if n != 1<<30 || err != nil {
			t.Errorf("%d bytes, %v", n, err)
		}
		if got := after.TotalAlloc - before.TotalAlloc; got > 16<<20 {
			t.Errorf("%d bytes of memory for a gibibyte of zeros", got)
		}
	})
}

// A hello asks for a form that the agent does not know.
func TestCompressUnknown(t *testing.T) {
	h := hello{MaxItem: minItemSize, MaxChannels: 1, Window: minWindow, Frame: minFrame, Compress: "lz4"}
	if err := h.check(); err == nil || !strings.Contains(err.Error(), `"lz4"`) {
		t.Errorf("got %v", err)
	}
}

// FuzzCompressed has no input of a peer panic, or come out as more than its window at once.
func FuzzCompressed(f *testing.F) {
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b, zstd.WithWindowSize(compressWindow))
	if err != nil {
		f.Fatal(err)
	}
	io.WriteString(w, "hello, hello, hello")
	w.Flush()
	f.Add(b.Bytes())
	f.Add([]byte("\x28\xb5\x2f\xfd\x00\x50"))
	f.Add([]byte("\x50\x2a\x4d\x18\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, said []byte) {
		c := compressed(newBufferedConn(hostile{Reader: bytes.NewReader(said)}), compressZstd)
		_, err := io.CopyN(io.Discard, bufio.NewReader(c), 64<<20)
		if err != nil && err != io.EOF && !errors.Is(err, ErrProtocol) {
			t.Errorf("got %v", err)
		}
	})
}
