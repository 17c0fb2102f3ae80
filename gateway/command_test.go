package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/xdist-go/xdist/gateway"
)

// Programs run on the host of an agent as by package os/exec.
func TestCommand(t *testing.T) { overPlatforms(t, testCommand) }

func testCommand(t *testing.T, tr transport) {
	if runtime.GOOS == "windows" {
		t.Skip("skipped: it needs a POSIX shell")
	}
	ctx, gw, dir := t.Context(), tr.open(t), t.TempDir()
	sh := func(script string) *gateway.Cmd { return gw.Command(ctx, "sh", "-c", script) }

	c := sh(`echo "$A in $PWD"; cat; echo oops >&2; exit 3`)
	c.Env, c.Dir, c.Stdin = []string{"A=here"}, dir, strings.NewReader("from stdin")
	out, err := c.Output()
	real, _ := filepath.EvalSymlinks(dir)
	if got := string(out); got != "here in "+dir+"\nfrom stdin" && got != "here in "+real+"\nfrom stdin" {
		t.Errorf("it wrote %q", got)
	}
	if e, ok := errors.AsType[*gateway.CommandError](err); !ok || e.Code != 3 || e.Error() != "exit status 3" || string(e.Stderr) != "oops\n" {
		t.Errorf("it ended with %#v", err)
	}
	if err := sh("true").Run(); err != nil {
		t.Error(err)
	}
	if err := gw.Command(ctx, "/no/such/program").Run(); err == nil || !strings.Contains(err.Error(), "/no/such/program") || strings.Contains(err.Error(), "start agent") {
		t.Errorf("got %v", err)
	}

	// All that it writes comes, however late it is read.
	var stderr bytes.Buffer
	c = sh(`head -c 20000000 /dev/zero; head -c 3000000 /dev/zero >&2`)
	slow := &slowWriter{}
	c.Stdout, c.Stderr = slow, &stderr
	if err := c.Run(); err != nil || slow.n != 20_000_000 || stderr.Len() != 3_000_000 {
		t.Errorf("%d and %d bytes came, %v", slow.n, stderr.Len(), err)
	}

	c = sh(`trap 'echo got it; exit 0' TERM; echo ready; while :; do sleep 0.05; done`)
	r, w := io.Pipe()
	c.Stdout = w
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 6)
	if _, err := io.ReadFull(r, line); err != nil || c.Process.Pid <= 0 {
		t.Fatal(err, c.Process.Pid)
	}
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	rest := make([]byte, 7)
	if _, err := io.ReadFull(r, rest); err != nil || string(rest) != "got it\n" {
		t.Errorf("%q, %v", rest, err)
	}
	if err := c.Wait(); err != nil {
		t.Error(err)
	}

	ctx, cancel := context.WithCancel(ctx)
	c = gw.Command(ctx, "sleep", "1000")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := c.Wait(); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// The errors of programs that cannot be started are of the kinds that exec.Cmd has.
func TestCommandErrors(t *testing.T) { overPlatforms(t, testCommandErrors) }

func testCommandErrors(t *testing.T, tr transport) {
	gw := tr.open(t)
	if err := gw.Command(t.Context(), "no-such-program").Run(); !errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrPermission) {
		t.Errorf("a name: %v", err)
	}
	path := filepath.Join(t.TempDir(), "no-such-program")
	if err := gw.Command(t.Context(), path).Run(); !errors.Is(err, fs.ErrNotExist) || errors.Is(err, context.Canceled) {
		t.Errorf("a path: %v", err)
	}
	if runtime.GOOS == "windows" {
		return // there is no sh, and a file that is no program has another error
	}
	c := gw.Command(t.Context(), "sh", "-c", "true")
	c.Dir = path
	if err := c.Run(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a directory that is not there: %v", err)
	}
	writeFile(t, path, "")
	if err := gw.Command(t.Context(), path).Start(); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("no program: %v", err)
	}
}

// A program need not read all of its standard input.
func TestCommandNeedNotRead(t *testing.T) { overPlatforms(t, testCommandNeedNotRead) }

func testCommandNeedNotRead(t *testing.T, tr transport) {
	if runtime.GOOS == "windows" {
		t.Skip("skipped: it needs a POSIX shell")
	}
	gw := tr.open(t)
	for range 5 {
		c := gw.Command(t.Context(), "sh", "-c", "read -r line; exec <&-; echo $line; head -c 100000 /dev/zero")
		c.Stdin = strings.NewReader("first\n" + strings.Repeat("x", 3_000_000))
		if out, err := c.Output(); err != nil || len(out) != 100_006 {
			t.Errorf("%d bytes came, %v", len(out), err)
		}
	}
}

// slowWriter lets others run before it takes anything.
type slowWriter struct{ n int }

func (w *slowWriter) Write(p []byte) (int, error) {
	runtime.Gosched()
	w.n += len(p)
	return len(p), nil
}

// A program ends with its gateway, and its Wait tells so.
func TestCommandEndsWithItsGateway(t *testing.T) {
	gw := open(t, "popen")
	c := gw.Command(t.Context(), "sleep", "1000")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	remoteExec(t, gw, "exit", 3)
	if _, lost := errors.AsType[*gateway.LostError](c.Wait()); !lost {
		t.Error("Wait does not tell that the gateway was lost")
	}
}

// Connections begin on the host of an agent.
func TestDial(t *testing.T) { overPlatforms(t, testDial) }

func testDial(t *testing.T, tr transport) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		conn, err := l.Accept()
		if err == nil {
			io.Copy(conn, conn)
			conn.Close()
		}
	}()
	gw := tr.open(t)
	conn, err := gw.Dial(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if conn.RemoteAddr().String() != l.Addr().String() {
		t.Errorf("it leads to %v", conn.RemoteAddr())
	}
	if _, err := io.WriteString(conn, "hello"); err != nil {
		t.Fatal(err)
	}
	conn.(interface{ CloseWrite() error }).CloseWrite()
	if got, err := io.ReadAll(conn); err != nil || string(got) != "hello" {
		t.Errorf("%q, %v", got, err)
	}
	conn.Close()
	if _, err := gw.Dial(t.Context(), "udp", l.Addr().String()); err == nil {
		t.Error("udp was dialled")
	}
}

// The errors of connections that do not come about, and of listeners, are of the kinds that package
// net has.
func TestDialErrors(t *testing.T) { overPlatforms(t, testDialErrors) }

func testDialErrors(t *testing.T, tr transport) {
	ctx, gw := t.Context(), tr.open(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if _, err := gw.Listen(ctx, "tcp", addr); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("listen where somebody does: %v", err)
	}
	l.Close()
	_, err = gw.Dial(ctx, "tcp", addr)
	if pe, ok := errors.AsType[*gateway.PhaseError](err); !errors.Is(err, syscall.ECONNREFUSED) || !ok || pe.Phase != gateway.PhaseConnect {
		t.Errorf("dial where nobody listens: %v", err)
	}
	if _, err := gw.Dial(ctx, "unix", filepath.Join(t.TempDir(), "none")); err == nil || runtime.GOOS != "windows" && !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("dial a socket that is not there: %v", err)
	}
	if _, err := gw.Dial(ctx, "tcp", "host.invalid:1"); !errors.Is(err, gateway.ErrHostNotFound) || errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial a host that is not there: %v", err)
	}
}
