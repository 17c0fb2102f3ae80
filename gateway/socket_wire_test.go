package gateway

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xdist-go/xdist/xspec"
)

func TestSocketRequestRoundTrip(t *testing.T) {
	env := []xspec.Var{{Name: "A", Value: "1"}, {Name: "B"}, {Name: "A", Value: "=\xff"}}
	b, err := socketGreeting(socketMagic, newSocketRequest(env, Config{Grace: 3 * time.Second}))
	if err != nil {
		t.Fatal(err)
	}
	var got socketRequest
	if err := readSocketGreeting(bytes.NewReader(b), socketMagic, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(env, got.env()); diff != "" || got.Grace != 1500 {
		t.Errorf("grace %d, %s", got.Grace, diff)
	}
	for n := range len(b) {
		if err := readSocketGreeting(bytes.NewReader(b[:n]), socketMagic, &got); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%d of %d bytes: got %v", n, len(b), err)
		}
	}
	if _, err := socketGreeting(socketMagic, newSocketRequest([]xspec.Var{{Name: "A", Value: strings.Repeat("x", maxSocketGreeting)}}, Config{})); err == nil {
		t.Error("a request above the limit is sent")
	}
}

func FuzzSocketGreeting(f *testing.F) {
	b, err := socketGreeting(socketMagic, newSocketRequest([]xspec.Var{{Name: "A", Value: "1"}}, Config{}))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(socketMagic + "\x00\x01\xff\xff\xff\xff"))
	f.Add([]byte("\x16\x03\x01"))
	f.Add([]byte(joinMagic + "\x00\x02\x00\x00\x00\x04\xa1\x02\x61x"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, greeting := range []struct {
			magic string
			into  any
		}{{socketMagic, new(socketRequest)}, {joinMagic, new(joinOffer)}, {joinMagic, new(joinRequest)}} {
			err := readSocketGreeting(bytes.NewReader(b), greeting.magic, greeting.into)
			var version *VersionError
			switch {
			case err == nil, errors.Is(err, ErrProtocol), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &version):
			default:
				t.Errorf("%T: undocumented error %v", greeting.into, err)
			}
		}
	})
}

// socketBytes is what a writer of these frames sends.
func socketBytes(frames ...any) []byte {
	var b bytes.Buffer
	w := &socketWriter{w: &b}
	for i := 0; i < len(frames); i += 2 {
		w.write(frames[i].(byte), []byte(frames[i+1].(string)))
	}
	return b.Bytes()
}

// replayConn is a connection that says something and takes everything.
type replayConn struct {
	net.Conn // nil: the methods below are all that is used
	r        io.Reader
}

func (c replayConn) Read(p []byte) (int, error)  { return c.r.Read(p) }
func (c replayConn) Write(p []byte) (int, error) { return len(p), nil }
func (c replayConn) Close() error                { return nil }

// wellFormed follows frames as PROTOCOL.md has them, and returns the contents of those kinds, in
// one, up to the first violation.
func wellFormed(b []byte, stop byte, kinds ...byte) (content []byte) {
	for len(b) >= socketHeader {
		kind, n := b[0], int64(binary.BigEndian.Uint32(b[1:]))
		b = b[socketHeader:]
		part := b[:min(n, int64(len(b)))]
		b = b[len(part):]
		if slices.Contains(kinds, kind) {
			content = append(content, part...)
		}
		known := kind == socketData || kind == socketStderr || n == 0 && (kind == socketEnd || kind == socketAlive)
		if !known || kind == stop {
			return content
		}
	}
	return content
}

func FuzzSocketClient(f *testing.F) {
	f.Add(socketBytes(socketData, "hello", socketStderr, "oops", socketAlive, "", socketEnd, "", socketStatus, "exit status 0"))
	f.Add(socketBytes(socketStatus, strings.Repeat("x", maxSocketStatus+1)))
	f.Add([]byte{socketStatus, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		conn := replayConn{r: bytes.NewReader(b)}
		c := newSocketConn(conn, conn, newSocketReader(conn), nil)
		go c.readLoop()
		data, _ := io.ReadAll(c) // ends in many ways
		status := c.wait()
		c.kill() // after the end nothing is left to do
		if want := wellFormed(b, socketEnd, socketData); !bytes.Equal(data, want) {
			t.Errorf("agent's data is %q, want %q", data, want)
		}
		if len(status) > maxSocketStatus {
			t.Errorf("status of %d bytes", len(status))
		}
	})
}

