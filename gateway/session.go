package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

// session is one side of a connected gateway: the streams of a mux as channels, and the control
// channel, which is the first stream. Both sides have one.
//
// It owns these goroutines: superviseLoop, acceptLoop, controlLoop, beatLoop, and workers, which
// serve its channels one after the other. All end after end was called, and wait joins them.
// Handlers and an agent's interpreters are joined apart from them, because they may not listen.
type session struct {
	mux  mux
	side side
	sessionConfig

	frames   framePool
	contents contentPool
	readers  sync.Pool // of *bufio.Reader, between stream and frames
	control  *Channel
	renewc   chan struct{} // capacity 1, never closed: the peer gave a sign of life

	suspended suspension
	byec      chan struct{} // closed when the peer asked for the end
	byeOnce   sync.Once
	ending    context.Context // done when end was called; its cause says why
	endNow    context.CancelCauseFunc
	handling  context.Context // parent of the handlers' contexts
	stopRun   context.CancelCauseFunc

	stoppedc   chan struct{} // closed when the mux is closed: nothing more arrives
	explainedc chan struct{} // closed when err is set
	err        error         // why the session ended; to be read after explainedc

	loops   sync.WaitGroup
	running sync.WaitGroup // handlers
	idling  sync.WaitGroup // goroutines that wait for work
	workc   chan func()    // never closed: to one that waits; unbuffered

	mu        sync.Mutex // guards the fields below
	ended     bool       // no goroutine may be started any more
	leaving   bool       // no handler may be started any more
	channels  map[uint32]*Channel
	executing map[*runningCall]bool
	accepted  uint32                 // highest id of a stream that the peer opened
	acceptedc chan struct{}          // closed and replaced when accepted grows
	unclaimed []*Channel             // ended before anybody resolved them, oldest first
	asked     map[uint64]chan Status // waiting for an answer, which closes it; capacity 1
	questions uint64
	idle      int // goroutines that wait for work

	objects      objects
	interpreters interpreters
	arrivals     *arrivals // on the agent's side
}

// sessionConfig is what the handshake has agreed on and what the owner of the session wants.
type sessionConfig struct {
	name        string // the gateway's id, for messages
	nonce       uint64 // tells the channels of this connection from those of others
	handlers    Handlers
	sendLimit   int // bytes of one item, both
	recvLimit   int
	maxChannels int           // open at once
	beat, lease time.Duration // lease <= 0 is for ever
	explain     func(cause error) error
	logger      *slog.Logger
}

// startSession starts the session's goroutines over m. The control stream is opened by the
// controller and awaited by the agent; ctx bounds that.
func startSession(ctx context.Context, m mux, s side, cfg sessionConfig) (*session, error) {
	n := &session{
		mux: m, side: s, sessionConfig: cfg,
		renewc: make(chan struct{}, 1), suspended: suspension{changedc: make(chan struct{}, 1)}, byec: make(chan struct{}),
		stoppedc: make(chan struct{}), explainedc: make(chan struct{}),
		channels: make(map[uint32]*Channel), acceptedc: make(chan struct{}),
		asked: make(map[uint64]chan Status), executing: make(map[*runningCall]bool),
		arrivals: newArrivals(cfg.maxChannels), workc: make(chan func()),
	}
	n.ending, n.endNow = context.WithCancelCause(context.WithoutCancel(ctx))
	n.handling, n.stopRun = context.WithCancelCause(n.ending)
	n.spawn(n.superviseLoop)
	if err := n.startControl(ctx); err != nil {
		n.end(err)
		n.wait()
		return nil, fmt.Errorf("open control channel: %w", err)
	}
	n.spawn(n.acceptLoop)
	n.spawn(n.controlLoop)
	n.spawn(n.beatLoop)
	return n, nil
}

func (n *session) startControl(ctx context.Context) error {
	start := n.mux.open
	if n.side == agentSide {
		start = n.mux.accept
	}
	st, err := n.openStream(ctx, start)
	if err != nil {
		return err
	}
	n.control = newChannel(n, st)
	if n.side == agentSide {
		n.accepted = n.control.id
		n.spawn(func() { n.control.readLoop(false) })
		return nil
	}
	n.control.mu.Lock()
	n.control.enqueueControl(frameOpen, openMessage{})
	n.control.mu.Unlock()
	n.spawn(func() { n.control.readLoop(true) })
	return nil
}

