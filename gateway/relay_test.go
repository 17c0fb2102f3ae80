package gateway

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xdist-go/xdist/xspec"
)

// prompt bounds what must not wait for the lease of 15 s to run out, as in the tests from outside.
const prompt = 10 * time.Second

// relayGroup returns a group whose agents are this test binary.
func relayGroup(t testing.TB) *Group {
	g := NewGroup(Config{Command: []string{os.Args[0], "agent"}})
	t.Cleanup(func() {
		if err := g.Terminate(context.Background(), 2*time.Second); err != nil {
			t.Error(err)
		}
	})
	return g
}

func parsed(t testing.TB, text string) xspec.Spec {
	t.Helper()
	spec, err := xspec.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

func opened(t testing.TB, g *Group, text string) *Gateway {
	t.Helper()
	gw, err := g.OpenSpec(t.Context(), parsed(t, text))
	if err != nil {
		t.Fatal(err)
	}
	return gw
}

// hops returns the origin behind so many gateways.
func hops(t testing.TB, n int) relayOrigin {
	t.Helper()
	g := relayGroup(t)
	text := "popen//id=p1"
	for i := range n - 1 {
		opened(t, g, text)
		text = "popen//id=p" + string(rune('2'+i)) + "//via=p" + string(rune('1'+i))
	}
	return relayOrigin{opened(t, g, text)}
}

// server serves each connection with f until the end of the test.
func server(t testing.TB, f func(*net.TCPConn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				f(c.(*net.TCPConn))
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
	return l.Addr().String()
}

func dialed(t testing.TB, o origin, addr string) *relayConn {
	t.Helper()
	c, err := o.dialTCP(t.Context(), addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.(*relayConn)
}

func echo(c *net.TCPConn) { io.Copy(c, c) }

func TestRelayedBytesAreExact(t *testing.T) {
	const size = 64 << 20
	c := dialed(t, hops(t, 2), server(t, echo))
	sent, got := sha256.New(), sha256.New()
	var sender sync.WaitGroup
	sender.Go(func() {
		random := rand.NewChaCha8([32]byte{1})
		for left := int64(size); left > 0; {
			n := min(left, rand.Int64N(200<<10)+1)
			if _, err := io.CopyN(io.MultiWriter(c, sent), random, n); err != nil {
				t.Error(err)
				return
			}
			left -= n
		}
		c.CloseWrite()
	})
	n, err := io.Copy(got, c)
	sender.Wait()
	if err != nil || n != size || !bytes.Equal(sent.Sum(nil), got.Sum(nil)) {
		t.Errorf("%d bytes came back, the same: %v; %v", n, bytes.Equal(sent.Sum(nil), got.Sum(nil)), err)
	}
}

func TestRelayedHalfClose(t *testing.T) {
	type farEnd struct {
		text string
		err  error
	}
	gotc := make(chan farEnd, 1)
	c := dialed(t, hops(t, 1), server(t, func(c *net.TCPConn) {
		io.WriteString(c, "hello")
		c.CloseWrite()
		b, err := io.ReadAll(c) // still open in this direction
		gotc <- farEnd{string(b), err}
	}))
	if b, err := io.ReadAll(c); string(b) != "hello" || err != nil {
		t.Errorf("read %q, %v", b, err)
	}
	io.WriteString(c, "and a ")
	io.WriteString(c, "long good bye")
	c.CloseWrite()
	if got := <-gotc; got != (farEnd{"and a long good bye", nil}) {
		t.Errorf("the far end read %q, %v", got.text, got.err)
	}
	if _, err := c.Write([]byte("x")); err == nil {
		t.Error("write after CloseWrite succeeded")
	}
}

func TestRelayedCloseFlushes(t *testing.T) {
	text := strings.Repeat("x", 1<<20)
	gotc := make(chan string, 1)
	c := dialed(t, hops(t, 1), server(t, func(c *net.TCPConn) {
		b, _ := io.ReadAll(c)
		gotc <- string(b)
	}))
	io.WriteString(c, text)
	c.Close()
	if got := <-gotc; got != text {
		t.Errorf("%d bytes reached the far end, want %d", len(got), len(text))
	}
	awaitIdle(t, c.origin.gw)
}

func TestRelayedCloseDoesNotWaitForEver(t *testing.T) {
	releasec := make(chan struct{})
	c := dialed(t, hops(t, 1), server(t, func(*net.TCPConn) { <-releasec })) // never reads
	defer close(releasec)
	c.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
	for block := make([]byte, 1<<20); ; {
		if _, err := c.Write(block); err != nil {
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error(err)
			}
			break
		}
	}
	c.Close()
	awaitIdle(t, c.origin.gw)
}

// awaitIdle waits until the gateway's agent has no handlers and channels any more.
func awaitIdle(t testing.TB, gw *Gateway) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for {
		st, err := gw.Status(ctx)
		if err != nil {
			t.Fatalf("the agent still has %+v: %v", st, err)
		}
		if st.Executing == 0 && st.Channels == 0 {
			return
		}
	}
}

func TestRelayedDeadlines(t *testing.T) {
	c := dialed(t, hops(t, 1), server(t, echo))
	timedOut := func(what string, err error) {
		t.Helper()
		var ne net.Error
		if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &ne) || !ne.Timeout() {
			t.Errorf("%s: got %v", what, err)
		}
	}
	b := make([]byte, 1)
	c.SetReadDeadline(time.Now().Add(-time.Second))
	_, err := c.Read(b)
	timedOut("a deadline that has passed", err)

	c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	_, err = c.Read(b)
	timedOut("a deadline that passes", err)

	c.SetReadDeadline(time.Time{})
	errc := make(chan error, 1)
	go func() {
		_, err := c.Read(b)
		errc <- err
	}()
	c.SetReadDeadline(time.Now().Add(time.Hour))
	c.SetReadDeadline(time.Now().Add(30 * time.Millisecond)) // while Read is blocked, most probably
	timedOut("a deadline that was moved", <-errc)

	c.SetDeadline(time.Now().Add(-1))
	_, err = c.Write(b)
	timedOut("a write", err)
	c.SetDeadline(time.Time{})
	if _, err := c.Write([]byte("x")); err != nil {
		t.Error(err)
	}
	if _, err := c.Read(b); err != nil || b[0] != 'x' {
		t.Errorf("after the deadlines: %q, %v", b, err)
	}
}