// fakeAgent is an agent's endpoint that keeps its input and ends when it is asked to in any way.
type fakeAgent struct {
	mu    sync.Mutex // guards input
	input bytes.Buffer
	once  sync.Once
	donec chan struct{} // closed when it is to end
}

func (a *fakeAgent) Read([]byte) (int, error) { <-a.donec; return 0, io.EOF }
func (a *fakeAgent) Write(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.input.Write(p)
}
func (a *fakeAgent) end()           { a.once.Do(func() { close(a.donec) }) }
func (a *fakeAgent) Close() error   { a.end(); return nil }
func (a *fakeAgent) wait() string   { <-a.donec; return "ended" }
func (a *fakeAgent) stderr() string { return "" }
func (a *fakeAgent) interrupt()     {}
func (a *fakeAgent) kill()          { a.end() }

// deadlineConn is a replayConn for a server, which sets deadlines.
type deadlineConn struct{ replayConn }

func (deadlineConn) SetWriteDeadline(time.Time) error { return nil }

func FuzzSocketServer(f *testing.F) {
	f.Add(socketBytes(socketData, "hello", socketInterrupt, "", socketEnd, ""))
	f.Add(socketBytes(socketData, "hello", socketKill, ""))
	f.Add([]byte{socketData, 0xff, 0xff, 0xff, 0xff, 1, 2, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		conn := deadlineConn{replayConn{r: bytes.NewReader(b)}}
		c, agent := newSocketClient(conn, conn, time.Second), &fakeAgent{donec: make(chan struct{})}
		c.agent = &endpoint{conn: agent, proc: agent}
		if status := c.relay(context.Background(), time.Minute); status != "ended" {
			t.Errorf("status %q", status)
		}
		var want []byte
		for rest := b; len(rest) >= socketHeader; {
			kind, n := rest[0], int64(binary.BigEndian.Uint32(rest[1:]))
			rest = rest[socketHeader:]
			part := rest[:min(n, int64(len(rest)))]
			rest = rest[len(part):]
			if kind != socketData && (n != 0 || kind != socketEnd && kind != socketInterrupt && kind != socketKill) {
				break
			}
			if kind == socketData {
				want = append(want, part...)
			}
		}
		if !bytes.Equal(agent.input.Bytes(), want) {
			t.Errorf("agent's input is %q, want %q", agent.input.Bytes(), want)
		}
	})
}

func TestSSHHost(t *testing.T) {
	for text, want := range map[string]string{
		"build1": "build1", "me@build1": "build1", "-p 22 -i ~/k me@build1": "build1", "me@build1:2222": "build1",
		"me@[2001:db8::2]:22": "2001:db8::2", "[2001:db8::2]": "2001:db8::2", "ssh://me@h:22": "h", "a@b@c": "c", "": "",
	} {
		if got := hostOfSSH(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestListenAddress(t *testing.T) {
	for _, tc := range []struct{ host, socket, want string }{
		{"127.0.0.1", "", "127.0.0.1:0"}, {"build1", "", ":0"}, {"build1", "build1:7000", ":7000"}, {"10.0.0.7", "10.0.0.7:7000", "10.0.0.7:7000"},
		{"localhost", "localhost:7000", "127.0.0.1:7000"}, {"::1", "[::1]:7000", "[::1]:7000"},
	} {
		if got := listenAddress(tc.host, tc.socket); got != tc.want {
			t.Errorf("%q, %q: got %q, want %q", tc.host, tc.socket, got, tc.want)
		}
	}
}

func TestPlaceOfAGateway(t *testing.T) {
	g := newGroup(Config{}, nil)
	member := func(text string) {
		s, err := xspec.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		g.order = append(g.order, &Gateway{spec: s})
	}
	for _, text := range []string{"popen//id=p", "ssh=me@build1:22//id=h", "popen//id=far//via=h", "socket=box:1//id=s//key=k", "cmd=sh//id=c",
		"socket//id=i//installvia=h", "socket=pub:9//id=j//installvia=i"} {
		member(text)
	}
	for id, want := range map[string]string{"p": "127.0.0.1", "h": "build1", "far": "127.0.0.1", "s": "box", "c": "", "i": "build1", "j": "pub"} {
		gw, _ := g.Lookup(id)
		from, host, err := g.placeOf(gw.spec)
		if err != nil || host != want {
			t.Errorf("%s: got %q, %v, want %q", id, host, err, want)
		}
		if _, relayed := from.(relayOrigin); relayed != (id == "far") {
			t.Errorf("%s: is reached from %T", id, from)
		}
	}
}
