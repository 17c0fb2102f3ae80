package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
)

// SetCallback gives all items, those that have arrived already included, to onItem, in order and
// one at a time, from a goroutine that the channel owns; then onEnd, if not nil, is called exactly
// once: with nil for an orderly end or a local Close, and otherwise with the error that Receive
// would have returned. While onItem runs, what arrives waits as it would for Receive.
//
// When onItem returns an error or panics, the channel is closed: the peer gets a RemoteError,
// WaitClose returns the error, and onEnd gets it. Receive and a second SetCallback fail with
// ErrCallback.
func (c *Channel) SetCallback(onItem func(Item) error, onEnd func(error)) error {
	c.mu.Lock()
	taken := c.callback
	c.callback = true
	c.mu.Unlock()
	if taken {
		return fmt.Errorf("set callback of channel %s: %w", c, ErrCallback)
	}
	// Not one of the session's goroutines: onEnd has to be called when the session has ended, too.
	go c.callbackLoop(onItem, onEnd)
	return nil
}

// callbackLoop ends with the channel, which ends with its gateway at the latest.
func (c *Channel) callbackLoop(onItem func(Item) error, onEnd func(error)) {
	for {
		it, err := c.next(context.Background()) // the channel's end is what stops this
		if err == nil {
			err = callItem(onItem, it)
			if err == nil {
				continue
			}
			c.failCallback(err)
		}
		if onEnd == nil {
			return
		}
		if errors.Is(err, io.EOF) {
			err = nil
		}
		onEnd(err)
		return
	}
}

// callItem turns a panic of the callback into an error: it must not end an agent that has other
// work.
func callItem(onItem func(Item) error, it Item) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &panicError{value: fmt.Sprint(p), stack: string(debug.Stack())}
		}
	}()
	return onItem(it)
}

// failCallback closes the channel because of err, which both sides get to see.
func (c *Channel) failCallback(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.recvErr == nil || errors.Is(c.recvErr, io.EOF) {
		c.endReceive(err)
		c.recvErr = err
	}
	c.finishLocked(err)
}
