package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/xdist-go/xdist/xspec"
)

const (
	// flushWait is how long a relayed connection that the controller has closed may take to accept
	// what was written before.
	flushWait = 2 * time.Second
	// orphanWait is how long a relayed process gets to end by itself when nobody is interested in
	// it any more and it has read EOF.
	orphanWait = time.Second
)

// withBuiltins returns handlers, what this program has registered besides, and what every agent
// offers.
func withBuiltins(handlers Handlers) Handlers {
	all := Handlers{dialHandler: relaying(relayDial), startHandler: relaying(relayStart), networkHandler: relaying(relayNetwork), listenHandler: listen, callsHandler: noCalls, fileHandler: lendFiles, infoHandler: tellInfo, scriptHandler: runScript,
		acceptHandler: relayAccept, takeHandler: relaying(relayTake)}
	maps.Copy(all, registered())
	maps.Copy(all, handlers)
	return all
}

// check refuses names that are reserved.
func (h Handlers) check() error {
	for name := range h {
		if strings.HasPrefix(name, reservedPrefix) {
			return fmt.Errorf("handler %q: names that begin with %s are reserved", name, reservedPrefix)
		}
	}
	return nil
}

// relaying makes a handler of a relay, which gets the request and the channel for the bytes. That
// is closed when it returns.
func relaying[R interface{ bytes() Ref }](relay func(ctx context.Context, ch, data *Channel, req R) error) Handler {
	return func(ctx context.Context, ch *Channel, args Item) error {
		var req R
		if err := args.Decode(&req); err != nil {
			return err
		}
		data, err := ch.Resolve(ctx, req.bytes())
		if err != nil {
			return err
		}
		defer data.Close()
		return relay(ctx, ch, data, req)
	}
}

func (req dialRequest) bytes() Ref  { return req.Data }
func (req startRequest) bytes() Ref { return req.Data }

// relayDial connects to an address and carries the bytes.
func relayDial(ctx context.Context, ch, data *Channel, req dialRequest) error {
	conn, err := req.dial(ctx)
	if err != nil {
		report := dialReport{Error: err.Error(), Phase: PhaseConnect, NotFound: errors.Is(err, ErrHostNotFound), Kinds: relayedKinds(err)}
		if pe, ok := errors.AsType[*PhaseError](err); ok {
			report.Error, report.Phase = pe.Err.Error(), pe.Phase
		}
		return ch.Send(ctx, report)
	}
	p := startRelayPump(data, conn)
	defer p.cut()
	if err := ch.Send(ctx, dialReport{Local: conn.LocalAddr().String(), Remote: conn.RemoteAddr().String()}); err != nil {
		return err
	}
	p.await(ctx)
	return nil
}

// dial connects to what is asked for.
func (req dialRequest) dial(ctx context.Context) (net.Conn, error) {
	if req.Network == "unix" {
		return (&net.Dialer{}).DialContext(ctx, "unix", req.Addr)
	}
	return localOrigin{}.dialTCP(ctx, req.Addr)
}

// relayStart starts a process, carries its standard input and output, and tells about its standard
// error and its end. The process ends with the handler's context at the latest.
func relayStart(ctx context.Context, ch, data *Channel, req startRequest) error {
	stderr := &reportedStderr{ctx: ctx, ch: ch, startedc: make(chan struct{})}
	l, err := req.start(stderr)
	if err != nil {
		return ch.Send(ctx, startReport{Error: err.Error(), Kinds: relayedKinds(err)})
	}
	pid := 0
	if p, ok := l.proc.(*popenProcess); ok {
		pid = p.cmd.Process.Pid
	}
	err = ch.Send(ctx, startReport{Pid: pid})
	close(stderr.startedc)
	if err != nil {
		l.proc.kill()
	}
	if p, ok := l.proc.(*popenProcess); ok && req.Full {
		p.full = make(chan struct{})
	}
	return attend(ctx, ch, data, l)
}

// start starts what is asked for.
func (req startRequest) start(stderr io.Writer) (*endpoint, error) {
	args := req.Args
	if req.Own {
		own, err := ownExecutable()
		if err != nil {
			return nil, err
		}
		args = slices.Concat(req.Wrap, []string{own}, req.Args)
	}
	if len(args) == 0 {
		return nil, errors.New("start agent: no program is named")
	}
	var env []xspec.Var
	for _, v := range req.Env {
		name, value, _ := strings.Cut(v, "=")
		env = append(env, xspec.Var{Name: name, Value: value})
	}
	if req.Own {
		env = markAgent(env)
	}
	return startProcessIn(req.Dir, args, env, stderr)
}

// ownExecutable is this program, also when its file was removed since it was started.
func ownExecutable() (string, error) {
	own, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("start agent: find own executable: %w", err)
	}
	if _, err := os.Stat(own); errors.Is(err, os.ErrNotExist) && runtime.GOOS == "linux" {
		return "/proc/self/exe", nil
	}
	return own, nil
}

// attend lives as long as the process does.
func attend(ctx context.Context, ch, data *Channel, l *endpoint) error {
	own, _ := l.proc.(*popenProcess)
	p := newRelayPump(data, l.conn)
	p.readsSome = own != nil && own.full != nil
	p.start()
	defer p.cut()
	endedc := make(chan struct{})
	var status string
	go func() { // joined below
		defer close(endedc)
		status = l.proc.wait()
	}()
	listening, stop := context.WithCancel(ctx)
	var orders sync.WaitGroup
	orders.Go(func() { obeyOrders(listening, ch, l.proc) })
	defer orders.Wait()
	defer stop()

	select {
	case <-endedc:
	case <-ctx.Done():
		p.cut() // the process reads EOF
		within(orphanWait, endedc)
		l.proc.kill()
		<-endedc
		return ctx.Err()
	}
	report := startReport{Status: status}
	if own != nil {
		report.Code = own.cmd.ProcessState.ExitCode()
	}
	if err := ch.Send(ctx, report); err != nil {
		return err
	}
	var wanted chan struct{}
	if own != nil {
		wanted = own.full
	}
	if !p.drain(ctx, wanted) && wanted != nil {
		data.CloseWith(errors.New("more may have come, and was not waited for"))
	}
	return nil
}

