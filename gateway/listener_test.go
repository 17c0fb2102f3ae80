package gateway_test

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/gateway/keyed"
)

// listenIn begins to listen in g, with fields added to the spec.
func listenIn(t *testing.T, g *gateway.Group, fields string) *gateway.Listener {
	t.Helper()
	l, err := g.Listen(t.Context(), spec(t, "listen=127.0.0.1:0//"+fields))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// joining is a call of Join.
type joining struct {
	stop context.CancelFunc
	errc chan error // capacity 1, never closed: what Join returned
}

// join joins a controller, with agents of this test binary, until the end of the test.
func join(t *testing.T, j *gateway.Joiner, addr string) *joining {
	t.Helper()
	if j.Command == nil {
		j.Command = []string{os.Args[0], agentRole}
	}
	ctx, cancel := context.WithCancel(context.Background())
	joined := &joining{cancel, make(chan error, 1)}
	donec := make(chan struct{})
	go func() {
		defer close(donec)
		joined.errc <- j.Join(ctx, addr)
	}()
	t.Cleanup(func() { cancel(); <-donec })
	return joined
}

func accept(t *testing.T, l *gateway.Listener) *gateway.Gateway {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	gw, err := l.Accept(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return gw
}

func TestJoin(t *testing.T) {
	key, name := keyIn(t)
	for _, tt := range []struct {
		name, fields string
		joiner       gateway.Joiner
	}{
		{"with a key", "key=" + name, gateway.Joiner{Key: key, Agents: 2}},
		{"without", "insecure", gateway.Joiner{Keyless: true, Agents: 2}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newGroup(t, config())
			l := listenIn(t, g, tt.fields+"//env:XDIST_JOIN_TEST=a b")
			joined := join(t, &tt.joiner, l.Addr().String())
			pids := map[int]bool{os.Getpid(): true}
			for range 2 {
				gw := accept(t, l)
				ch := remoteExec(t, gw, "increment", nil)
				send(t, ch, 41)
				if got := receive[int](t, ch); got != 42 {
					t.Errorf("got %d", got)
				}
				wantEnd(t, ch)
				if got := receive[string](t, remoteExec(t, gw, "getenv", "XDIST_JOIN_TEST")); got != "a b" {
					t.Errorf("the agent's environment has %q", got)
				}
				if _, ok := g.Lookup(gw.ID()); !ok || gw.Spec().Listen == "" {
					t.Errorf("gateway %s of %q is no member", gw, gw.Spec())
				}
				pids[gw.Info().Pid] = true
			}
			if len(pids) != 3 {
				t.Errorf("the agents are processes %v, want two of their own", pids)
			}
			if err := g.Terminate(t.Context(), 0); err != nil {
				t.Error(err)
			}
			if err := <-joined.errc; err != nil {
				t.Errorf("join: %v", err)
			}
			if _, err := l.Accept(t.Context()); !errors.Is(err, net.ErrClosed) {
				t.Errorf("accept after the end: %v", err)
			}
		})
	}
}

// freeAddress is an address that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func TestJoinBeforeTheController(t *testing.T) {
	key, name := keyIn(t)
	addr, log := freeAddress(t), newJournal()
	joined := join(t, &gateway.Joiner{Key: key, Logger: log.logger()}, addr)
	log.await(t, "no controller")
	g := newGroup(t, config())
	l, err := g.Listen(t.Context(), spec(t, "listen="+addr+"//key="+name))
	if err != nil {
		t.Fatal(err)
	}
	accept(t, l).Exit()
	if err := <-joined.errc; err != nil {
		t.Errorf("join: %v", err)
	}
}

