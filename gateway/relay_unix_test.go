//go:build unix

package gateway

import (
	"bufio"
	"context"
	"errors"
	"io"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/xdist-go/xdist/xspec"
)

func startedAt(t *testing.T, o origin, script string, env ...xspec.Var) *endpoint {
	t.Helper()
	l, err := o.start(t.Context(), command{args: []string{"/bin/sh", "-c", script}, env: env})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.proc.kill()
		l.conn.Close()
	})
	return l
}

func TestRelayedProcess(t *testing.T) {
	o := hops(t, 2)
	for _, tc := range []struct {
		name, script, in    string
		out, stderr, status string
	}{
		{"input, output and environment", `cat; echo "$GREETING $EMPTY."`, "in ", "in a=b .\n", "", "exit status 0"},
		{"fails", "echo no >&2; exit 3", "", "", "no\n", "exit status 3"},
		{"is killed", "kill -9 $$", "", "", "", "signal: killed"},
		{"reads nothing", "exec <&-; echo out; echo err >&2; exit 4", strings.Repeat("x", 1<<20), "out\n", "err\n", "exit status 4"},
		{"leaves somebody behind", "sleep 1000 & echo done", "", "done\n", "", "exit status 0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := startedAt(t, o, tc.script, xspec.Var{Name: "GREETING", Value: "a=b"}, xspec.Var{Name: "EMPTY"})
			io.WriteString(l.conn, tc.in)
			l.conn.(*relayConn).CloseWrite()
			out, err := io.ReadAll(l.conn)
			status := l.proc.wait()
			if err != nil && tc.name != "reads nothing" || string(out) != tc.out || l.proc.stderr() != tc.stderr || status != tc.status {
				t.Errorf("output %q, %v, stderr %q, %s", out, err, l.proc.stderr(), status)
			}
			l.conn.Close()
			awaitIdle(t, o.gw)
		})
	}
}

func TestRelayedStderrComesAsItIsWritten(t *testing.T) {
	r, w := io.Pipe()
	defer r.Close()
	cfg := relayGroup(t).cfg
	cfg.Stderr = w
	g := NewGroup(cfg)
	defer g.Terminate(context.Background(), time.Second)
	defer r.Close()
	l := startedAt(t, relayOrigin{opened(t, g, "popen//id=p1")}, "echo first >&2; read line; echo $line >&2")
	lines := bufio.NewReader(r)
	if s, err := lines.ReadString('\n'); s != "first\n" {
		t.Errorf("got %q, %v", s, err)
	}
	io.WriteString(l.conn, "second\n")
	if s, err := lines.ReadString('\n'); s != "second\n" {
		t.Errorf("got %q, %v", s, err)
	}
	l.proc.wait()
}

func TestRelayedOrders(t *testing.T) {
	o := hops(t, 1)
	for _, tc := range []struct {
		name, script, status string
		order                func(process)
	}{
		{"interrupt", "trap 'exit 5' TERM; echo; while :; do sleep 0.01; done", "exit status 5", process.interrupt},
		{"kill", "trap '' TERM INT; echo; while :; do sleep 1; done", "signal: killed", process.kill},
		{"kill behind output that nobody reads", "echo; exec cat /dev/zero", "signal: killed", process.kill},
		{"kill behind input that it does not read", "echo; exec sleep 1000", "signal: killed", process.kill},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := startedAt(t, o, tc.script)
			if _, err := l.conn.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			conn := l.conn.(*relayConn)
			if strings.Contains(tc.name, "input") {
				conn.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
				for err := error(nil); err == nil; _, err = conn.Write(make([]byte, 1<<20)) {
				}
			}
			start := time.Now()
			tc.order(l.proc)
			if status := l.proc.wait(); status != tc.status {
				t.Errorf("got %s", status)
			}
			if d := time.Since(start); d > prompt {
				t.Errorf("took %v", d)
			}
			tc.order(l.proc) // once more does nothing
			l.conn.Close()
			awaitIdle(t, o.gw)
		})
	}
}

func TestRelayedProcessThatCannotStart(t *testing.T) {
	o := hops(t, 1)
	_, err := o.start(t.Context(), command{args: []string{"/no/such/program"}})
	if err == nil || !strings.HasPrefix(err.Error(), "via gateway p1: start agent: ") || !strings.Contains(err.Error(), "/no/such/program") {
		t.Errorf("got %v", err)
	}
	awaitIdle(t, o.gw)
}

// A process ends when the controller lets go of it, and when the relay ends, in whatever way.
func TestRelayedProcessEndsWithItsOwner(t *testing.T) {
	for _, tc := range []struct {
		name string
		end  func(*relayOrigin, *endpoint)
		deaf bool // the process does not listen to the end of its input
	}{
		{"let go", func(_ *relayOrigin, l *endpoint) { l.conn.Close(); l.proc.(*relayProcess).control.Close() }, true},
		{"exit", func(o *relayOrigin, _ *endpoint) { o.gw.Exit(); <-o.gw.Done() }, true},
		{"relay killed", func(o *relayOrigin, _ *endpoint) { syscall.Kill(o.gw.Info().Pid, syscall.SIGKILL) }, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := hops(t, 1)
			script := "echo $$; cat >/dev/null"
			if tc.deaf {
				script = "trap '' TERM INT HUP; echo $$; while :; do sleep 1; done"
			}
			l := startedAt(t, o, script)
			line, err := bufio.NewReader(l.conn).ReadString('\n')
			pid, convErr := strconv.Atoi(strings.TrimSpace(line))
			if err := errors.Join(err, convErr); err != nil {
				t.Fatal(err)
			}
			tc.end(&o, l)
			awaitNoProcess(t, pid)
		})
	}
}

