package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"
)

// Channel is one bidirectional stream of items between the controller and a gateway's agent. It
// lives until both sides have closed it or the gateway ends; nothing is left to the garbage
// collector. All methods may be called concurrently. Channels come from RemoteExec, NewChannel and
// Resolve, and as the argument of a Handler; there is no useful zero value.
//
// A channel has up to three goroutines of its session: one reads frames into the queue, one writes
// what Send has buffered, one runs a callback. They return to the session when the channel ends,
// and the gateway's end waits for all of them but a callback that does not return.
type Channel struct {
	session *session
	stream  stream
	id      uint32

	claimed bool // somebody was given the channel; session.mu guards it
	parents int  // handlers that have adopted it and run; session.mu guards it

	mu sync.Mutex // guards the fields below

	queue    []Item // arrived and not yet received: queue[first:]
	first    int
	queued   int           // cost of the queue, see itemCost
	readyc   chan struct{} // capacity 1, never closed: something changed for a receiver
	drainedc chan struct{} // capacity 1, never closed: the queue has room again, or is of no interest any more
	watcherc chan struct{} // readyc of a MultiChannel, or nil
	recvErr  error         // how receiving ended: io.EOF or an error; nil while it goes on
	recvTold bool          // a receiver was told recvErr; from now on it is io.EOF
	recvEndc chan struct{} // closed when recvErr is set
	callback bool
	discard  bool             // nobody will receive any more
	direct   func(Item) error // takes items where they are read, and must not block; nil is for the queue

	out       []segment     // frames to write
	opening   int           // bytes of frameOpen at the start of out
	outSize   int           // bytes in out and in the writer's hands
	roomc     chan struct{} // capacity 1, never closed: Send may look again
	writec    chan struct{} // capacity 1, never closed: the writer may look again
	sendErr   error         // why Send fails; nil while it does not
	sentClose bool          // frameClose is in out or was written, or the stream is broken
	gotClose  bool          // frameClose was read, or the stream is broken
	writing   bool          // the writer's goroutine has been started
	broken    bool          // the stream is gone: the writer ends at once

	noticed   func()                  // called when there is something to receive; nil is for nobody
	args      Item                    // that the handler was run with
	over      func()                  // called when both sides have closed; nil is for nobody
	handled   bool                    // a handler owns this channel, and its return is what closes it
	abandoned context.CancelCauseFunc // ends the handler's context; nil when there is no handler
}

// segment is a piece of the outgoing stream; buf is what to give back to the pool.
type segment struct {
	data []byte
	buf  *bytes.Buffer
}

const (
	// sendBuffer is how many bytes Send puts ahead of the writer before it blocks. It holds enough
	// small items to make one write of many, and is small beside the window.
	sendBuffer = 256 << 10
	// maxIntFrame is the size in bytes of the largest frame of an integer.
	maxIntFrame = 2 + 9
	// smallFrame is the size in bytes up to which frames are joined in one segment.
	smallFrame = 16 << 10
	// queueAtMost is the cost in bytes of arrived items that are kept out of the stream's window.
	// Above it the window fills, and then the sender blocks.
	queueAtMost = 1 << 20
	// batchAtMost is the cost in bytes from which items that have come together are queued. The
	// queue may be that much longer than queueAtMost.
	batchAtMost = 32 << 10
)

// itemCost is what an item takes in the queue, in bytes: its content and the slice that holds it.
func itemCost(it Item) int { return len(it) + 24 }

func newChannel(s *session, st stream) *Channel {
	return &Channel{
		session: s, stream: st, id: st.id(),
		readyc: make(chan struct{}, 1), drainedc: make(chan struct{}, 1), recvEndc: make(chan struct{}),
		roomc: make(chan struct{}, 1), writec: make(chan struct{}, 1),
	}
}

// String returns a name for messages: the gateway's id and the channel's number.
func (c *Channel) String() string { return fmt.Sprintf("%s/%d", c.session.name, c.id) }

// Args returns, in a handler, the arguments that it was run with; what RunSource and RunPackage are
// given. It is nil when there are none.
func (c *Channel) Args() Item {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.args
}

