package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/xdist-go/xdist/gateway"
)

func TestExitLeavesTheGroupAtOnce(t *testing.T) { overTransports(t, testExitLeavesTheGroupAtOnce) } // conformance 26, 44

func testExitLeavesTheGroupAtOnce(t *testing.T, tr transport) {
	g := newGroup(t, config())
	gw := tr.openIn(t, g)
	c := remoteExec(t, gw, "block", nil)
	receive[string](t, c)
	gw.Exit()
	if g.Index(gw) != -1 {
		t.Error("gateway is still in its group")
	}
	gw.Exit()
	if _, err := gw.RemoteExec(t.Context(), "echo", nil); !errors.Is(err, gateway.ErrExited) {
		t.Errorf("RemoteExec after Exit: %v", err)
	}
	<-gw.Done()
	if err := gw.Err(); !errors.Is(err, gateway.ErrExited) {
		t.Errorf("Err is %v", err)
	}
	if err := c.Receive(t.Context(), new(any)); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("Receive from a handler that was ended: %v", err)
	}
}

func TestChdirIsCreatedAndEntered(t *testing.T) { overTransports(t, testChdirIsCreatedAndEntered) } // conformance 28

func testChdirIsCreatedAndEntered(t *testing.T, tr transport) {
	base := t.TempDir()
	t.Chdir(base)
	for _, tc := range []struct{ name, chdir, want string }{
		{"absolute", filepath.Join(base, "abs"), filepath.Join(base, "abs")},
		{"nested", filepath.Join(base, "a", "b", "c"), filepath.Join(base, "a", "b", "c")},
		{"relative", "rel", filepath.Join(tr.open(t).Info().Dir, "rel")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			gw := tr.open(t, "chdir="+tc.chdir)
			got := receive[string](t, remoteExec(t, gw, "getwd", nil))
			want, err := filepath.EvalSymlinks(tc.want)
			if err != nil || got != want && got != tc.want {
				t.Errorf("directory %q, want %q (%v)", got, want, err)
			}
			if gw.Info().Dir != got {
				t.Errorf("Info says %q", gw.Info().Dir)
			}
		})
	}
}

func TestChdirThatCannotBe(t *testing.T) { overTransports(t, testChdirThatCannotBe) }

func testChdirThatCannotBe(t *testing.T, tr transport) {
	tr.openable(t)
	file := filepath.Join(t.TempDir(), "file")
	writeFile(t, file, "")
	g := newGroup(t, config())
	_, err := g.OpenSpec(t.Context(), spec(t, tr.spec(t, g)+"//chdir="+file+"/sub"))
	if err == nil || !strings.Contains(err.Error(), "create directory") || !strings.Contains(err.Error(), file) {
		t.Errorf("got %v", err)
	}
}

func TestEnvIsSetBeforeTheProcessStarts(t *testing.T) {
	overTransports(t, testEnvIsSetBeforeTheProcessStarts)
} // conformance 8