// awaitNoProcess waits for the process to end.
func awaitNoProcess(t *testing.T, pid int) {
	t.Helper()
	late := time.NewTimer(prompt)
	defer late.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for syscall.Kill(pid, 0) == nil && !isZombie(pid) {
		select {
		case <-late.C:
			t.Fatalf("process %d is still there after %v", pid, prompt)
		case <-tick.C:
		}
	}
}

func TestKilledRelayWakesEverything(t *testing.T) {
	g := relayGroup(t)
	p1 := opened(t, g, "popen//id=p1")
	opened(t, g, "popen//id=p2//via=p1")
	gw := opened(t, g, "popen//via=p2")
	c, err := gw.RemoteExec(t.Context(), "block", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Receive(t.Context(), new(string)); err != nil {
		t.Fatal(err)
	}
	conn := dialed(t, relayOrigin{gw}, server(t, echo))
	blocked := map[string]func() error{
		"Receive":   func() error { return c.Receive(context.Background(), new(string)) },
		"WaitClose": func() error { return c.WaitClose(context.Background()) },
		"Read":      func() error { return second(conn.Read(make([]byte, 1))) },
		"ReadAll":   func() error { return second(io.ReadAll(conn)) },
	}
	type end struct {
		name string
		err  error
	}
	endc := make(chan end, len(blocked))
	for name, f := range blocked {
		go func() { endc <- end{name, f()} }()
	}
	start := time.Now()
	syscall.Kill(p1.Info().Pid, syscall.SIGKILL)
	for range blocked {
		e := <-endc
		const want = "gateway gw0 is lost: via gateway p2 is lost: via gateway p1 is lost: signal: killed"
		if lost, ok := errors.AsType[*LostError](e.err); !ok || lost.Gateway != "gw0" || !strings.Contains(e.err.Error(), want) {
			t.Errorf("%s: %v", e.name, e.err)
		}
	}
	if d := time.Since(start); d > prompt {
		t.Errorf("took %v", d)
	}
	for id := range g.All() {
		<-id.Done()
		awaitNoProcess(t, id.Info().Pid)
	}
	if _, err := g.OpenSpec(t.Context(), parsed(t, "popen//via=p1")); err == nil ||
		!strings.Contains(err.Error(), `open gateway "popen//via=p1//id=gw1": via gateway p1 is lost: signal: killed`) {
		t.Errorf("open through a lost gateway: %v", err)
	}
}

func TestExitOfARelay(t *testing.T) {
	g := relayGroup(t)
	p1 := opened(t, g, "popen//id=p1")
	gw := opened(t, g, "popen//via=p1")
	p1.Exit()
	<-gw.Done()
	if err := gw.Err(); !strings.Contains(err.Error(), "gateway gw0 is lost: via gateway p1: gateway has ended") || !errors.Is(err, ErrExited) {
		t.Errorf("got %v", err)
	}
	awaitNoProcess(t, gw.Info().Pid)
	if _, err := g.OpenSpec(t.Context(), parsed(t, "popen//via=p1")); !errors.Is(err, ErrExited) {
		t.Errorf("open through a gateway that has ended: %v", err)
	}
}

func TestTerminateWithAStoppedRelay(t *testing.T) {
	g := relayGroup(t)
	p1 := opened(t, g, "popen//id=p1")
	gw := opened(t, g, "popen//via=p1")
	if err := syscall.Kill(p1.Info().Pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if err := g.Terminate(t.Context(), time.Second); err != nil {
		t.Error(err)
	}
	if d := time.Since(start); d > prompt {
		t.Errorf("took %v", d)
	}
	awaitNoProcess(t, p1.Info().Pid)
	awaitNoProcess(t, gw.Info().Pid)
}

func TestPlatformOfARelay(t *testing.T) {
	g := relayGroup(t)
	opened(t, g, "popen//id=p1")
	opened(t, g, "popen//via=p1//goos="+runtime.GOOS+"//goarch="+runtime.GOARCH)
	gw := opened(t, g, "popen//via=p1//goos="+runtime.GOOS+"//exec=/usr/bin/env XDIST_WRAPPED=yes")
	c, err := gw.RemoteExec(t.Context(), "getenv", "XDIST_WRAPPED")
	var got string
	if err := errors.Join(err, c.Receive(t.Context(), &got)); err != nil || got != "yes" {
		t.Errorf("the wrapper's variable is %q, %v", got, err)
	}
	_, err = g.OpenSpec(t.Context(), parsed(t, "popen//via=p1//goos=plan9//id=x"))
	want := "start agent for plan9/" + runtime.GOARCH + ": popen starts the agent of gateway p1 once more, which is for " + runtime.GOOS + "/" + runtime.GOARCH
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v", err)
	}
}
