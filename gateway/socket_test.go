package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/gateway/keyed"
)

// keyIn writes a new key to a file.
func keyIn(t *testing.T) (keyed.Key, string) {
	t.Helper()
	key, name := keyed.Generate(), filepath.Join(t.TempDir(), "key")
	if err := keyed.Create(name, key, t.Name()); err != nil {
		t.Fatal(err)
	}
	return key, name
}

// journal is a log that can be waited for. Each record is one line of its message and attributes.
type journal struct {
	linec chan string // never closed
}

func newJournal() *journal { return &journal{linec: make(chan string, 10_000)} }

func (j *journal) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(j, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// Write implements io.Writer for the text handler, which writes one line at a time.
func (j *journal) Write(p []byte) (int, error) {
	j.linec <- string(p)
	return len(p), nil
}

// await returns the next line that holds text.
func (j *journal) await(t *testing.T, text string) string {
	t.Helper()
	late := time.NewTimer(20 * time.Second)
	defer late.Stop()
	for {
		select {
		case line := <-j.linec:
			if strings.Contains(line, text) {
				return line
			}
		case <-late.C:
			t.Fatalf("the server's log has no line with %q", text)
		}
	}
}

// drain returns the lines so far that hold text.
func (j *journal) drain(text string) (lines []string) {
	for {
		select {
		case line := <-j.linec:
			if strings.Contains(line, text) {
				lines = append(lines, line)
			}
		default:
			return lines
		}
	}
}

// serveSocket runs a server until the end of the test and returns its address.
func serveSocket(t *testing.T, s *gateway.SocketServer) string {
	t.Helper()
	addr, stop := startSocket(t, s)
	t.Cleanup(stop)
	return addr
}

// startSocket runs a server until stop is called, which waits for its end.
func startSocket(t *testing.T, s *gateway.SocketServer) (addr string, stop func()) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if s.Command == nil {
		s.Command = []string{os.Args[0], agentRole}
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, ln) }()
	return ln.Addr().String(), sync.OnceFunc(func() {
		cancel()
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
}

func TestSocketGateway(t *testing.T) {
	key, name := keyIn(t)
	addr := serveSocket(t, &gateway.SocketServer{Key: key})
	gw := open(t, "socket="+addr+"//key="+name+"//env:XDIST_SOCKET_TEST=a b")
	ch := remoteExec(t, gw, "increment", nil)
	send(t, ch, 41)
	if got := receive[int](t, ch); got != 42 {
		t.Errorf("got %d", got)
	}
	wantEnd(t, ch)
	if got := receive[string](t, remoteExec(t, gw, "getenv", "XDIST_SOCKET_TEST")); got != "a b" {
		t.Errorf("the agent's environment has %q", got)
	}
	if gw.Info().Pid == os.Getpid() {
		t.Error("the agent is no process of its own")
	}
}

func TestSocketWithoutKey(t *testing.T) {
	addr := serveSocket(t, &gateway.SocketServer{Keyless: true})
	gw := open(t, "socket="+addr)
	ch := remoteExec(t, gw, "increment", nil)
	send(t, ch, 41)
	if got := receive[int](t, ch); got != 42 {
		t.Errorf("got %d", got)
	}
}

func TestSocketErrorsNameTheirPhase(t *testing.T) { // conformance 33, 37
	key, name := keyIn(t)
	_, otherName := keyIn(t)
	keyless := serveSocket(t, &gateway.SocketServer{Keyless: true})
	withKey := serveSocket(t, &gateway.SocketServer{Key: key})
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	for _, tc := range []struct {
		name, spec string
		phase      gateway.Phase
		want       string
	}{
		{"unknown host", "socket=host.invalid:1//key=" + name, gateway.PhaseResolve, "host.invalid"},
		{"nobody listens", "socket=" + closed.Addr().String() + "//key=" + name, gateway.PhaseConnect, "refused"},
		{"no port", "socket=localhost//key=" + name, gateway.PhaseResolve, "HOST:PORT"},
		{"no key", "socket=build1:8888", gateway.PhaseAuth, "xdist keygen FILE"},
		{"no key file", "socket=" + withKey + "//key=" + name + "x", gateway.PhaseAuth, name + "x"},
		{"another key", "socket=" + withKey + "//key=" + otherName, gateway.PhaseHostKey, "compare"},
		{"server wants a key", "socket=" + withKey, gateway.PhaseAuth, "may want a key"},
		{"server has no key", "socket=" + keyless + "//key=" + name, gateway.PhaseHostKey, "not a server with a key"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			start := time.Now()
			_, err := newGroup(t, config()).OpenSpec(t.Context(), spec(t, tc.spec))
			failed, ok := errors.AsType[*gateway.PhaseError](err)
			if !ok || failed.Phase != tc.phase || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want phase %q and %q", err, tc.phase, tc.want)
			}
			if tc.phase == gateway.PhaseResolve && tc.name == "unknown host" && !errors.Is(err, gateway.ErrHostNotFound) {
				t.Logf("not ErrHostNotFound; a machine without a name server says: %v", err)
			}
			if d := time.Since(start); d > prompt {
				t.Errorf("took %v", d)
			}
		})
	}
}

