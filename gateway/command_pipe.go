package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
)

// StdinPipe returns a writer to the program's standard input. It holds 64 KiB, also before Start.
// Its Close ends the input, as Wait does when the program has ended; writing fails from then on.
func (c *Cmd) StdinPipe() (io.WriteCloser, error) {
	if err := c.pipeable("Stdin", c.Stdin); err != nil {
		return nil, err
	}
	p := c.newPipe()
	c.Stdin = pipeReader{p}
	return pipeWriter{p}, nil
}

// StdoutPipe returns a reader of the program's standard output, which ends with that. Read to its
// end before Wait, which closes it when the program has ended; Run is not for it. When it is closed
// before, the program is killed by what it writes next.
func (c *Cmd) StdoutPipe() (io.ReadCloser, error) {
	if err := c.pipeable("Stdout", c.Stdout); err != nil {
		return nil, err
	}
	p := c.newPipe()
	c.Stdout = pipeWriter{p}
	return pipeReader{p}, nil
}

// StderrPipe is as StdoutPipe for the standard error. When more than 64 KiB of it are not read Wait
// waits for that, even when the program has ended, unless it was killed.
func (c *Cmd) StderrPipe() (io.ReadCloser, error) {
	if err := c.pipeable("Stderr", c.Stderr); err != nil {
		return nil, err
	}
	p := c.newPipe()
	c.Stderr = pipeWriter{p}
	return pipeReader{p}, nil
}

// CombinedOutput is Run, and returns what the program writes to its standard output and error.
func (c *Cmd) CombinedOutput() ([]byte, error) {
	if c.Stdout != nil || c.Stderr != nil {
		return nil, errors.New("run command: Stdout or Stderr is set")
	}
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	err := c.Run()
	return out.Bytes(), err
}

// pipeable refuses a pipe for a field that is set, or too late.
func (c *Cmd) pipeable(field string, value any) error {
	if value != nil {
		return fmt.Errorf("make a pipe for command: %s is set", field)
	}
	if c.Process != nil {
		return fmt.Errorf("make a pipe for command: %s cannot change: it was started already", field)
	}
	return nil
}

// closePipes ends all reading from pipes: the user's of what the program writes, and ours of what
// it is to read.
func (c *Cmd) closePipes() {
	for _, p := range c.pipes {
		p.close()
	}
}

// errPipeClosed is what who uses a closed pipe gets.
var errPipeClosed = fmt.Errorf("pipe of a command: %w", fs.ErrClosed)

// heldByPipe is how many bytes a cmdPipe holds: as many as one of Linux's.
const heldByPipe = 64 << 10

// cmdPipe is a pipe between the user of a Cmd and what carries the bytes of its program. It holds
// some, so that one goroutine may write before it starts the program, or read one output after the
// other. Its methods may be called concurrently.
type cmdPipe struct {
	mu      sync.Mutex // guards the fields below
	changed sync.Cond  // on mu: any of them has changed
	held    bytes.Buffer
	writers int   // that have not ended
	failure error // of a writer that has ended without bringing all
	closed  bool  // nobody reads any more
}

// newPipe returns a pipe with one writer, which Wait closes.
func (c *Cmd) newPipe() *cmdPipe {
	p := &cmdPipe{writers: 1}
	p.changed.L = &p.mu
	c.pipes = append(c.pipes, p)
	return p
}

// join adds a writer.
func (p *cmdPipe) join() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.writers++
}

// end is the end of a writer. What was written is read still. It fails when all have ended.
func (p *cmdPipe) end(failure error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.writers == 0 {
		return errPipeClosed
	}
	p.writers--
	if p.failure == nil {
		p.failure = failure
	}
	p.changed.Broadcast()
	return nil
}

// close is the end of the reader. A second one fails.
func (p *cmdPipe) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return errPipeClosed
	}
	p.closed = true
	p.changed.Broadcast()
	return nil
}

// pipeWriter is the writer's end of a pipe.
type pipeWriter struct{ p *cmdPipe }

// Write implements io.Writer. It waits for room.
func (w pipeWriter) Write(b []byte) (n int, err error) {
	p := w.p
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(b) > 0 {
		for p.held.Len() >= heldByPipe && !p.closed && p.writers > 0 {
			p.changed.Wait()
		}
		if p.closed || p.writers == 0 {
			return n, errPipeClosed
		}
		part := b[:min(len(b), heldByPipe-p.held.Len())]
		p.held.Write(part)
		n, b = n+len(part), b[len(part):]
		p.changed.Broadcast()
	}
	return n, nil
}

// Close implements io.Closer.
func (w pipeWriter) Close() error { return w.p.end(nil) }

// pipeReader is the reader's end of a pipe.
type pipeReader struct{ p *cmdPipe }

// Read implements io.Reader.
func (r pipeReader) Read(b []byte) (int, error) {
	p := r.p
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.held.Len() == 0 && p.writers > 0 && !p.closed && len(b) > 0 {
		p.changed.Wait()
	}
	switch {
	case p.closed:
		return 0, errPipeClosed
	case p.held.Len() == 0 && p.failure != nil && len(b) > 0:
		return 0, p.failure
	}
	defer p.changed.Broadcast()
	return p.held.Read(b) // with io.EOF when nothing is held
}

// Close implements io.Closer.
func (r pipeReader) Close() error { return r.p.close() }
