package sshclient

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// server is an ssh server in this process that carries connections and runs nothing.
type server struct {
	addr string
	key  ssh.PublicKey
}

// serve starts a server that lets in as config says, until the end of the test.
func serve(t *testing.T, config *ssh.ServerConfig) server {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	config.AddHostKey(key)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { carry(conn, config, &serving) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		serving.Wait()
	})
	return server{l.Addr().String(), key.PublicKey()}
}

// carry serves one connection to a server.
func carry(conn net.Conn, config *ssh.ServerConfig, serving *sync.WaitGroup) {
	defer conn.Close()
	_, chans, reqs, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return // the client tells
	}
	serving.Go(func() { ssh.DiscardRequests(reqs) })
	for c := range chans {
		var to struct {
			Host     string
			Port     uint32
			FromHost string
			FromPort uint32
		}
		if c.ChannelType() != "direct-tcpip" || ssh.Unmarshal(c.ExtraData(), &to) != nil {
			c.Reject(ssh.UnknownChannelType, "not here")
			continue
		}
		far, err := net.Dial("tcp", net.JoinHostPort(to.Host, fmt.Sprint(to.Port)))
		if err != nil {
			c.Reject(ssh.ConnectionFailed, err.Error())
			continue
		}
		ch, reqs, err := c.Accept()
		if err != nil {
			far.Close()
			continue
		}
		serving.Go(func() { ssh.DiscardRequests(reqs) })
		serving.Go(func() {
			io.Copy(far, ch)
			far.Close()
		})
		serving.Go(func() {
			io.Copy(ch, far)
			ch.Close()
		})
	}
}

