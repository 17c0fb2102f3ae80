package gateway

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/xdist-go/xdist/internal/cmdline"
)

// functions are what Func and Stream have registered in this program.
var functions = struct {
	mu    sync.RWMutex // guards the field below
	named map[string]function
}{named: make(map[string]function)}

// function is a typed function of this program. call is nil for one that yields many results.
type function struct {
	call    func(ctx context.Context, args Item) (any, error)
	handler Handler
}

// Function is a function that Func has registered: its name with its types.
type Function[In, Out any] struct{ name string }

// Func registers f under a name, which gateways of this program can call with Call, or run with
// RemoteExec as a handler that sends the one result. It is called before the program serves, at the
// latest before Main. Calls run at the same time, each in a goroutine of its own; ctx ends when the
// caller's does, when it is gone, or says goodbye. In and Out are what CBOR can encode. It panics
// when the name is taken or reserved.
func Func[In, Out any](name string, f func(ctx context.Context, in In) (Out, error)) Function[In, Out] {
	call := func(ctx context.Context, args Item) (any, error) {
		in, err := decodeArgs[In](args)
		if err != nil {
			return nil, err
		}
		return f(ctx, in)
	}
	register(name, function{call: call, handler: func(ctx context.Context, ch *Channel, args Item) error {
		out, err := call(ctx, args)
		if err != nil {
			return err
		}
		return ch.Send(ctx, out)
	}})
	return Function[In, Out]{name}
}

// Call is the package's Call of this function.
func (f Function[In, Out]) Call(ctx context.Context, gw *Gateway, in In) (Out, error) {
	return Call[Out](ctx, gw, f.name, in)
}

// Go is the package's Go for this function.
func (f Function[In, Out]) Go(ctx context.Context, gw *Gateway, in In) *Future[Out] {
	return Go[Out](ctx, gw, f.name, in)
}

// CallEach is the package's CallEach of this function.
func (f Function[In, Out]) CallEach(ctx context.Context, g *Group, in In) iter.Seq2[*Gateway, Result[Out]] {
	return CallEach[Out](ctx, g, f.name, in)
}

// Stream registers a function that yields any number of results, for Range. An error that it yields
// is its end. It is Func in all else.
func Stream[In, Out any](name string, f func(ctx context.Context, in In) iter.Seq2[Out, error]) {
	register(name, function{handler: func(ctx context.Context, ch *Channel, args Item) error {
		in, err := decodeArgs[In](args)
		if err != nil {
			return err
		}
		for out, err := range f(ctx, in) {
			if err != nil {
				return err
			}
			if err := ch.Send(ctx, out); err != nil {
				return err
			}
		}
		return nil
	}})
}

func decodeArgs[In any](args Item) (in In, err error) {
	if args == nil {
		return in, nil
	}
	if err := args.Decode(&in); err != nil {
		return in, fmt.Errorf("read the arguments: %w", err)
	}
	return in, nil
}

func register(name string, f function) {
	functions.mu.Lock()
	defer functions.mu.Unlock()
	if _, taken := functions.named[name]; taken || name == "" || strings.HasPrefix(name, reservedPrefix) {
		panic(fmt.Sprintf("gateway: register function %q: the name is taken or reserved", name))
	}
	functions.named[name] = f
}

// registered returns what Func and Stream have registered, as handlers.
func registered() Handlers {
	functions.mu.RLock()
	defer functions.mu.RUnlock()
	all := make(Handlers)
	for name, f := range functions.named {
		all[name] = f.handler
	}
	return all
}

// Lane is a queue for calls that must not run at the same time. Of those that came at the same time
// any may be the first. The zero Lane is ready for use, and must not be copied.
type Lane struct {
	once sync.Once
	turn chan struct{} // capacity 1; who has put something in may run
}

