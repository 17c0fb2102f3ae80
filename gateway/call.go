package gateway

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"
)

// Call calls the function that the agent's program has registered by Func under the name, and
// returns its result. It may be called many times at once: calls of one gateway share a channel,
// and beyond Config.MaxCalls of them more wait. When ctx ends, the function's context does, and
// Call does not wait for it. One that ends while it waits for others says how many and for how long
// the agent has answered none. Errors: *RemoteError, with what the function's error is; ctx's;
// ErrTooLarge; ErrExited, *LostError; a result that does not fit T.
func Call[T any](ctx context.Context, gw *Gateway, name string, in any) (T, error) {
	var result T
	it, err := gw.calls.call(ctx, gw, name, in)
	if err == nil {
		err = it.Decode(&result)
	}
	if err != nil {
		var zero T
		return zero, fmt.Errorf("call %q on gateway %s: %w", name, gw.ID(), err)
	}
	return result, nil
}

// Future is the result of a call that was not waited for.
type Future[T any] struct {
	donec  chan struct{} // closed when the fields below are set
	result T
	err    error
}

// Go is Call that does not block. The call ends with ctx.
func Go[T any](ctx context.Context, gw *Gateway, name string, in any) *Future[T] {
	f := &Future[T]{donec: make(chan struct{})}
	go func() { // ends with the call
		defer close(f.donec)
		f.result, f.err = Call[T](ctx, gw, name, in)
	}()
	return f
}

// Wait waits for the result. The end of ctx ends the waiting, not the call.
func (f *Future[T]) Wait(ctx context.Context) (T, error) {
	select {
	case <-f.donec:
		return f.result, f.err
	case <-ctx.Done():
		var zero T
		return zero, ctx.Err()
	}
}

// Done is closed when the result is there.
func (f *Future[T]) Done() <-chan struct{} { return f.donec }

// OnDone calls do with the result, in a goroutine of its own, once it is there.
func (f *Future[T]) OnDone(do func(T, error)) {
	go func() { // ends after the call
		<-f.donec
		do(f.result, f.err)
	}()
}

// Result is what a call on one of several gateways or objects has come to.
type Result[T any] struct {
	Value T
	Err   error
}

// CallEach calls a function on all members of the group at once, and yields the results as they
// come. Who stops to range ends the calls that still run.
func CallEach[T any](ctx context.Context, g *Group, name string, in any) iter.Seq2[*Gateway, Result[T]] {
	return func(yield func(*Gateway, Result[T]) bool) {
		callEach(ctx, g.members(), yield, func(ctx context.Context, gw *Gateway) (T, error) {
			return Call[T](ctx, gw, name, in)
		})
	}
}

// callEach makes a call with each of targets at once, and yields the results as they come.
func callEach[K, T any](ctx context.Context, targets []K, yield func(K, Result[T]) bool, call func(context.Context, K) (T, error)) {
	type answer struct {
		of K
		r  Result[T]
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answerc := make(chan answer, len(targets)) // nobody waits who is not read
	for _, target := range targets {
		go func() { // ends with the call
			v, err := call(ctx, target)
			answerc <- answer{target, Result[T]{v, err}}
		}()
	}
	for range targets {
		if a := <-answerc; !yield(a.of, a.r) {
			return
		}
	}
}

// Range runs the function that the agent's program has registered by Stream under the name, and
// yields its results as they come. An error, ctx's included, is yielded last. Who stops to range
// ends the function's context. A slow reader slows the function down.
func Range[T any](ctx context.Context, gw *Gateway, name string, in any) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		ch, err := gw.RemoteExec(ctx, name, in)
		if err != nil {
			yield(zero, err)
			return
		}
		defer ch.Close()
		for v, err := range All[T](ctx, ch) {
			if err != nil {
				yield(zero, fmt.Errorf("run %q on gateway %s: %w", name, gw.ID(), err))
				return
			}
			if !yield(v, nil) {
				return
			}
		}
	}
}

// caller is the controller's side of the calls of one gateway. Its channel is opened by the first.
type caller struct {
	slots   chan struct{} // a token for each call that the agent has not answered
	opening chan struct{} // capacity 1; who has put something in may open the channel

	mu      sync.Mutex // guards the fields below
	ch      *Channel   // nil while there is none
	lastID  uint64
	waiting map[uint64]chan<- answered // nil for calls that nobody waits for any more
	quiet   time.Time                  // the last answer, or the first call after all were answered
}

// answered is the end of a call.
type answered struct {
	result Item
	err    error
}

func newCaller(most int) *caller {
	return &caller{slots: make(chan struct{}, most), opening: make(chan struct{}, 1), waiting: make(map[uint64]chan<- answered)}
}

