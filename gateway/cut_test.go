package gateway

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xdist-go/xdist/xspec"
)

// memProcess is an agent that runs in this process.
type memProcess struct {
	name   string
	cancel context.CancelFunc
	donec  chan struct{} // closed when Serve has returned
	ended  func(name string)
}

func (p *memProcess) wait() string {
	<-p.donec
	p.ended(p.name)
	return "served"
}
func (p *memProcess) stderr() string { return "" }
func (p *memProcess) interrupt()     { p.cancel() }
func (p *memProcess) kill()          { p.cancel() }

// memDialer serves handlers in this process. wrap may change the controller's end of the
// connection.
func memDialer(handlers Handlers, wrap func(io.ReadWriteCloser) io.ReadWriteCloser, ended func(name string)) dialer {
	return func(_ context.Context, _ origin, spec xspec.Spec, _ Config) (*endpoint, error) {
		near, far := net.Pipe()
		ctx, cancel := context.WithCancel(context.Background())
		p := &memProcess{name: spec.ID, cancel: cancel, donec: make(chan struct{}), ended: ended}
		go func() {
			defer close(p.donec)
			defer cancel()
			Serve(ctx, far, handlers) // how it ends is what the controller's side shows
		}()
		return &endpoint{conn: wrap(near), proc: p}, nil
	}
}

// bubbleDialer is memDialer for a testing/synctest bubble, with a memMux. yamux keeps its timers in
// one pool of the whole process, and those of one bubble break another.
func bubbleDialer(ctx context.Context, _ origin, spec xspec.Spec, _ Config) (*endpoint, error) {
	return serveBubble(ctx, spec, nil)
}

func serveBubble(ctx context.Context, spec xspec.Spec, handlers Handlers) (*endpoint, error) {
	near, far := net.Pipe()
	controller, agent := memMuxes()
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	p := &memProcess{name: spec.ID, cancel: cancel, donec: make(chan struct{}), ended: func(string) {}}
	go func() {
		defer close(p.donec)
		defer cancel()
		if h, err := welcomeController(ctx, newBufferedConn(far), obey); err == nil {
			serveMux(ctx, agent, h, handlers)
		}
	}()
	return &endpoint{conn: near, proc: p, mux: controller}, nil
}

// cutConn ends a connection after some bytes.
type cutConn struct {
	io.ReadWriteCloser
	in, out atomic.Int64 // bytes left; below zero is cut
}

var errCut = errors.New("connection was cut")

func (c *cutConn) Read(p []byte) (int, error) {
	n, err := c.ReadWriteCloser.Read(p)
	left := c.in.Add(-int64(n))
	if left < 0 {
		c.Close()
		return max(0, n+int(left)), errCut
	}
	return n, err
}

func (c *cutConn) Write(p []byte) (int, error) {
	left := c.out.Add(-int64(len(p)))
	if left >= 0 {
		return c.ReadWriteCloser.Write(p)
	}
	n, _ := c.ReadWriteCloser.Write(p[:max(0, len(p)+int(left))])
	c.Close()
	return n, errCut
}

// plenty is more bytes than a dialogue takes.
const plenty = 1 << 40

// dialogue opens a gateway over a connection that is cut after so many bytes, uses it and ends it.
// It returns the error of the first step that failed, and how many bytes went each way.
func dialogue(t *testing.T, in, out int64) (usedIn, usedOut int64, err error) {
	t.Helper()
	var conn *cutConn
	handlers := Handlers{"echo": func(ctx context.Context, ch *Channel, _ Item) error {
		for it, err := range ch.Items(ctx) {
			if err := errors.Join(err, ch.Send(ctx, it)); err != nil {
				return err
			}
		}
		return errors.New("done")
	}}
	g := newGroup(Config{OpenTimeout: 20 * time.Second}, memDialer(handlers, func(c io.ReadWriteCloser) io.ReadWriteCloser {
		conn = &cutConn{ReadWriteCloser: c}
		conn.in.Store(in)
		conn.out.Store(out)
		return conn
	}, func(string) {}))
	err = converse(t.Context(), g)
	if termErr := g.Terminate(t.Context(), 10*time.Second); termErr != nil {
		t.Error(termErr)
	}
	return in - conn.in.Load(), out - conn.out.Load(), err
}

func converse(ctx context.Context, g *Group) error {
	gw, err := g.OpenSpec(ctx, xspec.Spec{})
	if err != nil {
		return err
	}
	c, err := gw.RemoteExec(ctx, "echo", nil)
	if err != nil {
		return err
	}
	for i := range 3 {
		var n int
		if err := errors.Join(c.Send(ctx, i), c.Receive(ctx, &n)); err != nil {
			return err
		}
		if n != i {
			return errors.New("BUG: wrong item")
		}
	}
	if _, err := gw.Status(ctx); err != nil {
		return err
	}
	if err := c.CloseSend(); err != nil {
		return err
	}
	if _, ok := errors.AsType[*RemoteError](c.WaitClose(ctx)); !ok {
		return errors.New("end got lost")
	}
	return nil
}

func TestConnectionCutAtEveryByte(t *testing.T) {
	usedIn, usedOut, err := dialogue(t, plenty, plenty)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("dialogue takes %d bytes in, %d out", usedIn, usedOut)
	step := int64(1)
	if testing.Short() {
		step = 17
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var cuts sync.WaitGroup
	slots := make(chan struct{}, 16) // cuts at a time
	cut := func(in, out int64) {
		slots <- struct{}{}
		cuts.Go(func() {
			defer func() { <-slots }()
			// The last bytes belong to the end of the gateway, which may be cut without anybody's
			// loss.
			if _, _, err := dialogue(t, in, out); err == nil && min(in, out) < min(usedIn, usedOut)/2 {
				t.Errorf("cut after %d bytes in, %d out: no error", in, out)
			}
		})
	}
	for n := int64(0); n < max(usedIn, usedOut) && ctx.Err() == nil; n += step {
		if n < usedIn {
			cut(n, plenty)
		}
		if n < usedOut {
			cut(plenty, n)
		}
	}
	cuts.Wait()
	if ctx.Err() != nil {
		t.Error(ctx.Err())
	}
}

func TestTerminateEndsLeavesFirst(t *testing.T) {
	var mu sync.Mutex
	var order []string
	g := newGroup(Config{}, memDialer(nil, func(c io.ReadWriteCloser) io.ReadWriteCloser { return c }, func(name string) {
		mu.Lock()
		defer mu.Unlock()
		order = append(order, name)
	}))
	for _, text := range []string{"popen//id=root", "popen//id=mid//via=root", "popen//id=leaf//via=mid"} {
		spec, err := xspec.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := g.OpenSpec(t.Context(), spec); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.Terminate(t.Context(), 5*time.Second); err != nil {
		t.Error(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(order) != 3 || order[0] != "leaf" || order[1] != "mid" || order[2] != "root" {
		t.Errorf("ended in the order %v", order)
	}
}