// OnLane returns f so that its calls, and those of all that is on the lane, run one after the
// other.
func OnLane[In, Out any](l *Lane, f func(context.Context, In) (Out, error)) func(context.Context, In) (Out, error) {
	return func(ctx context.Context, in In) (out Out, err error) {
		l.once.Do(func() { l.turn = make(chan struct{}, 1) })
		select {
		case l.turn <- struct{}{}:
		case <-ctx.Done():
			return out, ctx.Err()
		}
		defer func() { <-l.turn }()
		return f(ctx, in)
	}
}

// Serial is OnLane for a lane of its own.
func Serial[In, Out any](f func(context.Context, In) (Out, error)) func(context.Context, In) (Out, error) {
	return OnLane(new(Lane), f)
}

// Wire messages of calls. They go over the one channel of callsHandler, in both directions.
type (
	// callRequest asks for a call, or with Cancel for the end of its context.
	callRequest struct {
		ID     uint64 `cbor:"1,keyasint"`
		Name   string `cbor:"2,keyasint,omitempty"`
		Args   []byte `cbor:"3,keyasint,omitempty"` // the encoded argument
		Cancel bool   `cbor:"4,keyasint,omitempty"`
	}
	// callReply is the end of a call: a result, or an error.
	callReply struct {
		ID     uint64       `cbor:"1,keyasint"`
		Result []byte       `cbor:"2,keyasint,omitempty"`
		Error  *RemoteError `cbor:"3,keyasint,omitempty"`
	}
)

// callsHandler is the handler that takes all calls of a gateway.
const callsHandler = reservedPrefix + "calls"

// callee is the agent's side of the calls of one channel.
type callee struct {
	ch      *Channel
	ctx     context.Context // of the handler
	running sync.WaitGroup

	mu      sync.Mutex // guards the field below
	cancels map[uint64]context.CancelFunc
}

// noCalls stands for callsHandler where a channel is not given to answerCalls.
func noCalls(context.Context, *Channel, Item) error { return errors.ErrUnsupported }

// answerCalls gives a channel that the controller has opened to a callee, before anything has come
// on it, and returns the channel's handler, which returns when all calls have.
func answerCalls(ctx context.Context, ch *Channel) Handler {
	c := &callee{ch: ch, ctx: ctx, cancels: make(map[uint64]context.CancelFunc)}
	ch.mu.Lock()
	ch.direct = c.take
	ch.mu.Unlock()
	return func(ctx context.Context, ch *Channel, _ Item) error {
		defer c.running.Wait()
		return ch.WaitClose(ctx)
	}
}

// take starts a call or ends its context. It does not block.
func (c *callee) take(it Item) error {
	var req callRequest
	if err := it.Decode(&req); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	cancel, runs := c.cancels[req.ID]
	switch {
	case req.Cancel && runs:
		cancel()
	case req.Cancel: // it has ended meanwhile
	case runs:
		return fmt.Errorf("%w: call %d runs already", ErrProtocol, req.ID)
	default:
		ctx, cancel := context.WithCancel(c.ctx)
		c.cancels[req.ID] = cancel
		c.running.Go(func() { c.run(ctx, req) })
	}
	return nil
}

// run makes one call and sends what has come of it, also when the function ends its goroutine.
func (c *callee) run(ctx context.Context, req callRequest) {
	done := c.ch.session.busy(req.Name)
	visiting, leave := c.ch.session.visit(ctx)
	reply, err := callReply{ID: req.ID}, errGoexit
	defer func() {
		leave(err)
		done()
		if err != nil {
			reply.Error = remoteError(err)
		}
		c.answer(ctx, reply)
	}()
	reply.Result, err = callFunction(visiting, c.ch.session, req)
}

// answer sends the end of a call.
func (c *callee) answer(ctx context.Context, reply callReply) {
	c.mu.Lock()
	cancel := c.cancels[reply.ID]
	delete(c.cancels, reply.ID) // before the caller knows, who may use the id again
	c.mu.Unlock()
	defer cancel()
	ctx = context.WithoutCancel(ctx)
	if err := c.ch.Send(ctx, reply); errors.Is(err, ErrTooLarge) {
		c.ch.Send(ctx, callReply{ID: reply.ID, Error: remoteError(fmt.Errorf("the result: %w", err))}) // or the channel has ended
	}
}

