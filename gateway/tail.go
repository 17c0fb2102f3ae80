package gateway

import "sync"

// tailSize is how many bytes of an agent's stderr are kept: enough for the panic of a program with
// some goroutines.
const tailSize = 32 << 10

// tail keeps the end of what is written to it. The zero value is empty. It may be used
// concurrently.
type tail struct {
	mu  sync.Mutex // guards buf
	buf []byte     // at most twice tailSize
}

// Write implements io.Writer; it never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(p)
	p = p[max(0, n-tailSize):]
	if len(t.buf)+len(p) > 2*tailSize {
		keep := t.buf[max(0, len(t.buf)+len(p)-tailSize):]
		t.buf = t.buf[:copy(t.buf, keep)]
	}
	t.buf = append(t.buf, p...)
	return n, nil
}

// String returns the last bytes written, tailSize of them at most.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.buf[max(0, len(t.buf)-tailSize):])
}
