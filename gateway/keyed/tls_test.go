package keyed

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	cryptorand "crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// result is what one side of a handshake returned.
type result struct {
	conn *tls.Conn
	err  error
}

// shake runs both sides over the two ends of a connection, and closes an end when its side fails.
func shake(t testing.TB, client, server func(context.Context, net.Conn) (*tls.Conn, error), near, far net.Conn) (c, s result) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var both sync.WaitGroup
	side := func(r *result, f func(context.Context, net.Conn) (*tls.Conn, error), conn net.Conn) {
		if r.conn, r.err = f(ctx, conn); r.err != nil {
			conn.Close()
		}
	}
	both.Go(func() { side(&c, client, near) })
	both.Go(func() { side(&s, server, far) })
	both.Wait()
	if ctx.Err() != nil {
		t.Fatal("the handshake hangs")
	}
	t.Cleanup(func() { near.Close(); far.Close() })
	return c, s
}

func TestBothProveTheKey(t *testing.T) {
	k := Generate()
	near, far := net.Pipe()
	c, s := shake(t, k.Client, k.Server, near, far)
	if c.err != nil || s.err != nil {
		t.Fatalf("client: %v, server: %v", c.err, s.err)
	}
	if v := s.conn.ConnectionState().Version; v != tls.VersionTLS13 {
		t.Errorf("version %x", v)
	}
	for _, way := range []struct{ from, to *tls.Conn }{{c.conn, s.conn}, {s.conn, c.conn}} {
		go io.WriteString(way.from, "hello")
		b := make([]byte, 5)
		if _, err := io.ReadFull(way.to, b); err != nil || string(b) != "hello" {
			t.Errorf("got %q, %v", b, err)
		}
	}
}

// TestDirectionsDoNotMix lets who connects one way round come to who waits for the other: somebody
// in between could bring that about.
func TestDirectionsDoNotMix(t *testing.T) {
	k := Generate()
	for _, tt := range []struct {
		name           string
		client, server func(context.Context, net.Conn) (*tls.Conn, error)
		ok             bool
	}{
		{"joiner to listener", k.Joiner, k.Listener, true},
		{"joiner to server", k.Joiner, k.Server, false},
		{"client to listener", k.Client, k.Listener, false},
		{"joiner to the listener of another key", k.Joiner, Generate().Listener, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			near, far := net.Pipe()
			c, s := shake(t, tt.client, tt.server, near, far)
			if tt.ok && (c.err != nil || s.err != nil) || !tt.ok && (!errors.Is(c.err, ErrPeer) || s.err == nil) {
				t.Errorf("client: %v, server: %v", c.err, s.err)
			}
		})
	}
}

// raw is a side that speaks TLS in its own way.
func raw(side func(net.Conn, *tls.Config) *tls.Conn, config *tls.Config) func(context.Context, net.Conn) (*tls.Conn, error) {
	return func(ctx context.Context, conn net.Conn) (*tls.Conn, error) {
		c := side(conn, config)
		if err := c.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		// In TLS 1.3 a client learns from the first read that it was refused.
		_, err := c.Read(make([]byte, 1))
		return c, err
	}
}

