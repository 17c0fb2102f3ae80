//go:build unix

package gateway_test

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/xdist-go/xdist/gateway"
)

func TestTerminateWithinItsTimeout(t *testing.T) { overTransports(t, testTerminateWithinItsTimeout) } // conformance 42, 45

func testTerminateWithinItsTimeout(t *testing.T, tr transport) {
	for _, handler := range []string{"block", "deaf"} {
		t.Run(handler, func(t *testing.T) {
			g := newGroup(t, config())
			gw := tr.openIn(t, g)
			receive[any](t, remoteExec(t, gw, handler, nil))
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

func TestTerminateEndsWithItsContext(t *testing.T) {
	overTransports(t, testTerminateEndsWithItsContext)
}

func testTerminateEndsWithItsContext(t *testing.T, tr transport) {
	g := newGroup(t, config())
	gw := tr.openIn(t, g)
	receive[int](t, remoteExec(t, gw, "deaf", nil))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	start := time.Now()
	if err := g.Terminate(ctx, time.Hour); err != nil || time.Since(start) > prompt {
		t.Errorf("%v after %v", err, time.Since(start))
	}
}

func TestExitKillsTheDeaf(t *testing.T) { overTransports(t, testExitKillsTheDeaf) } // conformance 44, 45

func testExitKillsTheDeaf(t *testing.T, tr transport) {
	cfg := config()
	cfg.Grace = time.Second
	gw := tr.openIn(t, newGroup(t, cfg))
	receive[int](t, remoteExec(t, gw, "deaf", nil))
	gw.Exit()
	select {
	case <-gw.Done():
		t.Error("Exit blocked until the agent was dead")
	default:
	}
	<-gw.Done()
	if alive(gw.Info().Pid) {
		t.Error("the agent is alive")
	}
}

func TestKilledAgent(t *testing.T) { overTransports(t, testKilledAgent) } // conformance 70

func testKilledAgent(t *testing.T, tr transport) {
	gw := tr.open(t)
	c := remoteExec(t, gw, "sleeper", nil)
	grandchild := receive[int](t, c)
	blocked := make(chan error, 2)
	go func() { blocked <- c.Receive(context.Background(), new(int)) }()
	go func() { blocked <- c.WaitClose(context.Background()) }()
	start := time.Now()
	if err := syscall.Kill(gw.Info().Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		err := <-blocked
		if lost, ok := errors.AsType[*gateway.LostError](err); !ok || !strings.Contains(lost.Status, "killed") {
			t.Errorf("got %v", err)
		}
	}
	if d := time.Since(start); d > prompt {
		t.Errorf("took %v", d)
	}
	<-gw.Done()
	if sessionsAreFollowed {
		awaitGone(t, grandchild)
	} else {
		syscall.Kill(-grandchild, syscall.SIGKILL)
	}
}

func TestKilledAgentDoesNotWaitForReaders(t *testing.T) {
	overTransports(t, testKilledAgentDoesNotWaitForReaders)
}

func testKilledAgentDoesNotWaitForReaders(t *testing.T, tr transport) {
	gw := tr.open(t)
	c := remoteExec(t, gw, "flood", 1000)
	receive[[]byte](t, c)
	syscall.Kill(gw.Info().Pid, syscall.SIGKILL)
	<-gw.Done() // although nobody reads
	for {
		_, err := c.ReceiveItem(t.Context())
		if err == nil {
			continue
		}
		if _, ok := errors.AsType[*gateway.LostError](err); !ok {
			t.Errorf("got %v", err)
		}
		break
	}
	wantEnd(t, c)
}

func TestControllerKilled(t *testing.T) { // conformance 47
	for _, specs := range [][]string{{"popen", "popen"}, {"popen//id=p1", "popen//id=p2//via=p1", "popen//via=p2"}} {
		t.Run(strings.Join(specs, " "), func(t *testing.T) { testControllerKilled(t, specs) })
	}
}

func testControllerKilled(t *testing.T, specs []string) {
	cmd := exec.Command(os.Args[0], append([]string{controllerRole}, specs...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pids []int
	for lines := bufio.NewScanner(out); lines.Scan() && lines.Text() != "ready"; {
		pid, err := strconv.Atoi(lines.Text())
		if err != nil {
			t.Error(err)
		}
		pids = append(pids, pid)
	}
	if len(pids) != 2*len(specs) {
		t.Errorf("got %d pids", len(pids))
	}
	for _, pid := range pids {
		if !alive(pid) {
			t.Errorf("process %d is not there", pid)
		}
	}
	cmd.Process.Kill()
	cmd.Wait()
	for _, pid := range pids {
		awaitGone(t, pid)
	}
}

func TestLeftBehindProcessEndsWithItsAgent(t *testing.T) {
	overTransports(t, testLeftBehindProcessEndsWithItsAgent)
}

func testLeftBehindProcessEndsWithItsAgent(t *testing.T, tr transport) {
	gw := tr.open(t)
	pid := receive[int](t, remoteExec(t, gw, "sleeper", nil))
	gw.Exit()
	<-gw.Done()
	awaitGone(t, pid)
}

func TestNiceIsAdded(t *testing.T) { overTransports(t, testNiceIsAdded) } // conformance 30

func testNiceIsAdded(t *testing.T, tr transport) {
	here := tr.open(t).Info().Niceness
	gw := tr.open(t, "nice=5")
	if got := gw.Info().Niceness; got != here+5 {
		t.Errorf("niceness %d, want %d", got, here+5)
	}
}