// drain waits for the end of what a process has written that has ended, and reports whether it has
// come. Somebody who has escaped from the process may hold the pipe: that is given drainWait, which
// begins when wanted is closed. A nil wanted is for a process of which not all is wanted.
func (p *relayPump) drain(ctx context.Context, wanted <-chan struct{}) bool {
	if wanted != nil {
		select {
		case <-p.outEndedc:
			return true
		case <-ctx.Done():
			return false
		case <-wanted:
		}
	}
	return within(drainWait, p.outEndedc)
}

// obeyOrders does to the process what the controller wants.
func obeyOrders(ctx context.Context, ch *Channel, p process) {
	for {
		var order processOrder
		if err := ch.Receive(ctx, &order); err != nil {
			return
		}
		switch order.Kind {
		case orderInterrupt:
			p.interrupt()
		case orderKill:
			p.kill()
		case orderSignal:
			if own, ok := p.(*popenProcess); ok {
				own.signal(order.Signal)
			}
		}
	}
}

// reportedStderr sends what a process writes to its standard error. It waits for the first report.
type reportedStderr struct {
	ctx      context.Context // io.Writer has no place for one
	ch       *Channel
	startedc chan struct{} // closed when the first report was sent
}

// Write implements io.Writer.
func (w *reportedStderr) Write(p []byte) (int, error) {
	<-w.startedc
	for rest := p; len(rest) > 0; {
		chunk := rest[:min(len(rest), relayChunk)]
		if err := w.ch.Send(w.ctx, startReport{Stderr: chunk}); err != nil {
			return 0, err
		}
		rest = rest[len(chunk):]
	}
	return len(p), nil
}

// relayPump carries bytes between a channel and a connection, each direction until its end, which
// it passes on. It owns a goroutine for each direction and one that waits for them; cut ends and
// joins them.
type relayPump struct {
	readsSome bool // what conn does not take is no failure: it leads to a program that need not read
	data      *Channel
	conn      io.ReadWriteCloser
	stop      context.CancelFunc
	inEndedc  chan struct{} // closed when nothing more goes to conn
	outEndedc chan struct{} // closed when nothing more comes from conn
	endedc    chan struct{} // closed when both are
}

func startRelayPump(data *Channel, conn io.ReadWriteCloser) *relayPump {
	p := newRelayPump(data, conn)
	p.start()
	return p
}

func newRelayPump(data *Channel, conn io.ReadWriteCloser) *relayPump {
	return &relayPump{data: data, conn: conn, inEndedc: make(chan struct{}), outEndedc: make(chan struct{}), endedc: make(chan struct{})}
}

func (p *relayPump) start() {
	ctx, stop := context.WithCancel(context.Background())
	p.stop = stop
	go p.inward(ctx)
	go p.outward(ctx)
	go func() {
		<-p.inEndedc
		<-p.outEndedc
		close(p.endedc)
	}()
}

// await waits until both directions have ended, or ctx has. What the controller wrote before it
// closed its end gets a while to reach the connection.
func (p *relayPump) await(ctx context.Context) {
	select {
	case <-p.endedc:
	case <-ctx.Done():
		if errors.Is(context.Cause(ctx), ErrClosed) { // and not that the gateway is to end
			within(flushWait, p.inEndedc)
		}
	}
}

// cut ends what goes on. A second call does nothing.
func (p *relayPump) cut() {
	p.stop()
	p.conn.Close()
	p.data.Close() // never fails for a channel that is no handler's
	<-p.endedc
}

// inward carries what the controller writes.
func (p *relayPump) inward(ctx context.Context) {
	defer close(p.inEndedc)
	for it, err := range p.data.Items(ctx) {
		var b []byte
		if err == nil {
			b, err = it.Bytes()
		}
		if err != nil {
			return // the controller is gone, or makes no sense; cut follows
		}
		if _, err := p.conn.Write(b); err != nil {
			p.drop(ctx, err)
			return
		}
	}
	if half, ok := p.conn.(interface{ CloseWrite() error }); ok {
		half.CloseWrite() // fails only when the connection is gone
	}
}

// drop takes what the connection does not, until there is nothing to come from it either: it may
// have something to say still. Then the controller gets the error, if it is one.
func (p *relayPump) drop(ctx context.Context, cause error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() { // ends with outward, which cut ends
		<-p.outEndedc
		stop()
	}()
	for range p.data.Items(ctx) {
	}
	<-p.outEndedc
	if p.readsSome {
		p.data.Close()
		return
	}
	p.data.CloseWith(cause)
}

// outward carries what the controller reads.
func (p *relayPump) outward(ctx context.Context) {
	defer close(p.outEndedc)
	buf := make([]byte, relayChunk)
	for {
		n, err := p.conn.Read(buf)
		if n > 0 {
			if p.data.Send(ctx, buf[:n]) != nil {
				return // the controller wants no more
			}
		}
		if errors.Is(err, io.EOF) {
			p.data.CloseSend()
			return
		}
		if err != nil {
			p.data.CloseWith(err)
			return
		}
	}
}