// Send sends one item: any value that CBOR can encode, or an Item as it is. It returns when the
// item is buffered; it blocks while the buffer is full because the peer does not read. Afterwards v
// may be changed. Errors: ctx's; ErrClosed when either side has closed the channel; ErrTooLarge; a
// *LostError or ErrExited when the gateway has ended. An item that was not sent leaves the channel
// as it was.
func (c *Channel) Send(ctx context.Context, v any) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("send on channel %s: %w", c, err)
	}
	if v == nil {
		v = Item{0xf6} // CBOR's null; a nil content is for control frames
	}
	if err := c.sendItem(ctx, v); err != nil {
		return fmt.Errorf("send on channel %s: %w", c, err)
	}
	return nil
}

func (c *Channel) sendItem(ctx context.Context, v any) error {
	if n, ok := v.(int); ok {
		if frame := [maxIntFrame]byte{}; c.trySmall(appendIntFrame(frame[:0], n)) {
			return nil
		}
	}
	buf := c.session.frames.get()
	frame, err := encodeFrame(buf, frameItem, v, c.session.sendLimit)
	if err != nil {
		c.session.frames.put(buf)
		return err
	}
	for {
		c.mu.Lock()
		if err := c.sendErr; err != nil {
			c.mu.Unlock()
			wake(c.roomc) // for the next Send that waits
			c.session.frames.put(buf)
			return err
		}
		if c.outSize == 0 || c.outSize+len(frame) <= sendBuffer {
			c.enqueue(frame, buf)
			if c.outSize < sendBuffer {
				wake(c.roomc)
			}
			c.mu.Unlock()
			return nil
		}
		c.mu.Unlock()
		select {
		case <-c.roomc:
		case <-ctx.Done():
			c.session.frames.put(buf)
			return ctx.Err()
		}
	}
}

// trySmall sends a small frame, which it copies, when there is room for it and nothing is wrong.
func (c *Channel) trySmall(frame []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sendErr != nil || c.outSize != 0 && c.outSize+len(frame) > sendBuffer {
		return false
	}
	c.join(frame)
	c.startWriter()
	return true
}

// open queues the frame that says what the channel is for, before any other.
func (c *Channel) open(frame []byte, buf *bytes.Buffer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.opening = len(frame)
	c.enqueue(frame, buf)
}

// enqueue hands a frame to the writer, which is started when there is none. c.mu is held.
func (c *Channel) enqueue(frame []byte, buf *bytes.Buffer) {
	if len(frame) > smallFrame {
		c.outSize += len(frame)
		c.out = append(c.out, segment{frame, buf})
	} else {
		c.join(frame)
		c.session.frames.put(buf)
	}
	c.startWriter()
}

// join puts a copy of a small frame behind those that wait for the writer. c.mu is held.
func (c *Channel) join(frame []byte) {
	c.outSize += len(frame)
	last := len(c.out) - 1
	if last < 0 || len(c.out[last].data)+len(frame) > sendBuffer/4 || !c.out[last].joins() {
		c.out = append(c.out, segment{nil, c.session.frames.get()})
		last++
	}
	s := &c.out[last]
	s.buf.Write(frame)
	s.data = s.buf.Bytes()
}

// startWriter wakes the writer, or starts it when there is none. c.mu is held.
func (c *Channel) startWriter() {
	if !c.writing {
		c.writing = c.session.spawn(c.writeLoop)
	}
	wake(c.writec)
}

// joins reports whether the segment is its whole buffer, so that more can be written behind it.
func (s *segment) joins() bool { return len(s.data) == s.buf.Len() }

// writeLoop writes what enqueue left until the channel is closed or the stream breaks.
func (c *Channel) writeLoop() {
	var segs []segment
	for {
		c.mu.Lock()
		segs, c.out = c.out, segs[:0]
		c.opening = 0
		last := c.sentClose
		broken := c.broken
		c.mu.Unlock()
		if broken {
			return
		}
		if len(segs) == 0 {
			if last {
				c.stream.Close() // an error means that the gateway is gone, and its end tells that
				c.release()
				return
			}
			<-c.writec
			continue
		}
		for i := range segs {
			c.writeSegment(segs[i])
			segs[i] = segment{}
		}
	}
}

