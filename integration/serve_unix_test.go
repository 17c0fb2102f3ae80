//go:build unix

package integration

import (
	"bufio"
	"context"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/xspec"
)

// server is a running xdist serve.
type server struct {
	cmd    *exec.Cmd
	addr   string
	stderr strings.Builder // complete after Wait
}

// serve starts xdist serve and waits until it serves. It is killed at the end of the test.
func serve(t *testing.T, args ...string) *server {
	t.Helper()
	return serveAt(t, "127.0.0.1:0", args...)
}

// serveAt is serve at an address.
func serveAt(t *testing.T, addr string, args ...string) *server {
	t.Helper()
	s := &server{cmd: exec.Command(xdist(t), append([]string{"serve", "--listen", addr}, args...)...)}
	s.cmd.Dir, s.cmd.Stderr, s.cmd.WaitDelay = t.TempDir(), &s.stderr, 10*time.Second
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.cmd.Process.Kill()
		s.cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	m := regexp.MustCompile(`^xdist: serving on (\S+) `).FindStringSubmatch(line)
	if m == nil {
		t.Fatalf("the server said %q, %v", line, err)
	}
	s.addr = m[1]
	return s
}

// openGateway opens a gateway in a group of its own.
func openGateway(t *testing.T, text string) *gateway.Gateway {
	t.Helper()
	g := gateway.NewGroup(gateway.Config{Grace: time.Second})
	t.Cleanup(func() {
		if err := g.Terminate(context.Background(), 0); err != nil {
			t.Error(err)
		}
	})
	spec, err := xspec.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	gw, err := g.OpenSpec(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	return gw
}

func TestServe(t *testing.T) {
	key := filepath.Join(t.TempDir(), "team.key")
	if r := command(t, ".", nil, xdist(t), "keygen", key); r.status != 0 {
		t.Fatal(r.stderr)
	}
	for _, tc := range []struct {
		name   string
		args   []string
		fields string
		signal syscall.Signal
	}{
		{"terminated", []string{"--key", key}, "//key=" + key, syscall.SIGTERM},
		{"killed", []string{"--key", key}, "//key=" + key, syscall.SIGKILL},
		{"insecure", []string{"--insecure"}, "", syscall.SIGTERM},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := serve(t, append(tc.args, "--own-program")...)
			gw := openGateway(t, "socket="+s.addr+tc.fields+"//chdir=below")
			real, err := filepath.EvalSymlinks(s.cmd.Dir)
			if err != nil {
				t.Fatal(err)
			}
			if info := gw.Info(); info.Dir != filepath.Join(real, "below") || info.Executable != xdist(t) { // conformance 28
				t.Errorf("the agent is %+v", info)
			}
			if err := s.cmd.Process.Signal(tc.signal); err != nil {
				t.Fatal(err)
			}
			<-gw.Done()
			err = s.cmd.Wait()
			if tc.signal == syscall.SIGTERM && err != nil {
				t.Errorf("the server ended with %v: %s", err, &s.stderr)
			}
			awaitProcessGone(t, gw.Info().Pid)
		})
	}
}

// awaitProcessGone waits for a process that is not our child.
func awaitProcessGone(t *testing.T, pid int) {
	t.Helper()
	late := time.NewTimer(10 * time.Second)
	defer late.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for syscall.Kill(pid, 0) == nil && !isZombie(pid) {
		select {
		case <-late.C:
			t.Fatalf("process %d is still there", pid)
		case <-tick.C:
		}
	}
}

// isZombie reports whether a process has ended, and only its parent has not noticed: in a container
// there may be no init that does.
func isZombie(pid int) bool {
	out, err := exec.Command("ps", "-o", "stat=", "-p", strconv.Itoa(pid)).Output()
	return err != nil || strings.HasPrefix(string(out), "Z")
}