func TestRelayedCloseWakes(t *testing.T) {
	releasec := make(chan struct{})
	c := dialed(t, hops(t, 1), server(t, func(*net.TCPConn) { <-releasec }))
	defer close(releasec)
	errc := make(chan error, 2)
	go func() {
		_, err := c.Read(make([]byte, 1))
		errc <- err
	}()
	started := make(chan struct{})
	go func() {
		var once sync.Once
		for block := make([]byte, 1<<20); ; once.Do(func() { close(started) }) {
			if _, err := c.Write(block); err != nil {
				errc <- err
				return
			}
		}
	}()
	<-started
	c.Close()
	for range 2 {
		if err := <-errc; !errors.Is(err, net.ErrClosed) {
			t.Errorf("got %v", err)
		}
	}
	for what, err := range map[string]error{
		"Read": second(c.Read(make([]byte, 1))), "Write": second(c.Write([]byte("x"))), "SetDeadline": c.SetDeadline(time.Now()),
	} {
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s after Close: %v", what, err)
		}
	}
	if err := c.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestRelayedTLS(t *testing.T) {
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) }))
	defer srv.Close()
	o := hops(t, 2)
	tr := srv.Client().Transport.(*http.Transport).Clone()
	tr.DialContext = func(ctx context.Context, _, addr string) (net.Conn, error) {
		return o.dialTCP(ctx, srv.Listener.Addr().String())
	}
	defer tr.CloseIdleConnections()
	text := strings.Repeat("secret ", 1<<17)
	resp, err := (&http.Client{Transport: tr}).Post(srv.URL, "text/plain", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); string(b) != text || err != nil {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}