// spawn starts a goroutine of the session, unless it has ended.
func (n *session) spawn(f func()) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ended {
		return false
	}
	n.startLocked(&n.loops, f)
	return true
}

// mostIdleWorkers is how many goroutines of a session wait for work: those of a few channels.
const mostIdleWorkers = 16

// startLocked is running.Go, in a goroutine that has done its work where there is one: its stack
// has grown already, which takes a tenth of the time of a short handler. n.mu is held.
func (n *session) startLocked(running *sync.WaitGroup, f func()) {
	running.Add(1)
	work := func() {
		defer running.Done()
		f()
	}
	select {
	case n.workc <- work:
		n.idle--
	default:
		go n.work(work)
	}
}

// work does one thing after the other, as long as there is any.
func (n *session) work(f func()) {
	for f != nil {
		f()
		f = n.moreWork()
	}
}

// moreWork waits for work. It returns nil when the session ends, or enough wait.
func (n *session) moreWork() (f func()) {
	n.mu.Lock()
	if n.ended || n.idle >= mostIdleWorkers {
		n.mu.Unlock()
		return nil
	}
	n.idle++
	n.idling.Add(1)
	n.mu.Unlock()
	defer n.idling.Done()
	select {
	case f = <-n.workc:
	case <-n.stoppedc:
	}
	return f
}

// end begins the end of the session. Only the first cause counts. It does not block.
func (n *session) end(cause error) { n.endNow(cause) }

// wait joins the goroutines of a session that was told to end. Handlers may still run.
func (n *session) wait() {
	<-n.explainedc
	n.loops.Wait()
	n.idling.Wait()
}

// superviseLoop closes the mux when the session is to end, and finds out why it did.
func (n *session) superviseLoop() {
	<-n.ending.Done()
	n.mux.close()
	n.mu.Lock()
	n.ended = true
	n.mu.Unlock()
	close(n.stoppedc)
	n.err = context.Cause(n.ending)
	if errors.Is(n.err, io.EOF) {
		n.err = errors.New(n.err.Error()) // io.EOF is the orderly end of a channel, and this is not
	}
	if n.explain != nil {
		n.err = n.explain(n.err)
	}
	if n.logger != nil {
		n.logger.Debug("connection ended", "gateway", n.name, "cause", n.err)
	}
	close(n.explainedc)
}

// acceptLoop registers the streams that the peer opens.
func (n *session) acceptLoop() {
	for {
		st, err := n.mux.accept()
		if err != nil {
			if !errors.Is(err, ErrProtocol) {
				err = fmt.Errorf("connection ended: %w", err)
			}
			n.end(err)
			return
		}
		c := newChannel(n, st)
		n.mu.Lock()
		if len(n.channels) >= n.maxChannels {
			n.mu.Unlock()
			n.end(fmt.Errorf("%w: more than %d channels", ErrProtocol, n.maxChannels))
			return
		}
		n.channels[c.id] = c
		n.accepted = c.id
		close(n.acceptedc)
		n.acceptedc = make(chan struct{})
		n.mu.Unlock()
		if !n.spawn(func() { c.readLoop(false) }) {
			return
		}
	}
}

// opened handles the first frame of a channel that the peer opened.
func (n *session) opened(c *Channel, msg openMessage) {
	if msg.Name == "" {
		return // a plain channel, or the control channel
	}
	h := n.handlers[msg.Name]
	if h == nil {
		c.finish(fmt.Errorf("run %w", n.unknown(msg.Name)))
		return
	}
	ctx, cancel := context.WithCancelCause(n.handling)
	c.giveTo(cancel, msg.Args)
	if msg.Name == callsHandler {
		h = answerCalls(ctx, c)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ended || n.leaving {
		cancel(ErrExited)
		return
	}
	c.claimed = true
	done := n.busyLocked(msg.Name)
	n.startLocked(&n.running, func() { n.run(ctx, cancel, done, h, c, msg) })
}

// giveTo makes c the channel of a handler, whose context abandon ends.
func (c *Channel) giveTo(abandon context.CancelCauseFunc, args Item) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.handled, c.abandoned, c.args = true, abandon, args
}

