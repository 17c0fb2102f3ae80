package gateway

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/xdist-go/xdist/xspec"
)

func TestReservedNames(t *testing.T) {
	near, far := net.Pipe()
	servedc := make(chan error, 1)
	go func() {
		servedc <- Serve(context.Background(), far, Handlers{"gateway/mine": relaying(relayDial)})
	}()
	h := testHello()
	h.Window = minWindow
	_, err := greet(t.Context(), newBufferedConn(near), h)
	for _, err := range []error{err, <-servedc} {
		if err == nil || !strings.Contains(err.Error(), `handler "gateway/mine": names that begin with gateway/ are reserved`) {
			t.Errorf("got %v", err)
		}
	}
}

// Requests that make no sense fail their handler alone.
func TestRelayRefusesNonsense(t *testing.T) {
	gw := hops(t, 1).gw
	for _, tc := range []struct {
		handler string
		args    any
	}{
		{dialHandler, nil}, {dialHandler, 42}, {dialHandler, dialRequest{Addr: "x:1"}}, {startHandler, "rm"},
		{startHandler, startRequest{Args: []string{"true"}, Data: Ref{Nonce: 1, ID: 1}}}, {"gateway/none", nil},
	} {
		c, err := gw.RemoteExec(t.Context(), tc.handler, tc.args)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := errors.AsType[*RemoteError](c.WaitClose(t.Context())); !ok {
			t.Errorf("%s with %v: %v", tc.handler, tc.args, c.WaitClose(t.Context()))
		}
	}
	awaitIdle(t, gw)
}

// An agent that lies about what it relays ends the connection at most.
func TestHostileRelay(t *testing.T) {
	handlers := map[string]Handler{
		"ends":          func(context.Context, *Channel, Item) error { return nil },
		"panics":        func(context.Context, *Channel, Item) error { panic("no") },
		"answers wrong": func(ctx context.Context, ch *Channel, _ Item) error { return ch.Send(ctx, "no") },
		"carries no bytes": func(ctx context.Context, ch *Channel, args Item) error {
			var req struct {
				Data Ref `cbor:"2,keyasint"`
			}
			if err := args.Decode(&req); err != nil {
				return err
			}
			data, err := ch.Resolve(ctx, req.Data)
			if err != nil {
				return err
			}
			ch.Send(ctx, startReport{Pid: 1})
			data.Send(ctx, []byte{})
			data.Send(ctx, 42)
			<-ctx.Done()
			return nil
		},
	}
	for name, h := range handlers {
		t.Run(name, func(t *testing.T) {
			o := relayOrigin{hostileGateway(t, Handlers{dialHandler: h, startHandler: h})}
			if conn, err := o.dialTCP(t.Context(), "h:1"); err == nil {
				if _, err := conn.Read(make([]byte, 1)); err == nil {
					t.Error("read something")
				}
				conn.Close()
			}
			if l, err := o.start(t.Context(), command{args: []string{"x"}}); err == nil {
				if _, err := l.conn.Read(make([]byte, 1)); err == nil {
					t.Error("read something")
				}
				l.conn.Close()
			}
		})
	}
}

// hostileGateway returns a gateway to an agent in memory that has these handlers in the place of
// every agent's own. It ends with the test.
func hostileGateway(t *testing.T, handlers Handlers) *Gateway {
	t.Helper()
	near, far := net.Pipe()
	servedc := make(chan struct{})
	go func() {
		defer close(servedc)
		conn := newBufferedConn(far)
		hello, err := welcomeController(context.Background(), conn, obey)
		m := newYamux(agentSide, conn, hello.Window, hello.Frame)
		if err != nil {
			t.Error(err)
			return
		}
		n, err := startSession(context.Background(), m, agentSide, sessionConfig{
			nonce: hello.Nonce, handlers: handlers, sendLimit: hello.MaxItem, recvLimit: hello.MaxItem, maxChannels: 10,
		})
		if err != nil {
			t.Error(err)
			return
		}
		<-n.byec
		n.stopRun(errGoodbye)
		n.running.Wait()
		n.end(errGoodbye)
		n.wait()
	}()
	g := newGroup(Config{}, func(context.Context, origin, xspec.Spec, Config) (*endpoint, error) {
		return &endpoint{conn: near, proc: &memProcess{cancel: func() {}, donec: servedc, ended: func(string) {}}}, nil
	})
	t.Cleanup(func() {
		if err := g.Terminate(context.Background(), time.Second); err != nil {
			t.Error(err)
		}
	})
	return opened(t, g, "popen//id=p1")
}

// An agent that lies about what it accepts gets nothing but errors, and fills no memory.
func TestHostileListener(t *testing.T) {
	reports := func(all ...any) Handler {
		return func(ctx context.Context, ch *Channel, _ Item) error {
			for _, v := range all {
				if err := ch.Send(ctx, v); err != nil {
					return err
				}
			}
			return nil
		}
	}
	flood := func(ctx context.Context, ch *Channel, _ Item) error {
		for n := uint64(0); ; n++ {
			if err := ch.Send(ctx, acceptReport{Local: "x", Remote: strings.Repeat("y", 1000), Conn: n}); err != nil {
				return err
			}
		}
	}
	ends := func(context.Context, *Channel, Item) error { return nil }
	for _, tc := range []struct {
		name    string
		accept  Handler
		listens bool
	}{
		{"ends", ends, false},
		{"panics", func(context.Context, *Channel, Item) error { panic("no") }, false},
		{"answers wrong", reports("no"), false},
		{"tells wrong", reports(acceptReport{Local: "x"}, "no"), true},
		{"ends later", reports(acceptReport{Local: "x"}), true},
		{"tells of what is not there", reports(acceptReport{Local: "x"}, acceptReport{Conn: 77}), true},
		{"floods", flood, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			gw := hostileGateway(t, Handlers{acceptHandler: tc.accept, takeHandler: relaying(relayTake)})
			l, err := gw.Listen(t.Context(), "tcp", "h:1")
			if (err == nil) != tc.listens {
				t.Fatalf("Listen: %v", err)
			}
			if err != nil {
				return
			}
			for range 3 {
				c, err := l.Accept()
				if err != nil {
					break
				}
				if _, err := c.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), errNotWaiting.Error()) {
					t.Errorf("Read: %v", err)
				}
				c.Close()
			}
			control := l.(*relayListener).control
			control.mu.Lock()
			queued := control.queued
			control.mu.Unlock()
			if queued > queueAtMost+batchAtMost+2000 {
				t.Errorf("%d bytes are queued", queued)
			}
			if err := l.Close(); err != nil {
				t.Error(err)
			}
			if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("after Close: %v", err)
			}
		})
	}
}
