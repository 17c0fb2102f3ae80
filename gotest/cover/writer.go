package cover

import (
	"errors"
	"fmt"
	"io"
)

// Writer writes the file that go test writes for -coverprofile: a header, then the blocks of one
// package after the other, in the order in which they are added. A block that several packages
// cover is there several times, as with go test.
//
// Every call has written all it was given when it returns; there is nothing to flush. A Writer must
// not be used concurrently. After an error of the underlying writer all calls return that error.
type Writer struct {
	w    io.Writer
	mode Mode
	buf  []byte
	err  error // of w
}

// NewWriter returns a Writer to w, which stays the caller's to close, and writes the header.
func NewWriter(w io.Writer, mode Mode) (*Writer, error) {
	out := &Writer{w: w, mode: mode}
	out.buf = appendHeader(out.buf, mode)
	if err := out.flush(); err != nil {
		return nil, err
	}
	return out, nil
}

// Add writes the blocks of a package. The profile's mode must be that of the Writer.
func (w *Writer) Add(p *Profile) error {
	if p.Mode != w.mode {
		return fmt.Errorf("write cover profile: the package's mode is %s, want %s", p.Mode, w.mode)
	}
	for _, b := range p.Blocks {
		w.buf = append(b.appendText(w.buf), '\n')
		if err := w.flushAt(maxLine); err != nil {
			return err
		}
	}
	return w.flush()
}

// Copy writes the blocks of a package whose profile r holds, byte by byte, in constant memory. An r
// without any bytes is a package without a profile, as for the go command, and no error. Where a
// line is malformed, Copy has written the lines before it.
func (w *Writer) Copy(r io.Reader) error {
	s := newScanner(r)
	mode, err := s.header()
	if errors.Is(err, ErrEmpty) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("copy cover profile: %w", err)
	}
	if mode != w.mode {
		return fmt.Errorf("copy cover profile: its mode is %s, want %s", mode, w.mode)
	}
	files := map[string]string{}
	for {
		_, text, err := s.block(files)
		clear(files)
		if err == io.EOF {
			return w.flush()
		}
		if err != nil {
			return errors.Join(fmt.Errorf("copy cover profile: %w", err), w.flush())
		}
		w.buf = append(append(w.buf, text...), '\n')
		if err := w.flushAt(maxLine); err != nil {
			return err
		}
	}
}

// flushAt flushes when size bytes are waiting.
func (w *Writer) flushAt(size int) error {
	if len(w.buf) < size {
		return nil
	}
	return w.flush()
}

func (w *Writer) flush() error {
	if w.err == nil && len(w.buf) > 0 {
		if _, err := w.w.Write(w.buf); err != nil {
			w.err = fmt.Errorf("write cover profile: %w", err)
		}
	}
	w.buf = w.buf[:0]
	return w.err
}
