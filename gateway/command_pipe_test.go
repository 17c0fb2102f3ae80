package gateway_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/xdist-go/xdist/gateway"
)

// command is what exec.Cmd and gateway.Cmd have in common.
type command interface {
	StdinPipe() (io.WriteCloser, error)
	StdoutPipe() (io.ReadCloser, error)
	StderrPipe() (io.ReadCloser, error)
	CombinedOutput() ([]byte, error)
	Output() ([]byte, error)
	Start() error
	Run() error
	Wait() error
}

// uses are ways to use a command that runs a script. Each returns what has come of it.
var uses = []struct {
	name, script string
	use          func(command) string
}{
	{"combined", "echo out; echo err >&2; exit 3", func(c command) string {
		out, err := c.CombinedOutput()
		return fmt.Sprintf("%d bytes, %v", len(out), err)
	}},
	{"example of StdinPipe", "tr a-z A-Z", func(c command) string {
		stdin := must(c.StdinPipe())
		go func() {
			defer stdin.Close()
			io.WriteString(stdin, "values written to stdin are passed to cmd's standard input")
		}()
		return said(c.CombinedOutput())
	}},
	{"write before the start", "cat", func(c command) string {
		stdin := must(c.StdinPipe())
		n, err := io.WriteString(stdin, strings.Repeat("x", 60_000))
		err = errors.Join(err, stdin.Close(), stdin.Close())
		out, runErr := c.Output()
		return fmt.Sprintln(n, len(out), err != nil, runErr)
	}},
	{"more than a pipe holds", "cat", func(c command) string {
		stdin, stdout := must(c.StdinPipe()), must(c.StdoutPipe())
		must(0, c.Start())
		go func() {
			io.WriteString(stdin, strings.Repeat("x", 3_000_000))
			stdin.Close()
		}()
		out, err := io.ReadAll(stdout)
		return fmt.Sprintln(len(out), err, c.Wait())
	}},
	{"one after the other", "echo err >&2; echo out; echo err >&2", func(c command) string {
		stdout, stderr := must(c.StdoutPipe()), must(c.StderrPipe())
		must(0, c.Start())
		out := said(io.ReadAll(stdout))
		return out + said(io.ReadAll(stderr)) + fmt.Sprint(c.Wait())
	}},
	{"output that ends before the program", "echo out; exec >/dev/null; read -r line; exit 3", func(c command) string {
		stdin, stdout := must(c.StdinPipe()), must(c.StdoutPipe())
		must(0, c.Start())
		out := said(io.ReadAll(stdout))
		io.WriteString(stdin, "go on\n")
		return out + fmt.Sprint(c.Wait())
	}},
	{"standard input that is not closed", "exit 0", func(c command) string {
		stdin := must(c.StdinPipe())
		err := c.Run()
		_, writeErr := io.WriteString(stdin, "late")
		return fmt.Sprintln(err, errors.Is(writeErr, os.ErrClosed))
	}},
	{"a program that does not read", "exec <&-; read -r line; exit 0", func(c command) string {
		stdin := must(c.StdinPipe())
		must(0, c.Start())
		var err error
		for err == nil { // what is written before anybody notices may be dropped
			_, err = stdin.Write(make([]byte, 100_000))
		}
		return fmt.Sprint(c.Wait())
	}},
	{"nobody reads", "echo out; echo err >&2; echo more", func(c command) string {
		stdout, stderr := must(c.StdoutPipe()), must(c.StderrPipe())
		must(0, c.Start())
		line, err := bufio.NewReaderSize(stdout, 16).ReadString('\n')
		waitErr := c.Wait()
		_, outErr := io.ReadAll(stdout)
		_, errErr := io.ReadAll(stderr)
		return fmt.Sprintln(line, err, waitErr, errors.Is(outErr, os.ErrClosed), errors.Is(errErr, os.ErrClosed))
	}},
	{"the reader closes", "while echo y; do :; done; exit 7", func(c command) string {
		stdout := must(c.StdoutPipe())
		must(0, c.Start())
		line, err := bufio.NewReader(stdout).ReadString('\n')
		err = errors.Join(err, stdout.Close())
		again := stdout.Close()
		_, readErr := stdout.Read(make([]byte, 1))
		return fmt.Sprintln(line, err, again != nil, errors.Is(readErr, os.ErrClosed), c.Wait() != nil)
	}},
	{"twice", "true", func(c command) string {
		var failed []bool
		for range 2 {
			_, in := c.StdinPipe()
			_, out := c.StdoutPipe()
			_, errs := c.StderrPipe()
			failed = append(failed, in != nil, out != nil, errs != nil)
		}
		_, err := c.CombinedOutput()
		return fmt.Sprintln(failed, err != nil)
	}},
	{"after the start", "true", func(c command) string {
		must(0, c.Start())
		_, in := c.StdinPipe()
		_, out := c.StdoutPipe()
		_, errs := c.StderrPipe()
		return fmt.Sprintln(in != nil, out != nil, errs != nil, c.Wait())
	}},
}

