//go:build unix

package gateway_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/xdist-go/xdist/gateway"
)

func TestAgentOfAClientThatIsGone(t *testing.T) { // conformance 47
	key, name := keyIn(t)
	log := newJournal()
	addr := serveSocket(t, &gateway.SocketServer{Key: key, Logger: log.logger()})
	p := newProxy(t, addr)
	cfg := config()
	cfg.Grace = time.Second
	gw := openIn(t, newGroup(t, cfg), "socket="+p.addr+"//key="+name)
	obedient := receive[int](t, remoteExec(t, gw, "sleeper", nil))
	receive[int](t, remoteExec(t, gw, "deaf", nil))
	p.cut()
	awaitGone(t, gw.Info().Pid)
	awaitGone(t, obedient)
	log.await(t, "agent ended")
	<-gw.Done()
	if lost, ok := errors.AsType[*gateway.LostError](gw.Err()); !ok || lost.Status != "" {
		t.Errorf("got %v", gw.Err())
	}
}

func TestTerminateOverACableThatWasPulled(t *testing.T) {
	key, name := keyIn(t)
	addr := serveSocket(t, &gateway.SocketServer{Key: key})
	p := newProxy(t, addr)
	g := newGroup(t, config())
	gw := openIn(t, g, "socket="+p.addr+"//key="+name)
	receive[any](t, remoteExec(t, gw, "block", nil))
	p.freeze()
	start := time.Now()
	if err := g.Terminate(t.Context(), time.Second); err != nil {
		t.Error(err)
	}
	if d := time.Since(start); d > prompt {
		t.Errorf("took %v", d)
	}
	p.cut()
	awaitGone(t, gw.Info().Pid)
}

func TestSilentSocketIsGivenUp(t *testing.T) {
	key, name := keyIn(t)
	addr := serveSocket(t, &gateway.SocketServer{Key: key})
	p := newProxy(t, addr)
	cfg := config()
	cfg.Beat, cfg.Lease, cfg.Grace = 100*time.Millisecond, time.Second, time.Second
	gw := openIn(t, newGroup(t, cfg), "socket="+p.addr+"//key="+name)
	grandchild := receive[int](t, remoteExec(t, gw, "sleeper", nil))
	ch := remoteExec(t, gw, "block", nil)
	receive[any](t, ch)
	p.freeze()
	start := time.Now()
	if err := ch.WaitClose(t.Context()); !errors.Is(err, gateway.ErrLease) || time.Since(start) > prompt {
		t.Errorf("got %v after %v", err, time.Since(start))
	}
	awaitGone(t, gw.Info().Pid) // although the server has not heard of the end either
	awaitGone(t, grandchild)
	<-gw.Done()
}

func TestTerminateSocket(t *testing.T) { // conformance 42, 45
	key, name := keyIn(t)
	addr := serveSocket(t, &gateway.SocketServer{Key: key})
	for _, handler := range []string{"block", "deaf", "stopped"} {
		t.Run(handler, func(t *testing.T) {
			g := newGroup(t, config())
			gw := openIn(t, g, "socket="+addr+"//key="+name)
			if handler == "stopped" {
				syscall.Kill(gw.Info().Pid, syscall.SIGSTOP)
			} else {
				receive[any](t, remoteExec(t, gw, handler, nil))
			}
			start := time.Now()
			if err := g.Terminate(t.Context(), time.Second); err != nil {
				t.Error(err)
			}
			if d := time.Since(start); d > prompt {
				t.Errorf("took %v", d)
			}
			if alive(gw.Info().Pid) || g.Len() != 0 {
				t.Errorf("alive: %v, members: %d", alive(gw.Info().Pid), g.Len())
			}
		})
	}
}

func TestTerminateSocketWhoseAgentTakesNothing(t *testing.T) {
	key, name := keyIn(t)
	log := newJournal()
	addr := serveSocket(t, &gateway.SocketServer{Key: key, Logger: log.logger()})
	cfg := config()
	cfg.Grace = time.Second
	g := newGroup(t, cfg)
	gw := openIn(t, g, "socket="+addr+"//key="+name)
	syscall.Kill(gw.Info().Pid, syscall.SIGSTOP)
	sent := make(chan error, 1)
	go func() { // until everything on the way is full, and the wish to kill is stuck behind it
		var err error
		for i := 0; err == nil && i < 100; i++ {
			var ch *gateway.Channel
			if ch, err = gw.RemoteExec(t.Context(), "echo", nil); err == nil {
				err = ch.Send(t.Context(), make([]byte, 4<<20))
			}
		}
		sent <- err
	}()
	full := time.NewTimer(500 * time.Millisecond)
	<-full.C
	start := time.Now()
	if err := g.Terminate(t.Context(), time.Second); err != nil {
		t.Error(err)
	}
	if d := time.Since(start); d > prompt {
		t.Errorf("took %v", d)
	}
	<-sent
	log.await(t, "agent ended")
	if alive(gw.Info().Pid) {
		t.Error("the agent is alive")
	}
}