func TestSocketInstallVia(t *testing.T) { // conformance 35
	g := newGroup(t, config())
	openIn(t, g, "popen//id=p1")
	for _, text := range []string{"socket//installvia=p1//id=s1", "socket//installvia=p1//id=s2", "socket=127.0.0.1//installvia=p1//id=s3", "socket//installvia=s1//id=s4"} {
		gw := openIn(t, g, text)
		ch := remoteExec(t, gw, "increment", nil)
		send(t, ch, 41)
		if got := receive[int](t, ch); got != 42 {
			t.Errorf("%s: got %d", text, got)
		}
	}
}

// serverMain is a server that prints its address and waits to be killed. It takes programs if it is
// told so.
func serverMain(keyName string, take bool) {
	ln := must(net.Listen("tcp", "127.0.0.1:0"))
	fmt.Println(ln.Addr())
	server := gateway.SocketServer{Key: must(keyed.Read(keyName))}
	if !take {
		server.Command = []string{os.Args[0], agentRole}
	}
	if err := server.Serve(context.Background(), ln); err != nil {
		panic(err)
	}
}

func TestSocketTellsHowTheAgentEnded(t *testing.T) { // conformance 38, 70
	key, name := keyIn(t)
	addr := serveSocket(t, &gateway.SocketServer{Key: key})
	gw := open(t, "socket="+addr+"//key="+name)
	receive[int](t, remoteExec(t, gw, "noise", nil))
	err := remoteExec(t, gw, "exit", 3).WaitClose(t.Context())
	lost, ok := errors.AsType[*gateway.LostError](err)
	if !ok || lost.Status != "exit status 3" || !strings.Contains(lost.Stderr, "to standard error") || !strings.Contains(lost.Stderr, "last words") {
		t.Errorf("got %v", err)
	}
	<-gw.Done()
}

func TestSocketPassesStderrOn(t *testing.T) {
	key, name := keyIn(t)
	addr := serveSocket(t, &gateway.SocketServer{Key: key})
	stderr := newJournal()
	cfg := config()
	cfg.Stderr = stderr
	gw := openIn(t, newGroup(t, cfg), "socket="+addr+"//key="+name)
	receive[int](t, remoteExec(t, gw, "noise", nil))
	stderr.await(t, "to standard error")
}