// configOf is a configuration by which each server has a letter as its name, a, b and so on, with
// lines for each.
func configOf(t *testing.T, servers []server, lines ...string) string {
	t.Helper()
	known := filepath.Join(t.TempDir(), "known")
	var config, keys strings.Builder
	for i, s := range servers {
		host, port, err := net.SplitHostPort(s.addr)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&config, "Host %c\n HostName %s\n Port %s\n %s\n", 'a'+i, host, port, lines[i])
		fmt.Fprintln(&keys, knownhosts.Line([]string{s.addr}, s.key))
	}
	fmt.Fprintf(&config, "Host *\n UserKnownHostsFile \"%s\"\n GlobalKnownHostsFile none\n IdentityFile none\n IdentityAgent none\n", known)
	if err := os.WriteFile(known, []byte(keys.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return config.String()
}

// fakeOrigin is this machine with some things done by functions.
type fakeOrigin struct {
	dialled []string
	dial    func(ctx context.Context) (net.Conn, error) // nil is the network
	run     func(command string) (net.Conn, error)
}

func (o *fakeOrigin) DialTCP(ctx context.Context, addr string) (net.Conn, error) {
	o.dialled = append(o.dialled, addr)
	if o.dial != nil {
		return o.dial(ctx)
	}
	return new(net.Dialer).DialContext(ctx, "tcp", addr)
}

func (o *fakeOrigin) RunProxy(_ context.Context, command string) (net.Conn, error) {
	return o.run(command)
}

// Only the first host is reached from where the way begins, and each is passed in all phases.
func TestDialThroughJumpHosts(t *testing.T) {
	var servers []server
	for range 3 {
		servers = append(servers, serve(t, &ssh.ServerConfig{NoClientAuth: true}))
	}
	h, err := resolveIn(t, configOf(t, servers, "", "ProxyJump a", "ProxyJump b"), "c")
	if err != nil {
		t.Fatal(err)
	}
	var phases []Phase
	d := NewDialer(Config{Passed: func(_ context.Context, p Phase) { phases = append(phases, p) }})
	var here fakeOrigin
	c, err := d.Dial(t.Context(), &here, &h)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{servers[0].addr}; !slices.Equal(here.dialled, want) {
		t.Errorf("dialled %q, want %q", here.dialled, want)
	}
	if want := slices.Repeat([]Phase{PhaseConnect, PhaseHostKey, PhaseAuth}, 3); !slices.Equal(phases, want) {
		t.Errorf("passed %q, want %q", phases, want)
	}
	if _, _, err := c.SendRequest("anything", true, nil); err != nil {
		t.Error(err)
	}
	ended := make(chan struct{})
	c.Go(func() { <-c.Done(); close(ended) })
	c.Close()
	select {
	case <-ended:
	default:
		t.Error("Close does not wait for what Go was given")
	}
	for _, jump := range c.jumps {
		select {
		case <-jump.Done():
		default:
			t.Error("Close leaves a connection to a jump host")
			jump.Close()
		}
	}
	if d := c.Silence(); d != 0 {
		t.Errorf("the end is blamed on a silence of %v", d)
	}
}

// deadConn is the end of a program that has said nothing.
type deadConn struct {
	net.Conn
	closed bool
}

func (c *deadConn) Read([]byte) (int, error)    { return 0, io.EOF }
func (c *deadConn) Write(p []byte) (int, error) { return len(p), nil }

func (c *deadConn) Close() error {
	c.closed = true
	return nil
}

func (c *deadConn) Explain() (status, stderr string) {
	if !c.closed {
		return "it still runs", ""
	}
	return "exit status 7", "no way\n"
}

// silentConn is a connection to somebody who says nothing.
func silentConn(t *testing.T) net.Conn {
	near, far := net.Pipe()
	t.Cleanup(func() { far.Close() })
	return near
}

// The error of a way that has ended tells the phase, the host and the reason.
func TestDialFails(t *testing.T) {
	reason := errors.New("no route")
	var cancel context.CancelFunc // of the row's call
	for _, tt := range []struct {
		what   string
		lines  string // of the host a
		config ssh.ServerConfig
		origin fakeOrigin
		text   string // that the error begins with
		is     error
	}{
		{what: "address", origin: fakeOrigin{dial: func(context.Context) (net.Conn, error) { return nil, reason }}, text: "a: connect: no route", is: reason},
		{what: "name", origin: fakeOrigin{dial: func(context.Context) (net.Conn, error) {
			return nil, &Error{Phase: PhaseResolve, Host: "elsewhere", Err: reason}
		}}, text: "elsewhere: resolve: no route", is: reason},
		{what: "strange key", lines: "HostKeyAlias stranger", text: "a: host key: ssh-ed25519 key SHA256:", is: errUnknownKey},
		{what: "no key of ours", text: `a: auth: Permission denied for user "`, config: ssh.ServerConfig{
			PublicKeyCallback: func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) { return nil, reason },
		}},
		{what: "command that does not start", lines: "ProxyCommand p %h", origin: fakeOrigin{run: func(string) (net.Conn, error) { return nil, reason }},
			text: `a: connect: run ProxyCommand "p 127.0.0.1": no route`, is: reason},
		{what: "command that ends", lines: "ProxyCommand p", origin: fakeOrigin{run: func(string) (net.Conn, error) { return &deadConn{}, nil }},
			text: "a: connect: ssh: handshake failed: EOF: exit status 7: no way", is: io.EOF},
		{what: "context", origin: fakeOrigin{dial: func(context.Context) (net.Conn, error) {
			cancel()
			return silentConn(t), nil
		}}, text: "a: connect: context canceled: ", is: context.Canceled},
		{what: "context, before this side is let in", text: "a: auth: context canceled: ", is: context.Canceled, config: ssh.ServerConfig{
			NoClientAuthCallback: func(ssh.ConnMetadata) (*ssh.Permissions, error) {
				cancel()
				return nil, reason
			},
		}},
	} {
		t.Run(tt.what, func(t *testing.T) {
			tt.config.NoClientAuth = tt.config.PublicKeyCallback == nil
			h, err := resolveIn(t, configOf(t, []server{serve(t, &tt.config)}, tt.lines), "a")
			if err != nil {
				t.Fatal(err)
			}
			var ctx context.Context
			ctx, cancel = context.WithCancel(t.Context())
			defer cancel()
			c, err := NewDialer(Config{}).Dial(ctx, &tt.origin, &h)
			if _, ok := errors.AsType[*Error](err); !ok || c != nil || !strings.HasPrefix(err.Error(), tt.text) || tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("got %v, want an error %s…, which is %v", err, tt.text, tt.is)
			}
		})
	}
}

// ConnectTimeout ends a handshake whose other side says nothing.
func TestConnectTimeout(t *testing.T) {
	h, err := resolveIn(t, "ConnectTimeout 7\n", "box")
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		silent := fakeOrigin{dial: func(context.Context) (net.Conn, error) { return silentConn(t), nil }}
		start := time.Now()
		_, err := NewDialer(Config{}).Dial(t.Context(), &silent, &h)
		if e, ok := errors.AsType[*Error](err); !ok || e.Phase != PhaseConnect || !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 7*time.Second {
			t.Errorf("got %v after %v", err, time.Since(start))
		}
	})
}
