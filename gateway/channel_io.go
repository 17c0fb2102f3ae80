package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
)

// Writer returns the sending direction of c as a writer. Each Write sends one item, a byte string,
// and blocks as Send does, under ctx. Close is CloseSend; a Write after it fails with ErrClosed.
func (c *Channel) Writer(ctx context.Context) io.WriteCloser { return &channelWriter{ctx, c} }

// channelWriter carries its ctx because io.Writer has no place for one.
type channelWriter struct {
	ctx context.Context
	c   *Channel
}

func (w *channelWriter) Write(p []byte) (int, error) {
	if p == nil {
		p = []byte{}
	}
	if err := w.c.Send(w.ctx, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (w *channelWriter) Close() error { return w.c.CloseSend() }

// Reader returns the receiving direction of c as a reader: the contents of the items, which have to
// be byte strings or text strings, one after another. Read blocks as Receive does, under ctx, and
// returns no more than what is left of one item. It may be used concurrently with other readers of
// the channel only if it does not matter who gets which item.
func (c *Channel) Reader(ctx context.Context) io.Reader { return &channelReader{ctx: ctx, c: c} }

type channelReader struct {
	ctx context.Context
	c   *Channel

	mu   sync.Mutex // guards item and rest
	item Item       // received last
	rest []byte     // of it
}

func (r *channelReader) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.rest) == 0 && len(p) > 0 {
		r.c.Recycle(r.item)
		var err error
		r.item, err = r.c.ReceiveItem(r.ctx)
		if errors.Is(err, io.EOF) {
			return 0, io.EOF
		}
		if err != nil {
			return 0, err
		}
		if r.rest, err = r.item.Bytes(); err != nil {
			return 0, fmt.Errorf("read from channel %s: %w", r.c, err)
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}