func TestSocketErrorOfAnAgentThatDoesNotStart(t *testing.T) {
	key, name := keyIn(t)
	for _, tc := range []struct {
		command []string
		want    string
	}{
		{[]string{filepath.Join(t.TempDir(), "missing")}, "start: start agent: "},
		{[]string{os.Args[0], "-test.run=^$"}, "exit status 0"},
	} {
		addr := serveSocket(t, &gateway.SocketServer{Key: key, Command: tc.command})
		_, err := newGroup(t, config()).OpenSpec(t.Context(), spec(t, "socket="+addr+"//key="+name))
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q: got %v, want %q", tc.command, err, tc.want)
		}
	}
}

func TestSocketServesManyAtOnce(t *testing.T) { // conformance 39, 40
	key, name := keyIn(t)
	addr := serveSocket(t, &gateway.SocketServer{Key: key})
	g := newGroup(t, config())
	pids := make(chan int, 4)
	for range cap(pids) {
		go func() {
			gw, err := g.OpenSpec(t.Context(), spec(t, "socket="+addr+"//key="+name))
			if err != nil {
				t.Error(err)
				pids <- 0
				return
			}
			var n int
			ch, err := gw.RemoteExec(t.Context(), "increment", nil)
			if err = errors.Join(err, ch.Send(t.Context(), 1), ch.Receive(t.Context(), &n)); err != nil || n != 2 {
				t.Errorf("%d, %v", n, err)
			}
			pids <- gw.Info().Pid
		}()
	}
	seen := make(map[int]bool)
	for range cap(pids) {
		seen[<-pids] = true
	}
	if len(seen) != cap(pids) {
		t.Errorf("agents are %v", seen)
	}
}

func TestSocketCarriesBulk(t *testing.T) {
	key, name := keyIn(t)
	addr := serveSocket(t, &gateway.SocketServer{Key: key})
	gw := open(t, "socket="+addr+"//key="+name)
	ch := remoteExec(t, gw, "echo", nil)
	block := make([]byte, 3<<20+17)
	for i := range block {
		block[i] = byte(i * i >> 7)
	}
	go func() {
		for range 5 {
			if err := ch.Send(t.Context(), block); err != nil {
				t.Error(err)
			}
		}
	}()
	for range 5 {
		if got := receive[[]byte](t, ch); !bytes.Equal(got, block) {
			t.Fatal("bytes have changed on the way")
		}
	}
}

func TestInstalledServerEndsWithItsGateway(t *testing.T) {
	g := newGroup(t, config())
	p1 := openIn(t, g, "popen//id=p1")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String() // free in a moment
	ln.Close()
	s1, s2 := openIn(t, g, "socket="+addr+"//installvia=p1"), openIn(t, g, "socket="+addr+"//installvia=p1")
	if s1.Info().Pid == s2.Info().Pid {
		t.Error("two gateways have one agent")
	}
	_, name := keyIn(t)
	if _, err := g.OpenSpec(t.Context(), spec(t, "socket="+addr+"//key="+name)); err == nil || !strings.Contains(err.Error(), "compare") {
		t.Errorf("with another key: %v", err)
	}
	p1.Exit()
	<-p1.Done()
	<-s1.Done()
	<-s2.Done()
	if _, err := net.Dial("tcp", addr); err == nil {
		t.Error("somebody still listens")
	}
	if _, err := g.OpenSpec(t.Context(), spec(t, "socket="+addr+"//installvia=p1")); err == nil || !strings.Contains(err.Error(), "gateway has ended") {
		t.Errorf("got %v", err)
	}
}

func TestInstallViaErrors(t *testing.T) {
	g := newGroup(t, config())
	openIn(t, g, "popen//id=p1")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, tc := range []struct{ spec, want string }{
		{"socket//installvia=p1//key=x", "leave key= out"},
		{"socket//installvia=p9", `no such gateway`},
		{"socket=" + taken.Addr().String() + "//installvia=p1", "in use"},
	} {
		if _, err := g.OpenSpec(t.Context(), spec(t, tc.spec)); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v", tc.spec, err)
		}
	}
	openIn(t, g, "socket//installvia=p1") // an error is not remembered
}