func testEnvIsSetBeforeTheProcessStarts(t *testing.T, tr transport) {
	gw := tr.open(t, "env:GATEWAY_A=value1", "env:GATEWAY_B=", "env:GOMAXPROCS=1")
	for name, want := range map[string]string{"GATEWAY_A": "value1", "GATEWAY_B": "", "GOMAXPROCS": "1"} {
		if got := receive[string](t, remoteExec(t, gw, "getenv", name)); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestInfo(t *testing.T) { overTransports(t, testInfo) }

func testInfo(t *testing.T, tr transport) {
	info := tr.open(t).Info()
	if info.Pid <= 0 || info.GOOS != runtime.GOOS || info.GOARCH != runtime.GOARCH || info.CPUs != gateway.UsableCPUs() ||
		info.Executable == "" || info.Dir == "" || info.GoVersion != runtime.Version() {
		t.Errorf("info: %+v", info)
	}
}

// What has changed about an agent is known after a refresh.
func TestRefresh(t *testing.T) {
	overTransports(t, func(t *testing.T, tr transport) {
		gw := tr.open(t)
		was := gw.Info()
		dir := t.TempDir()
		if err := remoteExec(t, gw, "chdir", dir).WaitClose(t.Context()); err != nil {
			t.Fatal(err)
		}
		if gw.Info() != was {
			t.Errorf("before a refresh: %+v", gw.Info())
		}
		info, err := gw.Refresh(t.Context())
		real, evalErr := filepath.EvalSymlinks(dir)
		if err != nil || evalErr != nil || info.Dir != real && info.Dir != dir || gw.Info() != info {
			t.Errorf("got %+v, %v; Info has %+v", info, err, gw.Info())
		}
		if l := info.Load; l.Disk <= 0 || runtime.GOOS == "linux" && (l.Memory <= 0 || l.Average < 0) {
			t.Errorf("the host's load is %+v", l)
		}
		info.Dir, info.Load = was.Dir, was.Load
		if info != was {
			t.Errorf("more has changed: %+v, was %+v", info, was)
		}
		gw.Exit()
		if _, err := gw.Refresh(t.Context()); !errors.Is(err, gateway.ErrExited) {
			t.Errorf("after Exit: %v", err)
		}
	})
}

// counts are what can be compared of a status.
func counts(st gateway.Status) [2]int { return [2]int{st.Executing, st.Channels} }

// awaitStatus asks until the status is as wanted: a handler's end travels on another channel than
// the status.
func awaitStatus(t *testing.T, gw *gateway.Gateway, want gateway.Status) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	for {
		st, err := gw.Status(ctx)
		if err != nil {
			t.Fatalf("status %+v, want %+v: %v", st, want, err)
		}
		if counts(st) == counts(want) {
			return
		}
	}
}

func TestStatus(t *testing.T) { overTransports(t, testStatus) } // conformance 31, 40

func testStatus(t *testing.T, tr transport) {
	gw := tr.open(t)
	for range 10 {
		if st, err := gw.Status(t.Context()); err != nil || counts(st) != [2]int{} {
			t.Fatalf("idle: %+v, %v", st, err)
		}
	}
	a, b := remoteExec(t, gw, "block", nil), remoteExec(t, gw, "block", nil)
	receive[string](t, a)
	receive[string](t, b)
	if st, err := gw.Status(t.Context()); err != nil || counts(st) != [2]int{2, 2} {
		t.Errorf("with two tasks: %+v, %v", st, err)
	}
	a.Close()
	b.Close()
	awaitStatus(t, gw, gateway.Status{})
}

func TestHandlerEndsItsExecutionBeforeItsChannel(t *testing.T) {
	overTransports(t, testHandlerEndsItsExecutionBeforeItsChannel)
} // conformance 31

func testHandlerEndsItsExecutionBeforeItsChannel(t *testing.T, tr transport) {
	gw := tr.open(t)
	for range 20 {
		if err := remoteExec(t, gw, "send", []int{}).WaitClose(t.Context()); err != nil {
			t.Fatal(err)
		}
		if st, err := gw.Status(t.Context()); err != nil || st.Executing != 0 {
			t.Fatalf("%+v, %v", st, err)
		}
	}
}

func TestNoiseDoesNotDisturb(t *testing.T) { overTransports(t, testNoiseDoesNotDisturb) } // conformance 38

func testNoiseDoesNotDisturb(t *testing.T, tr transport) {
	var stderr syncBuffer
	cfg := config()
	cfg.Stderr = &stderr
	gw := tr.openIn(t, newGroup(t, cfg))
	if n := receive[int](t, remoteExec(t, gw, "noise", nil)); n != 0 {
		t.Errorf("standard input held %d bytes", n)
	}
	c := remoteExec(t, gw, "exit", 3)
	err := c.WaitClose(t.Context())
	lost, ok := errors.AsType[*gateway.LostError](err)
	if !ok {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{"to standard output", "to standard error", "last words"} {
		if !strings.Contains(lost.Stderr, want) {
			t.Errorf("the end of stderr lacks %q: %q", want, lost.Stderr)
		}
	}
	<-gw.Done()
	if got := stderr.String(); got != lost.Stderr {
		t.Errorf("Config.Stderr got %q, the error %q", got, lost.Stderr)
	}
}

func TestFiveTasksTimesTenMessages(t *testing.T) { overTransports(t, testFiveTasksTimesTenMessages) } // conformance 41

func testFiveTasksTimesTenMessages(t *testing.T, tr transport) {
	gw := tr.open(t)
	var channels []*gateway.Channel
	for range 5 {
		channels = append(channels, remoteExec(t, gw, "echo", nil))
	}
	for n := range 10 {
		for i, c := range channels {
			send(t, c, fmt.Sprint(i, n))
		}
	}
	for i, c := range channels {
		for n := range 10 {
			if got := receive[string](t, c); got != fmt.Sprint(i, n) {
				t.Errorf("channel %d, message %d: got %q", i, n, got)
			}
		}
	}
}

func TestRemoteExit(t *testing.T) { overTransports(t, testRemoteExit) } // conformance 70, 71

func testRemoteExit(t *testing.T, tr transport) {
	gw := tr.open(t)
	waiting := remoteExec(t, gw, "block", nil)
	receive[string](t, waiting)
	start := time.Now()
	err := remoteExec(t, gw, "exit", 3).WaitClose(t.Context())
	if err == nil || !strings.Contains(err.Error(), "gateway gw0 is lost: exit status 3: last words") {
		t.Errorf("got %v", err)
	}
	for name, err := range map[string]error{
		"WaitClose":  waiting.WaitClose(t.Context()),
		"Receive":    waiting.Receive(t.Context(), new(any)),
		"Send":       waiting.Send(t.Context(), 1),
		"NewChannel": second(gw.NewChannel(t.Context())),
		"Status":     second(gw.Status(t.Context())),
	} {
		if lost, ok := errors.AsType[*gateway.LostError](err); !ok || lost.Status != "exit status 3" {
			t.Errorf("%s: %v", name, err)
		}
	}
	wantEnd(t, waiting)
	if d := time.Since(start); d > prompt {
		t.Errorf("took %v", d)
	}
	<-gw.Done()
	if lost, ok := errors.AsType[*gateway.LostError](gw.Err()); !ok || lost.Status != "exit status 3" {
		t.Errorf("Err: %v", gw.Err())
	}
}

func second[T any](_ T, err error) error { return err }

func TestHandlerFailuresLeaveTheGatewayUsable(t *testing.T) {
	overTransports(t, testHandlerFailuresLeaveTheGatewayUsable)
} // conformance 71

func testHandlerFailuresLeaveTheGatewayUsable(t *testing.T, tr transport) {
	gw := tr.open(t)
	for _, tc := range []struct{ handler, want, stack string }{
		{"panic", "panic: at the disco", "handlers_test.go"},
		{"goexit", "runtime.Goexit", ""},
		{"close", "explicit", ""}, // conformance 58
		{"no such handler", `run "no such handler": no handler has this name`, ""},
	} {
		err := remoteExec(t, gw, tc.handler, nil).WaitClose(t.Context())
		re, ok := errors.AsType[*gateway.RemoteError](err)
		if !ok || !strings.Contains(re.Text, tc.want) || !strings.Contains(re.Stack, tc.stack) {
			t.Errorf("%s: got %v", tc.handler, err)
		}
		c := remoteExec(t, gw, "increment", nil)
		send(t, c, 1)
		if n := receive[int](t, c); n != 2 {
			t.Errorf("after %s: %d", tc.handler, n)
		}
	}
}

func TestAgentThatDoesNotSpeak(t *testing.T) {
	for _, tc := range []struct {
		name    string
		command []string
		want    []string
	}{
		{"exits", []string{"/bin/sh", "-c", "echo no agent here >&2; exit 127"}, []string{"exit status 127", "no agent here"}},
		{"chatters", []string{"/bin/sh", "-c", "echo Welcome to the machine"}, []string{"exit status 0", `after "Welcome to the machine\n"`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if runtime.GOOS == "windows" {
				t.Skip("no /bin/sh on Windows")
			}
			cfg := config()
			cfg.Command = tc.command
			_, err := newGroup(t, cfg).OpenSpec(t.Context(), spec(t, "popen"))
			for _, want := range tc.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q in it", err, want)
				}
			}
		})
	}
}

func TestBannerIsSkipped(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no /bin/sh on Windows")
	}
	cfg := config()
	cfg.Command = []string{"/bin/sh", "-c", `echo "Welcome to the machine"; exec "$0" agent`, cfg.Command[0]}
	gw := openIn(t, newGroup(t, cfg), "popen")
	if err := remoteExec(t, gw, "send", []int{}).WaitClose(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestOpenEndsWithItsContext(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no /bin/sh on Windows")
	}
	cfg := config()
	cfg.Command = []string{"/bin/sh", "-c", "exec sleep 1000"}
	cfg.OpenTimeout = 50 * time.Millisecond
	_, err := newGroup(t, cfg).OpenSpec(t.Context(), spec(t, "popen"))
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}