func TestRelayedSlowReaderDelaysNobody(t *testing.T) {
	o := hops(t, 2)
	addr := server(t, func(c *net.TCPConn) {
		go io.Copy(io.Discard, c)
		for block := make([]byte, 64<<10); ; {
			if _, err := c.Write(block); err != nil {
				return
			}
		}
	})
	flood := dialed(t, o, addr) // nobody reads
	if _, err := io.ReadFull(flood, make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	c := dialed(t, o, server(t, echo))
	b := make([]byte, 5)
	start := time.Now()
	for range 100 {
		io.WriteString(c, "hello")
		if _, err := io.ReadFull(c, b); err != nil || string(b) != "hello" {
			t.Fatalf("read %q, %v", b, err)
		}
	}
	if d := time.Since(start); d > prompt {
		t.Errorf("100 round trips took %v", d)
	}
	flood.data.mu.Lock()
	rest := flood.data.queued
	flood.data.mu.Unlock()
	if rest > queueAtMost+2*relayChunk {
		t.Errorf("%d bytes are queued", rest)
	}
}

func TestRelayedDialFails(t *testing.T) {
	o := hops(t, 2)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free.Close()
	for _, tc := range []struct {
		addr, text string
		phase      Phase
		is         error
	}{
		{free.Addr().String(), "127.0.0.1: connect: via gateway p2: ", PhaseConnect, nil},
		{"no-such-host.invalid:22", "no-such-host.invalid: resolve: via gateway p2: ", PhaseResolve, ErrHostNotFound}, // conformance 33
		{"no port", "no port: resolve: via gateway p2: ", PhaseResolve, nil},
	} {
		_, err := o.dialTCP(t.Context(), tc.addr)
		pe, ok := errors.AsType[*PhaseError](err)
		if !ok || pe.Phase != tc.phase || !strings.HasPrefix(err.Error(), tc.text) || tc.is != nil && !errors.Is(err, tc.is) {
			t.Errorf("dial %q: %v", tc.addr, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := o.dialTCP(ctx, free.Addr().String()); !errors.Is(err, context.Canceled) {
		t.Errorf("with a cancelled context: %v", err)
	}
	awaitIdle(t, o.gw)
}

func TestRelayedPeerResets(t *testing.T) {
	c := dialed(t, hops(t, 1), server(t, func(c *net.TCPConn) {
		c.Read(make([]byte, 1))
		c.SetLinger(0)
	}))
	io.WriteString(c, "x")
	if _, err := io.ReadAll(c); err == nil || !strings.Contains(err.Error(), "via gateway p1: ") {
		t.Errorf("read: %v", err)
	}
	if _, err := c.Write([]byte("x")); err == nil {
		t.Error("write to a connection that was reset succeeded")
	}
	awaitIdle(t, c.origin.gw)
}

func BenchmarkRelayedRoundTrip(b *testing.B) {
	addr := server(b, echo)
	for n, name := range []string{"direct", "via", "via via", "via via via"} {
		b.Run(name, func(b *testing.B) {
			var o origin = localOrigin{}
			if n > 0 {
				o = hops(b, n)
			}
			c, err := o.dialTCP(b.Context(), addr)
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			for msg := make([]byte, 8); b.Loop(); {
				c.Write(msg)
				if _, err := io.ReadFull(c, msg); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRelayedBulk(b *testing.B) {
	addr := server(b, func(c *net.TCPConn) {
		for block := make([]byte, 1<<20); ; {
			if _, err := c.Write(block); err != nil {
				return
			}
		}
	})
	for n, name := range []string{"direct", "via", "via via"} {
		b.Run(name, func(b *testing.B) {
			var o origin = localOrigin{}
			if n > 0 {
				o = hops(b, n)
			}
			c, err := o.dialTCP(b.Context(), addr)
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			block := make([]byte, 1<<20)
			b.SetBytes(1 << 20)
			for b.Loop() {
				if _, err := io.ReadFull(c, block); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