// writeSegment writes one segment and makes room for what waits in Send. A write fails only when
// the gateway has ended; the end of reading reports that.
func (c *Channel) writeSegment(s segment) {
	c.stream.Write(s.data)
	c.mu.Lock()
	c.outSize -= len(s.data)
	c.mu.Unlock()
	wake(c.roomc)
	c.session.frames.put(s.buf)
}

// Receive waits for the next item and decodes it into *v. Items that have arrived are returned even
// when ctx has ended or the channel is closed. After the last one it returns, once, the error by
// which the peer ended the channel (*RemoteError) or by which the gateway was lost (*LostError),
// and io.EOF from then on; with an orderly end io.EOF alone. An item that cannot be decoded into *v
// is gone, and the channel stays usable.
func (c *Channel) Receive(ctx context.Context, v any) error {
	it, err := c.ReceiveItem(ctx)
	if err != nil {
		return err
	}
	err = it.Decode(v)
	c.Recycle(it) // what is decoded is copied, and a cbor.Unmarshaler has to
	if err != nil {
		return fmt.Errorf("receive on channel %s: %w", c, err)
	}
	return nil
}

// ReceiveItem is Receive without decoding. The caller owns the item.
func (c *Channel) ReceiveItem(ctx context.Context) (Item, error) {
	c.mu.Lock()
	if c.callback {
		c.mu.Unlock()
		return nil, fmt.Errorf("receive on channel %s: %w", c, ErrCallback)
	}
	it, ok, err := c.pollLocked()
	c.mu.Unlock()
	if ok || err != nil {
		return it, err
	}
	return c.next(ctx)
}

// Recycle gives the memory of an item back, to be filled with one that arrives later on any channel
// of the gateway. Neither the item nor what Item.Bytes returned may be used afterwards. It is never
// needed, and doubles the rate of large items that their receiver does not keep. Receive, All and
// Reader do it by themselves.
func (c *Channel) Recycle(it Item) { c.session.contents.put(it) }

func (c *Channel) next(ctx context.Context) (Item, error) {
	for {
		if it, ok, err := c.poll(); ok || err != nil {
			return it, err
		}
		select {
		case <-c.readyc:
		case <-ctx.Done():
			if it, ok, err := c.poll(); ok || err != nil {
				return it, err
			}
			return nil, fmt.Errorf("receive on channel %s: %w", c, ctx.Err())
		}
	}
}

// poll takes the next item or the end, when there is one.
func (c *Channel) poll() (it Item, ok bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pollLocked()
}

// pollLocked is poll. c.mu is held.
func (c *Channel) pollLocked() (it Item, ok bool, err error) {
	if c.first < len(c.queue) {
		it = c.queue[c.first]
		c.queue[c.first] = nil
		c.first++
		full := c.queued > queueAtMost
		c.queued -= itemCost(it)
		if c.first == len(c.queue) {
			c.queue, c.first = c.queue[:0], 0
			if c.recvErr != nil {
				wake(c.readyc)
			}
		} else {
			wake(c.readyc) // another receiver may wait
		}
		if full && c.queued <= queueAtMost {
			wake(c.drainedc)
		}
		return it, true, nil
	}
	if c.recvErr == nil {
		return nil, false, nil
	}
	wake(c.readyc)
	if c.recvTold {
		return nil, false, io.EOF
	}
	c.recvTold = true
	return nil, false, c.recvErr
}

// Items returns the items that are still to come, until the end of the channel. A failure, ctx's
// end included, is yielded once, with a nil item, and ends the iteration.
func (c *Channel) Items(ctx context.Context) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		for {
			it, err := c.ReceiveItem(ctx)
			if errors.Is(err, io.EOF) {
				return
			}
			if !yield(it, err) || err != nil {
				return
			}
		}
	}
}