// callFunction calls what has the name, and returns the encoded result.
func callFunction(ctx context.Context, n *session, req callRequest) (result Item, err error) {
	functions.mu.RLock()
	f, ok := functions.named[req.Name]
	functions.mu.RUnlock()
	if !ok && req.Name == objectFunction {
		f.call, ok = callObject, true
	}
	switch {
	case !ok && n.handlers[req.Name] != nil, ok && f.call == nil:
		return nil, fmt.Errorf("call %q: it is a handler with a channel: use RemoteExec or Range", req.Name)
	case !ok:
		return nil, fmt.Errorf("call %w", n.unknown(req.Name))
	}
	defer func() {
		if p := recover(); p != nil {
			err = &panicError{value: fmt.Sprint(p), stack: string(debug.Stack())}
		}
	}()
	value, err := f.call(ctx, req.Args)
	if err != nil {
		return nil, err
	}
	return NewItem(value) // which may call methods of the user's
}

// unknown is the error for a name that nothing has. It tells names that are near.
func (n *session) unknown(name string) error {
	var near []string
	for _, other := range slices.Sorted(maps.Keys(n.handlers)) {
		if !strings.HasPrefix(other, reservedPrefix) && cmdline.IsNear(name, other) {
			near = append(near, fmt.Sprintf("%q", other))
		}
	}
	text := fmt.Sprintf("%q: no handler has this name", name)
	if len(near) > 0 {
		text += "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return errors.New(text)
}

// visitKey is the key of a handler's context for its visit.
type visitKey struct{}

// visit is one run of a handler or function: what it runs in, and the channels of the controller's
// that it has adopted, which end with it.
type visit struct {
	session *session

	mu      sync.Mutex // guards the fields below
	adopted []*Channel
	over    bool
}

// visit returns a handler's context, and what ends the visit: the channels that nobody else has
// adopted are closed, with err unless it is nil.
func (n *session) visit(ctx context.Context) (context.Context, func(err error)) {
	v := &visit{session: n}
	return context.WithValue(ctx, visitKey{}, v), func(err error) {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.over = true
		for _, c := range v.adopted {
			if n.disown(c) {
				c.finish(err)
			}
		}
	}
}

// adopt makes a channel that was resolved end with the visit of ctx, if there is one.
func (n *session) adopt(ctx context.Context, c *Channel) {
	v, ok := ctx.Value(visitKey{}).(*visit)
	if !ok || v.session != n || !n.side.foreign(c.id) {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.over || slices.Contains(v.adopted, c) {
		return
	}
	v.adopted = append(v.adopted, c)
	n.mu.Lock()
	defer n.mu.Unlock()
	c.parents++
}

// disown reports whether nobody is left who has adopted c.
func (n *session) disown(c *Channel) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	c.parents--
	return c.parents == 0
}

// handlerSession returns the session that a handler runs in.
func handlerSession(ctx context.Context) (*session, error) {
	v, ok := ctx.Value(visitKey{}).(*visit)
	if !ok {
		return nil, errors.New("the context is not one of a handler or a call")
	}
	return v.session, nil
}

// Resolve is Channel.Resolve for a function, which has no channel: ctx is that of the call.
func Resolve(ctx context.Context, ref Ref) (*Channel, error) {
	n, err := handlerSession(ctx)
	if err != nil {
		return nil, fmt.Errorf("resolve channel %d: %w", ref.ID, err)
	}
	return n.resolveFor(ctx, ref)
}

// busy notes that something runs, until done is called.
func (n *session) busy(name string) (done func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.busyLocked(name)
}

// busyLocked is busy for who holds n.mu.
func (n *session) busyLocked(name string) (done func()) {
	if name == callsHandler {
		return func() {} // what it runs counts
	}
	r := &runningCall{name: name, since: time.Now()}
	n.executing[r] = true
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.executing, r)
	}
}

// runningCall is what busy notes.
type runningCall struct {
	name  string
	since time.Time
}
