package gateway_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/nettest"

	"github.com/xdist-go/xdist/gateway"
)

func listen(t *testing.T, gw *gateway.Gateway, network, addr string) net.Listener {
	t.Helper()
	l, err := gw.Listen(t.Context(), network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// dialHere connects from this host.
func dialHere(t *testing.T, addr net.Addr) net.Conn {
	t.Helper()
	c, err := net.Dial(addr.Network(), addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func acceptConn(t *testing.T, l net.Listener) net.Conn {
	t.Helper()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// Connections come in on the host of an agent.
func TestListen(t *testing.T) { overTransports(t, testListen) }

func testListen(t *testing.T, tr transport) {
	gw := tr.open(t)
	for _, network := range []string{"tcp", "unix"} {
		addr := "127.0.0.1:0"
		if network == "unix" {
			addr = filepath.Join(t.TempDir(), "socket")
		}
		l := listen(t, gw, network, addr)
		if tcp, ok := l.Addr().(*net.TCPAddr); network == "tcp" && (!ok || tcp.Port == 0) || network == "unix" && l.Addr().String() != addr {
			t.Errorf("it listens at %v", l.Addr())
		}
		client := dialHere(t, l.Addr())
		c := acceptConn(t, l)
		if c.LocalAddr().String() != client.RemoteAddr().String() || network == "tcp" && c.RemoteAddr().String() != client.LocalAddr().String() {
			t.Errorf("%v from %v is accepted as %v from %v", client.RemoteAddr(), client.LocalAddr(), c.LocalAddr(), c.RemoteAddr())
		}
		l.Close() // does not end what was accepted
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
		large := strings.Repeat("from here to there ", 100_000)
		var sending sync.WaitGroup
		sending.Go(func() {
			io.WriteString(client, large)
			client.(interface{ CloseWrite() error }).CloseWrite()
		})
		got, err := io.ReadAll(c)
		sending.Wait()
		if err != nil || string(got) != large {
			t.Errorf("%d bytes came in, %v", len(got), err)
		}
		sending.Go(func() {
			io.WriteString(c, large)
			c.Close() // what was written comes out
		})
		got, err = io.ReadAll(client)
		sending.Wait()
		if err != nil || string(got) != large {
			t.Errorf("%d bytes came back, %v", len(got), err)
		}
		awaitRunning(t, gw)
		if c, err := net.Dial(network, l.Addr().String()); err == nil {
			c.Close()
			t.Error("somebody listens still")
		}
		if _, err := os.Lstat(addr); network == "unix" && !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the socket is still there: %v", err)
		}
	}
}

// What Listen and Dial return are connections as package net has them.
func TestListenedConn(t *testing.T) {
	for _, name := range []string{"popen", "via via"} {
		for _, tr := range transports() {
			if tr.name != name {
				continue
			}
			gw := tr.open(t)
			for _, network := range []string{"tcp", "unix"} {
				t.Run(name+" "+network, func(t *testing.T) {
					nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) { return pair(t, gw, network) })
				})
			}
		}
	}
}

// pair returns both ends of a connection within the host of a gateway.
func pair(t *testing.T, gw *gateway.Gateway, network string) (c1, c2 net.Conn, stop func(), err error) {
	addr := "127.0.0.1:0"
	if network == "unix" {
		addr = filepath.Join(t.TempDir(), "socket")
	}
	l, err := gw.Listen(t.Context(), network, addr)
	if err != nil {
		return nil, nil, nil, err
	}
	defer l.Close()
	if c1, err = gw.Dial(t.Context(), network, l.Addr().String()); err != nil {
		return nil, nil, nil, err
	}
	if c2, err = l.Accept(); err != nil {
		c1.Close()
		return nil, nil, nil, err
	}
	return c1, c2, func() { c1.Close(); c2.Close() }, nil
}

// A connection that Accept has returned is there, however soon the listener ends.
func TestListenerEndsBehindAccept(t *testing.T) {
	gw := open(t, "popen")
	for range 50 {
		c1, c2, stop, err := pair(t, gw, "tcp")
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c1, "hello")
		if _, err := io.ReadFull(c2, make([]byte, 5)); err != nil {
			t.Fatal(err)
		}
		stop()
	}
	awaitRunning(t, gw)
}

// A listener ends with its context and its gateway, and Accept says why.
func TestListenerEnds(t *testing.T) {
	for name, tc := range map[string]struct {
		end  func(*gateway.Gateway, context.CancelFunc)
		want func(error) bool
	}{
		"context": {func(_ *gateway.Gateway, cancel context.CancelFunc) { cancel() }, func(err error) bool { return errors.Is(err, context.Canceled) }},
		"exit":    {func(gw *gateway.Gateway, _ context.CancelFunc) { gw.Exit() }, func(err error) bool { return errors.Is(err, gateway.ErrExited) }},
		"lost": {func(gw *gateway.Gateway, _ context.CancelFunc) { gw.RemoteExec(context.Background(), "exit", 3) }, func(err error) bool {
			_, lost := errors.AsType[*gateway.LostError](err)
			return lost
		}},
	} {
		t.Run(name, func(t *testing.T) {
			gw := open(t, "popen")
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			l, err := gw.Listen(ctx, "tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			errc := make(chan error, 2)
			for range cap(errc) {
				go func() { // ends with the listener
					_, err := l.Accept()
					errc <- err
				}()
			}
			tc.end(gw, cancel)
			for range cap(errc) {
				if err := <-errc; !tc.want(err) {
					t.Errorf("Accept: %v", err)
				}
			}
			if _, err := l.Accept(); !tc.want(err) {
				t.Errorf("Accept once more: %v", err)
			}
			if name == "context" {
				awaitRunning(t, gw)
			}
		})
	}
}

// Who connects and is not taken is hung up on with the listener, and harms nobody.
func TestListenerThatNobodyAccepts(t *testing.T) {
	gw := open(t, "popen")
	l := listen(t, gw, "tcp", "127.0.0.1:0")
	var clients []net.Conn
	for range 50 {
		clients = append(clients, dialHere(t, l.Addr()))
	}
	acceptConn(t, l).Close() // the others have been told of
	l.Close()
	for _, c := range clients {
		c.SetReadDeadline(time.Now().Add(5 * time.Second)) // a connection that is wanted would wait for ten
		if n, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%d bytes came, %v", n, err)
		}
	}
	awaitRunning(t, gw)
}

// However many connect, the gateway has channels left.
func TestListenerIsFlooded(t *testing.T) {
	cfg := config()
	const atOnce = 3
	cfg.MaxChannels = 8 * atOnce
	gw := openIn(t, newGroup(t, cfg), "popen")
	l := listen(t, gw, "tcp", "127.0.0.1:0")
	var open, most atomic.Int64
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			n := open.Add(1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			serving.Go(func() {
				io.Copy(c, c)
				open.Add(-1)
				c.Close()
			})
		}
	})
	var clients sync.WaitGroup
	for range 30 {
		clients.Go(func() {
			c, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			io.WriteString(c, "hello")
			if _, err := io.ReadFull(c, make([]byte, 5)); err != nil {
				t.Error(err)
			}
		})
	}
	clients.Wait()
	l.Close()
	serving.Wait()
	if most.Load() > atOnce {
		t.Errorf("%d connections were open at once", most.Load())
	}
	awaitRunning(t, gw)
}

// What the host does not allow is told.
func TestListenFails(t *testing.T) {
	gw := open(t, "popen")
	taken := listen(t, gw, "tcp", "127.0.0.1:0")
	for _, tc := range []struct{ network, addr, want string }{
		{"tcp", taken.Addr().String(), "address already in use"},
		{"udp", "127.0.0.1:0", "unknown network udp"},
		{"unix", filepath.Join(t.TempDir(), "none", "socket"), "no such file"},
	} {
		if l, err := gw.Listen(t.Context(), tc.network, tc.addr); err == nil {
			l.Close()
			t.Errorf("%s %s: no error", tc.network, tc.addr)
		} else if !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s %s: %v, want %q", tc.network, tc.addr, err, tc.want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := gw.Listen(ctx, "tcp", "127.0.0.1:0"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
