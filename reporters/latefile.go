package reporters

import (
	"errors"
	"io"
	"os"
	"sync"
	"time"
)

const (
	// lateBy is how long what was written may wait for more: less than a person who follows the
	// file notices.
	lateBy = 100 * time.Millisecond
	// lateBytes is how much may wait.
	lateBytes = 64 << 10
)

// lateFile is a regular file that is written in larger pieces than its writer gives: a write of
// each event would cost more than to make its line. What was written is in the file a moment later,
// and all of it after Close. Its methods are called from one goroutine.
//
// The timer calls flush in a goroutine of its own, which ends at once. Close stops it, and waits
// for it by mu.
type lateFile struct {
	f *os.File

	mu    sync.Mutex // guards what follows
	rest  []byte
	timer *time.Timer // set while rest is not empty
	err   error       // the first one
}

// writeLate returns what writes to a file in time: a pipe or a terminal has a reader who waits, so
// that each write is one there.
func writeLate(f *os.File) *lateFile {
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil
	}
	return &lateFile{f: f}
}

// Write implements io.Writer. An error of what was written before comes with the next write.
func (l *lateFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rest = append(l.rest, p...)
	if l.timer == nil {
		l.timer = time.AfterFunc(lateBy, func() { l.Flush() })
	}
	if len(l.rest) >= lateBytes {
		l.flush()
	}
	return len(p), l.err
}

// Flush writes what waits: a process that is about to be stopped writes nothing later.
func (l *lateFile) Flush() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flush()
	return l.err
}

// flushLate is Flush for a writer that may be another one.
func flushLate(w io.Writer) error {
	if l, ok := w.(*lateFile); ok {
		return l.Flush()
	}
	return nil
}

// flush is called with mu held.
func (l *lateFile) flush() {
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
	if len(l.rest) == 0 || l.err != nil {
		return
	}
	_, l.err = l.f.Write(l.rest)
	l.rest = l.rest[:0]
	if cap(l.rest) > 2*lateBytes {
		l.rest = nil
	}
}

// Close writes what is left and closes the file.
func (l *lateFile) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flush()
	return errors.Join(l.err, l.f.Close())
}
