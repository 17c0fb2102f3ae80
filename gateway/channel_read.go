package gateway

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// readBuffer is the size in bytes of a channel's buffer between stream and frames.
const readBuffer = 8 << 10

// readLoop reads frames until the peer has closed the channel or the gateway has ended. opened is
// false for a stream that the peer opened: its first frame says what it is for.
func (c *Channel) readLoop(opened bool) {
	r, ok := c.session.readers.Get().(*bufio.Reader)
	if !ok {
		r = bufio.NewReaderSize(nil, readBuffer)
	}
	r.Reset(c.stream)
	defer func() {
		r.Reset(nil)
		c.session.readers.Put(r)
	}()
	fr := &frameReader{r: r, limit: c.session.recvLimit, spare: &c.session.contents}
	var items []Item // that have come together
	cost := 0        // of these
	for {
		kind, content, err := fr.next()
		switch {
		case err != nil:
		case (kind == frameOpen) == opened:
			err = fmt.Errorf("%w: frame %d at the wrong place of channel %s", ErrProtocol, kind, c)
		case kind != frameItem:
			opened = true
			err = c.handleFrame(kind, content)
		case len(content) == 0:
			err = fmt.Errorf("%w: empty item on channel %s", ErrProtocol, c)
		default:
			items = append(items, content)
			if cost += itemCost(content); cost < batchAtMost && fr.itemFollows(r) {
				continue // one lock and one wake for all of them
			}
			err = c.push(items)
			clear(items)
			items, cost = items[:0], 0
		}
		if errors.Is(err, errFinished) {
			return
		}
		if err != nil {
			c.readFailed(err)
			return
		}
	}
}

// errFinished ends readLoop in order.
var errFinished = errors.New("channel is finished")

func (c *Channel) handleFrame(kind frameKind, content []byte) error {
	switch kind {
	case frameOpen:
		var msg openMessage
		if err := decMode.Unmarshal(content, &msg); err != nil {
			return fmt.Errorf("%w: opening of channel %s: %w", ErrProtocol, c, err)
		}
		c.session.opened(c, msg)
	case frameEnd:
		c.mu.Lock()
		defer c.mu.Unlock()
		c.endReceive(io.EOF)
		if c.sendErr != nil {
			c.enqueueClose(nil)
		}
	case frameClose:
		return c.peerClosed(content)
	}
	return nil
}

// push queues items and waits while the queue is too long. Once the gateway has ended it does not
// wait: what is left is bounded by the stream's window, and a reader may still want it.
func (c *Channel) push(items []Item) error {
	c.mu.Lock()
	if c.recvErr != nil && !c.discard {
		c.mu.Unlock()
		return fmt.Errorf("%w: item after the end of channel %s", ErrProtocol, c)
	}
	if c.discard {
		c.mu.Unlock()
		return nil
	}
	if direct := c.direct; direct != nil {
		c.mu.Unlock()
		c.callDirect(direct, items)
		return nil
	}
	c.queue = append(c.queue, items...)
	for _, it := range items {
		c.queued += itemCost(it)
	}
	c.tellReceivers()
	full := c.queued > queueAtMost
	c.mu.Unlock()
	for full {
		select {
		case <-c.drainedc:
		case <-c.session.stoppedc:
			return nil
		}
		c.mu.Lock()
		full = c.queued > queueAtMost && !c.discard
		c.mu.Unlock()
	}
	return nil
}

// callDirect gives items to who takes them where they are read. After a failure nobody wants more.
func (c *Channel) callDirect(direct func(Item) error, items []Item) {
	for _, it := range items {
		err := callItem(direct, it)
		c.Recycle(it)
		if err != nil {
			c.failCallback(err)
			return
		}
	}
}

// peerClosed handles the peer's last frame: this side has nothing more to say either.
func (c *Channel) peerClosed(content []byte) error {
	var end error = io.EOF
	if len(content) > 0 {
		re := new(RemoteError)
		if err := decMode.Unmarshal(content, re); err != nil {
			return fmt.Errorf("%w: closing of channel %s: %w", ErrProtocol, c, err)
		}
		end = re
	}
	c.mu.Lock()
	c.gotClose = true
	c.endReceive(end)
	if errors.Is(c.recvErr, io.EOF) && !c.recvTold {
		c.recvErr = end // it had sent its last item, and failed then
	}
	if c.sendErr == nil {
		c.sendErr = ErrClosed
	}
	c.unsend()
	c.enqueueClose(nil)
	wake(c.roomc)
	abandoned := c.abandoned
	c.mu.Unlock()
	if abandoned != nil {
		abandoned(ErrClosed)
	}
	c.release()
	return errFinished
}

// unsend drops what the writer has not taken yet. The peer may have found the channel by a
// reference, and closed it, before its opening was written: that is still the first that it reads.
// c.mu is held.
func (c *Channel) unsend() {
	if len(c.out) == 0 {
		return
	}
	keep := 0
	if c.opening > 0 {
		keep = 1
	}
	for i, s := range c.out {
		c.outSize -= len(s.data)
		if i >= keep {
			c.session.frames.put(s.buf)
			c.out[i] = segment{}
		}
	}
	if c.out = c.out[:keep]; keep > 0 {
		c.out[0].data = c.out[0].data[:c.opening]
		c.outSize += c.opening
	}
	c.sentClose = false // it was among them
}

// readFailed ends the channel because its stream did. A violation of the protocol ends the gateway.
func (c *Channel) readFailed(err error) {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("connection ended: %w", err)
	}
	c.session.end(err)
	cause := c.session.reason()
	c.mu.Lock()
	c.endReceive(cause)
	if c.sendErr == nil {
		c.sendErr = cause
	}
	c.sentClose, c.gotClose, c.broken = true, true, true
	wake(c.roomc)
	wake(c.writec)
	c.mu.Unlock()
	c.release() // a handler's context ends with the session's
}

// release takes a channel that both sides have closed out of the gateway.
func (c *Channel) release() {
	c.mu.Lock()
	done, over := c.sentClose && c.gotClose, c.over
	c.mu.Unlock()
	if !done {
		return
	}
	c.session.forget(c)
	if over != nil {
		over()
	}
}

// whenOver has f called when both sides have closed the channel, once or twice, or now if they
// have. f does not block.
func (c *Channel) whenOver(f func()) {
	c.mu.Lock()
	c.over = f
	done := c.sentClose && c.gotClose
	c.mu.Unlock()
	if done {
		f()
	}
}