func mustPin(t *testing.T, own ed25519.PrivateKey, peer ed25519.PrivateKey) *tls.Config {
	t.Helper()
	config, err := pinned(own, peer.Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	return config
}

func ecdsaCertificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), cryptorand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(cryptorand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1)}, &x509.Certificate{SerialNumber: big.NewInt(1)}, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestServerRefuses(t *testing.T) {
	k, other := Generate(), Generate()
	own, peer := k.pair(purposeClient), k.pair(purposeServer)
	change := func(f func(*tls.Config)) func(context.Context, net.Conn) (*tls.Conn, error) {
		config := mustPin(t, own, peer)
		f(config)
		return raw(tls.Client, config)
	}
	ours := mustPin(t, own, peer).Certificates[0]
	for _, tc := range []struct {
		name   string
		client func(context.Context, net.Conn) (*tls.Conn, error)
		want   string
	}{
		{"another key", other.Client, ""},
		{"another key, of a client that does not mind ours", raw(tls.Client, mustPin(t, other.pair(purposeClient), peer)), "another key"},
		{"the server's own key, reflected", raw(tls.Client, mustPin(t, peer, peer)), "another key"},
		{"no certificate", change(func(c *tls.Config) { c.Certificates = nil }), "certificate"},
		{"a certificate of another kind", change(func(c *tls.Config) { c.Certificates = []tls.Certificate{ecdsaCertificate(t)} }), "another key"},
		{"two certificates", change(func(c *tls.Config) {
			two := ours
			two.Certificate = append(two.Certificate, two.Certificate[0])
			c.Certificates = []tls.Certificate{two}
		}), "another key"},
		{"our certificate without its private key", change(func(c *tls.Config) {
			c.Certificates = []tls.Certificate{{Certificate: ours.Certificate, PrivateKey: other.pair(purposeClient)}}
		}), "signature"},
		{"TLS 1.2", change(func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS12 }), "version"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			near, far := net.Pipe()
			c, s := shake(t, tc.client, k.Server, near, far)
			if s.err == nil || s.conn != nil || c.err == nil {
				t.Fatalf("server: %v, client: %v", s.err, c.err)
			}
			if !strings.Contains(s.err.Error(), tc.want) {
				t.Errorf("server: got %v, want %q", s.err, tc.want)
			}
		})
	}
}

func TestClientRefuses(t *testing.T) {
	k, other := Generate(), Generate()
	own, peer := k.pair(purposeServer), k.pair(purposeClient)
	config := func(own ed25519.PrivateKey, f func(*tls.Config)) *tls.Config {
		c := mustPin(t, own, peer)
		c.VerifyConnection = nil // a server that takes everybody
		if f != nil {
			f(c)
		}
		return c
	}
	for _, tc := range []struct {
		name   string
		server *tls.Config
	}{
		{"a man in the middle with another key", config(other.pair(purposeServer), nil)},
		{"the client's own key, reflected", config(peer, nil)},
		{"TLS 1.2", config(own, func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS12 })},
		{"a certificate of another kind", config(own, func(c *tls.Config) { c.Certificates = []tls.Certificate{ecdsaCertificate(t)} })},
	} {
		t.Run(tc.name, func(t *testing.T) {
			near, far := net.Pipe()
			c, s := shake(t, k.Client, raw(tls.Server, tc.server), near, far)
			if c.err == nil || c.conn != nil || s.err == nil {
				t.Fatalf("client: %v, server: %v", c.err, s.err)
			}
		})
	}
	near, far := net.Pipe()
	if c, _ := shake(t, k.Client, raw(tls.Server, config(other.pair(purposeServer), nil)), near, far); !errors.Is(c.err, ErrPeer) {
		t.Errorf("got %v", c.err)
	}
}

func TestNoKey(t *testing.T) {
	near, far := net.Pipe()
	c, s := shake(t, Key{}.Client, Key{}.Server, near, far)
	if !errors.Is(c.err, ErrNoKey) || !errors.Is(s.err, ErrNoKey) {
		t.Errorf("client: %v, server: %v", c.err, s.err)
	}
}

// meter is a connection that keeps what is written to it, and is cut after some bytes of that.
type meter struct {
	net.Conn
	left    int
	written bytes.Buffer
}

func (m *meter) Write(p []byte) (int, error) {
	n := min(len(p), m.left)
	m.left -= n
	m.written.Write(p[:n])
	written, err := m.Conn.Write(p[:n])
	if n < len(p) {
		m.Conn.Close()
		err = io.ErrClosedPipe
	}
	return written, err
}

const plenty = 1 << 30

func TestHandshakeCutAtEveryByte(t *testing.T) {
	k := Generate()
	near, far := net.Pipe()
	fromClient, fromServer := &meter{Conn: near, left: plenty}, &meter{Conn: far, left: plenty}
	if c, s := shake(t, k.Client, k.Server, fromClient, fromServer); c.err != nil || s.err != nil {
		t.Fatal(c.err, s.err)
	}
	up, down := fromClient.written.Len(), fromServer.written.Len()
	t.Logf("%d bytes from the client, %d from the server", up, down)
	for n := range up {
		near, far := net.Pipe()
		_, s := shake(t, k.Client, k.Server, &meter{Conn: near, left: n}, far)
		if s.err == nil {
			t.Fatalf("the server is content with %d of %d bytes", n, up)
		}
	}
	for n := range down {
		near, far := net.Pipe()
		c, s := shake(t, k.Client, k.Server, near, &meter{Conn: far, left: n})
		if c.err == nil || s.err == nil {
			t.Fatalf("%d of %d bytes from the server: client %v, server %v", n, down, c.err, s.err)
		}
	}
}