// run calls one handler and closes its channel.
func (n *session) run(ctx context.Context, cancel context.CancelCauseFunc, done func(), h Handler, c *Channel, msg openMessage) {
	err := errGoexit
	visiting, leave := n.visit(ctx)
	defer func() {
		if p := recover(); p != nil {
			err = &panicError{value: fmt.Sprint(p), stack: string(debug.Stack())}
		}
		leave(err)
		done()
		c.finish(err)
		cancel(nil)
	}()
	err = h(visiting, c, msg.Args)
}

var errGoexit = errors.New("handler called runtime.Goexit")

// panicError is the end of a handler or callback that panicked.
type panicError struct{ value, stack string }

func (e *panicError) Error() string { return "panic: " + e.value }

// newChannel opens a stream and announces what it is for.
func (n *session) newChannel(ctx context.Context, name string, args any) (*Channel, error) {
	msg := openMessage{Name: name}
	if args != nil {
		it, err := NewItem(args)
		if err != nil {
			return nil, err
		}
		msg.Args = it
	}
	if err := n.gone(); err != nil {
		return nil, err
	}
	buf := n.frames.get()
	frame, err := encodeFrame(buf, frameOpen, msg, n.sendLimit)
	if err != nil {
		n.frames.put(buf)
		return nil, err
	}
	st, err := n.openStream(ctx, n.mux.open)
	if err != nil {
		n.frames.put(buf)
		return nil, err
	}
	c := newChannel(n, st)
	c.open(frame, buf)
	n.mu.Lock()
	n.channels[c.id] = c
	n.mu.Unlock()
	if !n.spawn(func() { c.readLoop(true) }) {
		n.forget(c)
		return nil, n.reason()
	}
	return c, nil
}

// gone returns why the session has ended, or nil.
func (n *session) gone() error {
	if n.over() {
		return n.reason()
	}
	return nil
}

// over reports whether the session has ended. It does not wait for the reason.
func (n *session) over() bool {
	select {
	case <-n.stoppedc:
		return true
	default:
		return false
	}
}

// openStream calls start, which takes no ctx, and waits for it no longer than ctx. A stream that
// comes later is announced and closed at once.
func (n *session) openStream(ctx context.Context, start func() (stream, error)) (stream, error) {
	type result struct {
		st  stream
		err error
	}
	resultc := make(chan result) // unbuffered: the stream is either taken here or dropped
	if !n.spawn(func() {
		st, err := start()
		select {
		case resultc <- result{st, err}:
		case <-ctx.Done():
			if err == nil {
				n.drop(st)
			}
		}
	}) {
		return nil, n.reason()
	}
	select {
	case r := <-resultc:
		if r.err == nil {
			return r.st, nil
		}
		n.end(fmt.Errorf("connection ended: %w", r.err))
		return nil, n.reason()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// drop ends a stream that nobody wants any more, in the way in which the peer expects it.
func (n *session) drop(st stream) {
	c := newChannel(n, st)
	c.mu.Lock()
	c.enqueueControl(frameOpen, openMessage{})
	c.finishLocked(nil)
	c.mu.Unlock()
	c.readLoop(true)
}

// reason waits for the session's end, which must have begun, and returns why it ended.
func (n *session) reason() error {
	<-n.explainedc
	return n.err
}

// unclaimedAtMost is how many channels that the peer has opened and ended are kept for a Resolve
// that may still come: the reference travels on another stream than the channel's end.
const unclaimedAtMost = 64

// forget takes a channel that has ended out of the table.
func (n *session) forget(c *Channel) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.channels[c.id] != c {
		return
	}
	delete(n.channels, c.id)
	if !c.claimed && n.side.foreign(c.id) && c != n.control {
		if len(n.unclaimed) == unclaimedAtMost {
			n.unclaimed = slices.Delete(n.unclaimed, 0, 1)
		}
		n.unclaimed = append(n.unclaimed, c)
	}
}

// claim returns the channel with this id, also when it has ended and nobody had claimed it before.
// n.mu is held.
func (n *session) claim(id uint32) *Channel {
	c := n.channels[id]
	if i := slices.IndexFunc(n.unclaimed, func(c *Channel) bool { return c.id == id }); i >= 0 {
		c = n.unclaimed[i]
		n.unclaimed = slices.Delete(n.unclaimed, i, i+1)
	}
	if c != nil {
		c.claimed = true
	}
	return c
}
