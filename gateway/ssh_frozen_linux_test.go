package gateway_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/xdist-go/xdist/integration/sshd"
)

// freeze stops the server's side of all connections that are open now, until the end of the test.
// The server itself goes on to take new ones.
func freeze(t *testing.T, s *sshd.Server) {
	t.Helper()
	stopped := childrenOf(t, s.Pid())
	if len(stopped) == 0 {
		t.Fatal("the server has no connection")
	}
	for i := 0; i < len(stopped); i++ {
		for _, pid := range childrenOf(t, stopped[i]) {
			if name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)); strings.HasPrefix(string(name), "sshd") {
				stopped = append(stopped, pid)
			}
		}
	}
	for _, pid := range stopped {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { syscall.Kill(pid, syscall.SIGCONT) })
	}
}

// childrenOf are the processes that pid has started.
func childrenOf(t *testing.T, pid int) (pids []int) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		if fields[1] == strconv.Itoa(pid) {
			child, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			pids = append(pids, child)
		}
	}
	return pids
}

func frozenServer(t *testing.T) *sshd.Server {
	return sshd.Start(t, sshd.Options{Home: cacheHome, Env: []string{"XDG_CACHE_HOME=" + cacheHome}})
}

// Nobody waits for a connection that does not answer while the host takes new ones.
func TestSSHFrozenConnectionIsLeft(t *testing.T) {
	s := frozenServer(t)
	g := newGroup(t, config())
	wantEcho(t, openIn(t, g, s.Spec()))
	freeze(t, s)
	for _, gw := range openAll(t, g, s.Spec(), 3) {
		wantEcho(t, gw)
	}
}

// A gateway that was lost to silence leaves no connection behind for its replacement to join.
func TestSSHReplacementOfAFrozenGateway(t *testing.T) {
	s := frozenServer(t)
	cfg := config()
	cfg.Beat, cfg.Lease = 100*time.Millisecond, time.Second
	g := newGroup(t, cfg)
	gw := openIn(t, g, s.Spec())
	freeze(t, s)
	<-gw.Done()
	wantEcho(t, openIn(t, g, s.Spec()))
}

// Terminate does not wait for a host that does not answer, and says that something may run there.
func TestSSHTerminateOfAFrozenHost(t *testing.T) {
	s := frozenServer(t)
	g := newGroup(t, config())
	gw := openIn(t, g, s.Spec())
	freeze(t, s)
	err := g.Terminate(t.Context(), 100*time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), "terminate gateways "+gw.ID()) || !strings.Contains(err.Error(), "may still run") {
		t.Errorf("error %v, want one that names %s", err, gw.ID())
	}
	select {
	case <-gw.Done():
	case <-time.After(prompt):
		t.Error("the gateway does not end")
	}
}