// call makes one call.
func (c *caller) call(ctx context.Context, gw *Gateway, name string, in any) (Item, error) {
	req := callRequest{Name: name}
	if in != nil {
		args, err := NewItem(in)
		if err != nil {
			return nil, err
		}
		req.Args = args
	}
	select {
	case c.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, c.busy(ctx.Err())
	case <-gw.donec:
		return nil, gw.Err()
	}
	answerc := make(chan answered, 1)
	ch, err := c.begin(ctx, gw, &req, answerc)
	if err != nil {
		<-c.slots
		return nil, err
	}
	if err := ch.Send(ctx, req); err != nil { // nothing of it has gone
		c.settle(req.ID, answered{err: err})
	}
	select {
	case a := <-answerc:
		return a.result, gw.ended(a.err)
	case <-ctx.Done():
	}
	c.mu.Lock()
	_, runs := c.waiting[req.ID]
	if runs {
		c.waiting[req.ID] = nil
	}
	c.mu.Unlock()
	if runs {
		ch.order(callRequest{ID: req.ID, Cancel: true})
		return nil, ctx.Err()
	}
	a := <-answerc
	return a.result, gw.ended(a.err)
}

// busy says what a call has waited for that has not begun.
func (c *caller) busy(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(c.slots)
	if len(c.waiting) == 0 {
		return fmt.Errorf("%w: %d calls wait for the agent to take the first", err, n)
	}
	return fmt.Errorf("%w: %d calls are in flight, and the agent has answered none since %s, %v ago",
		err, n, c.quiet.Format(time.TimeOnly), time.Since(c.quiet).Round(time.Millisecond))
}

// ended makes ErrExited of the error of a call whose context Exit has ended on the other side.
func (gw *Gateway) ended(err error) error {
	select {
	case <-gw.exitc:
		if errors.Is(err, context.Canceled) {
			return fmt.Errorf("gateway %s: %w", gw.ID(), ErrExited)
		}
	default:
	}
	return err
}

// begin gives a call its id, and returns the channel for it.
func (c *caller) begin(ctx context.Context, gw *Gateway, req *callRequest, answerc chan<- answered) (*Channel, error) {
	for {
		c.mu.Lock()
		if ch := c.ch; ch != nil {
			if len(c.waiting) == 0 {
				c.quiet = time.Now()
			}
			c.lastID++
			req.ID = c.lastID
			c.waiting[req.ID] = answerc
			c.mu.Unlock()
			return ch, nil
		}
		c.mu.Unlock()
		if err := c.open(ctx, gw); err != nil {
			return nil, err
		}
	}
}

// open opens the channel, unless another call has. It takes as long as the agent takes no stream.
func (c *caller) open(ctx context.Context, gw *Gateway) error {
	select {
	case c.opening <- struct{}{}:
		defer func() { <-c.opening }()
	case <-ctx.Done():
		return ctx.Err()
	}
	c.mu.Lock()
	there := c.ch != nil
	c.mu.Unlock()
	if there {
		return nil
	}
	ch, err := gw.open(ctx, callsHandler, nil)
	if err != nil {
		return err
	}
	ch.mu.Lock()
	ch.direct = c.answer
	ch.mu.Unlock()
	c.mu.Lock()
	c.ch = ch
	c.mu.Unlock()
	go func() { c.end(ch, ch.WaitClose(context.Background())) }() // ends with the channel
	return nil
}

// answer takes an item of the agent's.
func (c *caller) answer(it Item) error {
	var reply callReply
	if err := it.Decode(&reply); err != nil {
		return err
	}
	a := answered{result: reply.Result}
	switch {
	case reply.Error != nil:
		a.err = reply.Error
	case len(reply.Result) == 0:
		return fmt.Errorf("%w: the answer to call %d has neither a result nor an error", ErrProtocol, reply.ID)
	}
	if !c.settle(reply.ID, a) {
		return fmt.Errorf("%w: an answer to call %d, which does not run", ErrProtocol, reply.ID)
	}
	return nil
}

// settle ends a call and reports whether it ran.
func (c *caller) settle(id uint64, a answered) bool {
	c.mu.Lock()
	answerc, runs := c.waiting[id]
	delete(c.waiting, id)
	if runs {
		c.quiet = time.Now()
	}
	c.mu.Unlock()
	if answerc != nil {
		answerc <- a
	}
	if runs {
		<-c.slots
	}
	return runs
}

// end ends the calls of a channel that has ended.
func (c *caller) end(ch *Channel, err error) {
	if err == nil {
		err = ErrClosed
	}
	c.mu.Lock()
	var ids []uint64
	if c.ch == ch {
		c.ch = nil // the next call opens another
		for id := range c.waiting {
			ids = append(ids, id)
		}
	}
	c.mu.Unlock()
	for _, id := range ids {
		c.settle(id, answered{err: err})
	}
}

// order queues an item that is small, and not subject to the limit of the send buffer.
func (c *Channel) order(v any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sendErr == nil {
		c.enqueueControl(frameItem, v)
	}
}