// All is Items with each item decoded into a T. An item that does not fit T is yielded as an error,
// and the iteration goes on.
func All[T any](ctx context.Context, c *Channel) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for it, err := range c.Items(ctx) {
			var v T
			if err == nil {
				err = it.Decode(&v)
				c.Recycle(it)
			}
			if !yield(v, err) {
				return
			}
		}
	}
}

// WaitClose waits until the peer has ended its side of the channel, and returns nil for an orderly
// end, the error that Receive returns otherwise, each time. A channel that this side has closed is
// at its end. Items that arrived before the end stay readable. The peer cannot reach its end while
// more items than fit the queue and the window are not received.
func (c *Channel) WaitClose(ctx context.Context) error {
	select {
	case <-c.recvEndc:
	default:
		select {
		case <-c.recvEndc:
		case <-ctx.Done():
			return fmt.Errorf("wait for the end of channel %s: %w", c, ctx.Err())
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if errors.Is(c.recvErr, io.EOF) {
		return nil
	}
	return c.recvErr
}

// CloseSend says that no more items follow from this side, which can still receive. Items sent
// before reach the peer. A second call does nothing. It does not block.
func (c *Channel) CloseSend() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sendErr != nil {
		return nil
	}
	c.sendErr = ErrClosed
	c.enqueueControl(frameEnd, nil)
	if c.recvErr != nil {
		c.enqueueClose(nil)
	}
	wake(c.roomc)
	return nil
}

// Close ends the channel in both directions. Items sent before reach the peer; items that have
// arrived stay readable, and what arrives later is dropped. It does not block; a second call does
// nothing. The peer notices once it has read what was sent before, and a handler's context ends
// then. In a handler, on its own channel, it fails with ErrExplicitClose.
func (c *Channel) Close() error { return c.CloseWith(nil) }

// CloseWith is Close, and makes the peer's Receive fail with a RemoteError of err's text.
func (c *Channel) CloseWith(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.handled {
		return fmt.Errorf("close channel %s: %w", c, ErrExplicitClose)
	}
	c.finishLocked(err)
	return nil
}

// finish closes both directions: the peer is told of err, if it is not nil.
func (c *Channel) finish(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.finishLocked(err)
}

func (c *Channel) finishLocked(err error) {
	if c.sentClose {
		return
	}
	c.enqueueClose(err)
	if c.sendErr == nil {
		c.sendErr = ErrClosed
	}
	c.discard = true
	c.endReceive(io.EOF)
	wake(c.roomc)
	wake(c.drainedc)
}

// enqueueClose queues the last frame of this side. c.mu is held.
func (c *Channel) enqueueClose(err error) {
	if c.sentClose {
		return
	}
	var v any
	if err != nil {
		v = remoteError(err)
	}
	c.enqueueControl(frameClose, v)
	c.sentClose = true
}

// enqueueControl queues a frame that is not subject to the limit of the send buffer. c.mu is held.
func (c *Channel) enqueueControl(kind frameKind, v any) {
	buf := c.session.frames.get()
	frame, err := encodeFrame(buf, kind, v, minItemSize)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	c.enqueue(frame, buf)
}

// endReceive records how receiving ended. Only the first call counts. c.mu is held.
func (c *Channel) endReceive(err error) {
	if c.recvErr != nil {
		return
	}
	c.recvErr = err
	close(c.recvEndc)
	c.tellReceivers()
}

// whenNoticed has f called, once, when there is something to receive, or the end; now if there is.
// f does not block, and does not use the channel. nil withdraws what was given before, and tells
// whether that was not called.
func (c *Channel) whenNoticed(f func()) (withdrawn bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	withdrawn = c.noticed != nil
	c.noticed = f
	if f != nil && (c.first < len(c.queue) || c.recvErr != nil) {
		c.noticed = nil
		f()
	}
	return withdrawn
}

// tellReceivers wakes who waits for items or the end. c.mu is held.
func (c *Channel) tellReceivers() {
	if f := c.noticed; f != nil {
		c.noticed = nil
		f()
	}
	wake(c.readyc)
	if c.watcherc != nil {
		wake(c.watcherc)
	}
}

// wake leaves a token in a Go channel of capacity 1.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