func said(b []byte, err error) string { return fmt.Sprintf("%q, %v; ", b, err) }

// The pipes of a command are as those of package os/exec.
func TestCommandPipes(t *testing.T) { overPlatforms(t, testCommandPipes) }

func testCommandPipes(t *testing.T, tr transport) {
	if runtime.GOOS == "windows" {
		t.Skip("skipped: it needs a POSIX shell")
	}
	gw := tr.open(t)
	for _, u := range uses {
		want := u.use(exec.Command("sh", "-c", u.script))
		if got := u.use(gw.Command(t.Context(), "sh", "-c", u.script)); got != want {
			t.Errorf("%s: got %s, os/exec has %s", u.name, got, want)
		}
	}
	both := func(c command, share func()) string {
		stdin, stdout := must(c.StdinPipe()), must(c.StdoutPipe())
		share()
		must(0, c.Start())
		line := make([]byte, 2)
		_, err := io.ReadFull(stdout, line)
		io.WriteString(stdin, "go on\n")
		return said(line, err) + said(io.ReadAll(stdout)) + fmt.Sprint(c.Wait())
	}
	const script = "echo a; exec >/dev/null; read -r line; echo b >&2; exit 3"
	local, remote := exec.Command("sh", "-c", script), gw.Command(t.Context(), "sh", "-c", script)
	want := both(local, func() { local.Stderr = local.Stdout })
	if got := both(remote, func() { remote.Stderr = remote.Stdout }); got != want {
		t.Errorf("one pipe for both: got %s, os/exec has %s", got, want)
	}
}

// Who waits at a pipe hears of the end: that there is no program, that it was killed with more to
// say than anybody reads, and that its gateway was lost.
func TestCommandPipesEnd(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("skipped: it needs a POSIX shell")
	}
	gw := open(t, "popen")
	c := gw.Command(t.Context(), "no-such-program")
	stdin, stdout, stderr := must(c.StdinPipe()), must(c.StdoutPipe()), must(c.StderrPipe())
	if err := c.Start(); !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	_, inErr := stdin.Write([]byte("x"))
	_, outErr := io.ReadAll(stdout)
	_, errErr := io.ReadAll(stderr)
	for _, err := range []error{inErr, outErr, errErr} {
		if !errors.Is(err, os.ErrClosed) {
			t.Errorf("a pipe of a program that is not there: %v", err)
		}
	}

	for _, end := range []struct {
		how string
		end func(*gateway.Cmd, context.CancelFunc)
	}{
		{"by ctx", func(_ *gateway.Cmd, cancel context.CancelFunc) { cancel() }},
		{"by Kill", func(c *gateway.Cmd, _ context.CancelFunc) { c.Process.Kill() }},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		c := gw.Command(ctx, "sh", "-c", "head -c 100000 /dev/zero >&2; echo out; exec sleep 1000")
		stdout := must(c.StdoutPipe())
		must(c.StderrPipe())
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(stdout, make([]byte, 4)); err != nil {
			t.Error(err)
		}
		end.end(c, cancel)
		if err := c.Wait(); err == nil {
			t.Errorf("killed %s: no error", end.how)
		}
		cancel()
	}

	c = gw.Command(t.Context(), "sh", "-c", "echo out; echo err >&2; exec sleep 1000")
	stdout, stderr = must(c.StdoutPipe()), must(c.StderrPipe())
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(stdout, make([]byte, 4)); err != nil {
		t.Error(err)
	}
	remoteExec(t, gw, "exit", 3)
	for name, r := range map[string]io.Reader{"stdout": stdout, "stderr": stderr} {
		if _, err := io.ReadAll(r); err == nil || errors.Is(err, os.ErrClosed) {
			t.Errorf("%s of a program whose gateway was lost: %v", name, err)
		}
	}
	if _, lost := errors.AsType[*gateway.LostError](c.Wait()); !lost {
		t.Error("Wait does not tell that the gateway was lost")
	}
}