func TestReplayedHandshake(t *testing.T) {
	k := Generate()
	near, far := net.Pipe()
	client := &meter{Conn: near, left: plenty}
	c, s := shake(t, k.Client, k.Server, client, far)
	if c.err != nil || s.err != nil {
		t.Fatal(c.err, s.err)
	}
	go io.WriteString(c.conn, "run this")
	if _, err := io.ReadFull(s.conn, make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	recorded := client.written.Bytes()

	near, far = net.Pipe()
	replay := func(_ context.Context, conn net.Conn) (*tls.Conn, error) {
		go io.Copy(io.Discard, conn)
		_, err := conn.Write(recorded)
		return nil, errors.Join(err, conn.Close())
	}
	if _, s := shake(t, replay, k.Server, near, far); s.err == nil {
		t.Error("the server takes a recording for a client")
	}
}

// TestStrangersGarbage is no fuzz target because coverage of crypto/tls, which draws random
// numbers, leads a fuzzer nowhere.
func TestStrangersGarbage(t *testing.T) {
	k := Generate()
	near, far := net.Pipe()
	client := &meter{Conn: near, left: plenty}
	if c, s := shake(t, k.Client, k.Server, client, far); c.err != nil || s.err != nil {
		t.Fatal(c.err, s.err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	said := [][]byte{nil, []byte("GET / HTTP/1.1\r\n\r\n"), []byte("\x00xdist socket\n")}
	for range 300 {
		b := bytes.Clone(client.written.Bytes())
		for range 1 + random.IntN(8) {
			b[random.IntN(len(b))] = byte(random.Uint32())
		}
		said = append(said, b[:random.IntN(len(b)+1)])
	}
	for _, b := range said {
		near, far := net.Pipe()
		stranger := func(_ context.Context, conn net.Conn) (*tls.Conn, error) {
			go io.Copy(io.Discard, conn)
			conn.Write(b) // the server may have hung up
			conn.Close()
			return nil, nil
		}
		if _, s := shake(t, stranger, k.Server, near, far); s.err == nil {
			t.Fatalf("the server takes a stranger for a client that says %x", b)
		}
	}
}

// tamperer changes one byte of what is written through it.
type tamperer struct {
	net.Conn
	at int // bytes until then
}

func (c *tamperer) Write(p []byte) (int, error) {
	if c.at >= 0 && c.at < len(p) {
		p = bytes.Clone(p)
		p[c.at] ^= 1
		c.at = -1
	}
	c.at -= len(p)
	return c.Conn.Write(p)
}

func TestTamperedHandshake(t *testing.T) {
	k := Generate()
	near, far := net.Pipe()
	fromClient, fromServer := &meter{Conn: near, left: plenty}, &meter{Conn: far, left: plenty}
	if c, s := shake(t, k.Client, k.Server, fromClient, fromServer); c.err != nil || s.err != nil {
		t.Fatal(c.err, s.err)
	}
	const step = 29 // bytes; no structure has this size
	for n := 0; n < fromClient.written.Len(); n += step {
		near, far := net.Pipe()
		if _, s := shake(t, hurried(k.Client), hurried(k.Server), &tamperer{near, n}, far); s.err == nil {
			t.Fatalf("the server does not notice that byte %d was changed", n)
		}
	}
	for n := 0; n < fromServer.written.Len(); n += step {
		near, far := net.Pipe()
		if c, _ := shake(t, hurried(k.Client), hurried(k.Server), near, &tamperer{far, n}); c.err == nil {
			t.Fatalf("the client does not notice that byte %d was changed", n)
		}
	}
}

// hurried gives up soon: a changed length makes a side wait for bytes that never come.
func hurried(side func(context.Context, net.Conn) (*tls.Conn, error)) func(context.Context, net.Conn) (*tls.Conn, error) {
	return func(ctx context.Context, conn net.Conn) (*tls.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
		defer cancel()
		return side(ctx, conn)
	}
}