func TestJoinIsRefused(t *testing.T) {
	key, name := keyIn(t)
	g := newGroup(t, config())
	withKey := listenIn(t, g, "key="+name).Addr().String()
	keyless := listenIn(t, g, "insecure").Addr().String()
	server := serveSocket(t, &gateway.SocketServer{Key: key})
	for _, tt := range []struct {
		name, addr string
		joiner     gateway.Joiner
		phase      gateway.Phase
		text       string
	}{
		{"another key", withKey, gateway.Joiner{Key: keyed.Generate(), Agents: 3}, gateway.PhaseHostKey, "does not have the key"},
		{"no key here", withKey, gateway.Joiner{Keyless: true, Wait: time.Second}, gateway.PhaseConnect, "may want a key"},
		{"no key there", keyless, gateway.Joiner{Key: key}, gateway.PhaseHostKey, "no controller with a key"},
		{"a server with the same key", server, gateway.Joiner{Key: key}, gateway.PhaseHostKey, "no controller that waits"},
		{"nobody", freeAddress(t), gateway.Joiner{Key: key, Wait: time.Millisecond}, gateway.PhaseConnect, "within 1ms"},
		{"no address", "here", gateway.Joiner{Key: key}, gateway.PhaseResolve, "HOST:PORT"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := <-join(t, &tt.joiner, tt.addr).errc
			phase, ok := errors.AsType[*gateway.PhaseError](err)
			if !ok || phase.Phase != tt.phase || strings.Count(err.Error(), tt.text) != 1 {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("a client of a server comes to a listener", func(t *testing.T) {
		_, err := newGroup(t, config()).OpenSpec(t.Context(), spec(t, "socket="+withKey+"//key="+name))
		if !errors.Is(err, keyed.ErrPeer) {
			t.Errorf("got %v", err)
		}
	})
	if g.Len() != 0 {
		t.Errorf("%d agents have joined", g.Len())
	}
}

func TestListenRefuses(t *testing.T) {
	_, name := keyIn(t)
	for text, want := range map[string]string{
		"listen=0.0.0.0:0//insecure":             "only a loopback address",
		"listen=127.0.0.1:0//key=" + name + "-x": "no such file",
		"listen=127.0.0.1:0//insecure//id=a":     "cannot have an id",
		"popen":                                  "no gateway type",
	} {
		g := newGroup(t, config())
		if l, err := g.Listen(t.Context(), spec(t, text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, %v", text, l, err)
		}
	}
	if _, err := newGroup(t, config()).OpenSpec(t.Context(), spec(t, "listen=127.0.0.1:0//insecure")); !errors.Is(err, gateway.ErrNoTransport) {
		t.Errorf("open: %v", err)
	}
}

func TestJoinerLeaves(t *testing.T) {
	key, name := keyIn(t)
	l := listenIn(t, newGroup(t, config()), "key="+name)
	joined := join(t, &gateway.Joiner{Key: key}, l.Addr().String())
	gw := accept(t, l)
	receive[any](t, remoteExec(t, gw, "block", nil))
	joined.stop()
	if err := <-joined.errc; !errors.Is(err, context.Canceled) {
		t.Errorf("join: %v", err)
	}
	<-gw.Done()
	if lost, ok := errors.AsType[*gateway.LostError](gw.Err()); !ok || lost.Status != "" || !strings.Contains(lost.Error(), "has left") {
		t.Errorf("got %v", gw.Err())
	}
}

func TestJoinedAgentDies(t *testing.T) {
	key, name := keyIn(t)
	g := newGroup(t, config())
	l := listenIn(t, g, "key="+name)
	joined := join(t, &gateway.Joiner{Key: key, Agents: 2}, l.Addr().String())
	one, other := accept(t, l), accept(t, l)
	if _, err := one.RemoteExec(t.Context(), "exit", 3); err != nil {
		t.Fatal(err)
	}
	<-one.Done()
	if lost, ok := errors.AsType[*gateway.LostError](one.Err()); !ok || lost.Status != "exit status 3" {
		t.Errorf("got %v", one.Err())
	}
	other.Exit()
	if err := <-joined.errc; err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("join: %v", err)
	}
}

func TestListenerEndsWithStrangers(t *testing.T) {
	_, name := keyIn(t)
	g := newGroup(t, config())
	l := listenIn(t, g, "key="+name)
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := g.Terminate(t.Context(), 0); err != nil {
		t.Error(err)
	}
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("a stranger was answered")
	}
	if _, err := g.Listen(t.Context(), spec(t, "listen=127.0.0.1:0//key="+name)); err == nil {
		t.Error("a terminated group listens")
	}
}