func TestKilledSocketAgent(t *testing.T) { // conformance 70
	key, name := keyIn(t)
	addr := serveSocket(t, &gateway.SocketServer{Key: key})
	gw := open(t, "socket="+addr+"//key="+name)
	ch := remoteExec(t, gw, "sleeper", nil)
	grandchild := receive[int](t, ch)
	start := time.Now()
	syscall.Kill(gw.Info().Pid, syscall.SIGKILL)
	err := ch.Receive(t.Context(), new(int))
	if lost, ok := errors.AsType[*gateway.LostError](err); !ok || !strings.Contains(lost.Status, "killed") || time.Since(start) > prompt {
		t.Errorf("got %v after %v", err, time.Since(start))
	}
	<-gw.Done()
	if sessionsAreFollowed {
		awaitGone(t, grandchild)
	} else {
		syscall.Kill(-grandchild, syscall.SIGKILL)
	}
}

func TestStoppedServerEndsItsAgents(t *testing.T) {
	key, name := keyIn(t)
	addr, stop := startSocket(t, &gateway.SocketServer{Key: key})
	t.Cleanup(stop)
	gw := open(t, "socket="+addr+"//key="+name)
	grandchild := receive[int](t, remoteExec(t, gw, "sleeper", nil))
	deaf := open(t, "socket="+addr+"//key="+name)
	receive[int](t, remoteExec(t, deaf, "deaf", nil))
	start := time.Now()
	stop()
	if d := time.Since(start); d > prompt {
		t.Errorf("took %v", d)
	}
	for _, pid := range []int{gw.Info().Pid, deaf.Info().Pid} {
		if alive(pid) {
			t.Errorf("agent %d is alive", pid)
		}
	}
	if sessionsAreFollowed {
		awaitGone(t, grandchild)
	} else {
		syscall.Kill(-grandchild, syscall.SIGKILL)
	}
	<-gw.Done()
	<-deaf.Done()
	if _, err := net.Dial("tcp", addr); err == nil {
		t.Error("somebody still listens")
	}
}

func TestKilledServerLeavesNothing(t *testing.T) {
	_, name := keyIn(t)
	server := exec.Command(os.Args[0], serverRole, name)
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer server.Wait()
	defer server.Process.Kill()
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	cfg := config()
	cfg.Grace = time.Second
	gw := openIn(t, newGroup(t, cfg), "socket="+strings.TrimSpace(addr)+"//key="+name)
	grandchild := receive[int](t, remoteExec(t, gw, "sleeper", nil))
	server.Process.Kill()
	awaitGone(t, gw.Info().Pid)
	awaitGone(t, grandchild)
	<-gw.Done()
	if _, ok := errors.AsType[*gateway.LostError](gw.Err()); !ok || errors.Is(gw.Err(), io.EOF) {
		t.Errorf("got %v", gw.Err())
	}
}

func TestSocketClientThatReadsNothing(t *testing.T) {
	key, _ := keyIn(t)
	for _, tc := range []struct {
		name   string
		script string
	}{
		{"floods both", "yes >&2 & yes"},
		{"floods standard error and ends", "yes | head -c 30000000 >&2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			log := newJournal()
			addr, stop := startSocket(t, &gateway.SocketServer{Key: key, Command: []string{"/bin/sh", "-c", tc.script}, Logger: log.logger()})
			t.Cleanup(stop)
			gone := requested(t, key, addr)
			requested(t, key, addr) // stays
			log.await(t, "agent started")
			log.await(t, "agent started")
			full := time.NewTimer(200 * time.Millisecond)
			<-full.C
			gone.Close()
			log.await(t, "agent ended")
			start := time.Now()
			stop()
			if d := time.Since(start); d > prompt {
				t.Errorf("the server took %v to stop", d)
			}
			log.await(t, "agent ended")
		})
	}
}

func TestSocketServerObeysEndAndInterrupt(t *testing.T) {
	key, _ := keyIn(t)
	for _, tc := range []struct{ name, script, say, want string }{
		{"end", "echo; cat >/dev/null; exit 5", "\x02\x00\x00\x00\x00", "exit status 5"},
		{"interrupt", "trap 'exit 7' TERM; echo; while :; do sleep 0.05; done", "\x03\x00\x00\x00\x00", "exit status 7"},
		{"kill", "trap '' TERM; echo; while :; do sleep 0.05; done", "\x04\x00\x00\x00\x00", "signal: killed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			addr := serveSocket(t, &gateway.SocketServer{Key: key, Command: []string{"/bin/sh", "-c", tc.script}})
			conn := requested(t, key, addr)
			if b := make([]byte, 6); must(io.ReadFull(conn, b)) != 6 || string(b) != "\x01\x00\x00\x00\x01\n" {
				t.Fatalf("the agent's word arrives as %q", b)
			}
			io.WriteString(conn, tc.say)
			rest := must(io.ReadAll(conn))
			if want := "\x06\x00\x00\x00" + string(rune(len(tc.want))) + tc.want; !strings.HasSuffix(string(rest), want) {
				t.Errorf("got %q, want the end %q", rest, want)
			}
		})
	}
}
