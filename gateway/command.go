package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
)

// Cmd is a program on the host of a gateway's agent, for one run. It has the fields and methods of
// exec.Cmd, but that Env is added to the environment of the agent. Wait and Process are for one
// goroutine; what is beyond that is as for exec.Cmd.
type Cmd struct {
	Args []string // the name, which is looked up there, and the arguments
	Env  []string // NAME=VALUE, added to the agent's environment
	Dir  string   // to run it in; "" is the agent's directory

	Stdin          io.Reader // nil is none; see StdinPipe
	Stdout, Stderr io.Writer // nil drops it; each is written to by one goroutine, also when both are one

	Process *Process // after Start

	ctx     context.Context
	gw      *Gateway
	conn    *relayConn
	running *relayProcess
	pipes   []*cmdPipe     // that were asked for
	outputs sync.WaitGroup // what takes Stdout, and ends pipes of Stderr
	copyErr error          // of Stdout; to be read after outputs
	stdin   struct {
		sync.Mutex
		err error // of reading Stdin
	}
	release func() bool
}

// Process is a program that runs on the host of an agent. Its methods may be called concurrently.
type Process struct {
	Pid int // on that host
	run *relayProcess
}

// Command returns a program to run on the host of the gateway's agent. When ctx ends it is killed,
// with all that it has started there, as it is when the gateway ends.
func (gw *Gateway) Command(ctx context.Context, name string, arg ...string) *Cmd {
	return &Cmd{Args: append([]string{name}, arg...), ctx: ctx, gw: gw}
}

// CommandError is the end of a program that was started and has failed, as exec.ExitError is.
type CommandError struct {
	Status string // "exit status 3", "signal: killed"
	Code   int    // of exit; -1 for a signal
	Stderr []byte // the end of what it has written there, when Stderr was nil
}

// Error implements error.
func (e *CommandError) Error() string { return e.Status }

// ExitCode is that of os.ProcessState.
func (e *CommandError) ExitCode() int { return e.Code }

// Start starts the program and does not wait for it. Errors: that of the host, which errors.Is
// knows for what exec.Cmd has there: exec.ErrNotFound when there is no such program,
// fs.ErrNotExist when its name is a path or Dir is not there, fs.ErrPermission; ctx's; ErrExited,
// *LostError.
func (c *Cmd) Start() (err error) {
	if c.Process != nil {
		return errors.New("start command: it was started already")
	}
	defer func() {
		if err != nil {
			c.closePipes()
		}
	}()
	if len(c.Args) == 0 || c.Args[0] == "" {
		return errors.New("start command: it has no name")
	}
	req := startRequest{Args: c.Args, Env: c.Env, Dir: c.Dir, Full: true}
	report, conn, err := openRelay[startReport](c.ctx, relayOrigin{c.gw}, startHandler, func(data Ref) any {
		req.Data = data
		return req
	})
	if err == nil && report.Error != "" {
		conn.abandon()
		err = relayOrigin{c.gw}.wrap(relayed(strings.TrimPrefix(report.Error, "start agent: "), report.Kinds))
	}
	if err != nil {
		return fmt.Errorf("start command %s: %w", c.Args[0], err)
	}
	stdout, stderr := c.Stdout, c.Stderr
	if sameWriter(stdout, stderr) {
		if w, ok := stdout.(pipeWriter); ok {
			w.p.join()
		}
		both := &lockedWriter{w: stdout}
		stdout, stderr = both, both
	}
	c.conn, c.running = conn, followUntil(&relayProcess{control: conn.control, keep: true}, stderr)
	c.Process = &Process{report.Pid, c.running}
	c.release = context.AfterFunc(c.ctx, c.Process.kill)
	go c.writeStdin() // ends with Stdin, and at the latest with the first Write after the end of conn
	c.outputs.Go(func() { c.readStdout(stdout) })
	if w, ok := c.Stderr.(pipeWriter); ok {
		c.outputs.Go(func() { w.p.end(c.stderrEnd()) })
	}
	return nil
}

func (c *Cmd) readStdout(to io.Writer) {
	if to == nil {
		to = io.Discard
	}
	_, c.copyErr = io.Copy(to, c.conn)
	if w, ok := c.Stdout.(pipeWriter); ok {
		w.p.end(c.copyErr)
	}
	if c.copyErr != nil {
		c.Process.kill()
		io.Copy(io.Discard, c.conn)
	}
}

// stderrEnd waits for the end of the standard error and returns what has ended it before its time.
func (c *Cmd) stderrEnd() error {
	if c.running.wait() == "" {
		return c.lost()
	}
	return nil
}

func (c *Cmd) writeStdin() {
	if c.Stdin != nil {
		source := &sourceReader{r: c.Stdin}
		io.Copy(c.conn, source) // a program need not read all
		if r, ok := c.Stdin.(pipeReader); ok {
			r.p.close()
		}
		if !errors.Is(source.err, io.EOF) {
			c.stdin.Lock()
			c.stdin.err = source.err
			c.stdin.Unlock()
		}
	}
	c.conn.CloseWrite()
}

// lockedWriter lets one goroutine at a time write.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// sameWriter reports whether both are one writer.
func sameWriter(a, b io.Writer) bool {
	return a != nil && b != nil && reflect.TypeOf(a) == reflect.TypeOf(b) && reflect.TypeOf(a).Comparable() && a == b
}

// Wait waits for the end of the program and of what it writes. Errors: *CommandError when it has
// failed; ctx's when that has ended it; what Stdout did not take; *LostError when its gateway ended
// before it.
func (c *Cmd) Wait() error {
	if c.Process == nil {
		return errors.New("wait for command: it was not started")
	}
	select {
	case <-c.running.endedc:
	case <-c.running.killedc: // and may have written what nobody reads
		c.closePipes()
	}
	status := c.running.wait()
	c.closePipes()
	c.outputs.Wait()
	c.release()
	c.conn.abandon()
	switch {
	case status == "":
		return fmt.Errorf("command %s: %w", c.Args[0], c.lost())
	case c.running.code != 0 && c.ctx.Err() != nil:
		return c.ctx.Err()
	case c.running.code != 0:
		e := &CommandError{Status: status, Code: c.running.code}
		if c.Stderr == nil {
			e.Stderr = []byte(c.running.stderr())
		}
		return e
	}
	c.stdin.Lock()
	defer c.stdin.Unlock()
	stdout := c.copyErr
	if errors.Is(stdout, net.ErrClosed) {
		stdout = nil
	}
	errs := []error{stdout, c.running.copyErr, c.stdin.err}
	return errors.Join(slices.DeleteFunc(errs, func(err error) bool { return errors.Is(err, errPipeClosed) })...)
}

// lost is why nobody knows how the program has ended.
func (c *Cmd) lost() error {
	if err := c.gw.n.gone(); err != nil {
		return err
	}
	return errors.New("its agent does not tell how it has ended")
}

// Run starts the program and waits for it.
func (c *Cmd) Run() error {
	if err := c.Start(); err != nil {
		return err
	}
	return c.Wait()
}

// Output is Run, and returns what the program writes to its standard output.
func (c *Cmd) Output() ([]byte, error) {
	if c.Stdout != nil {
		return nil, errors.New("run command: Stdout is set")
	}
	var out bytes.Buffer
	c.Stdout = &out
	err := c.Run()
	return out.Bytes(), err
}

// Signal sends a signal to the program, and to nothing that it has started. It does not wait.
// Signals of other systems than the host's have no effect.
func (p *Process) Signal(sig os.Signal) error {
	name := nameOfSignal(sig)
	if name == "" {
		return fmt.Errorf("signal process %d: %v has no name", p.Pid, sig)
	}
	select {
	case <-p.run.endedc:
		return os.ErrProcessDone
	default:
	}
	if !p.run.control.offer(processOrder{Kind: orderSignal, Signal: name}) {
		return fmt.Errorf("signal process %d: its host takes no more orders now", p.Pid)
	}
	return nil
}

// Kill ends the program and all that it has started. It does not wait.
func (p *Process) Kill() { p.kill() }

func (p *Process) kill() { p.run.kill() }

// Dial connects from the host of the gateway's agent. The network is tcp or unix, and the addresses
// of the connection are those that it has there. Errors: *PhaseError of the phases resolve and
// connect, which wraps ErrHostNotFound, syscall.ECONNREFUSED whatever system the host has, or
// fs.ErrNotExist for a Unix socket that is not there, if it is one of them.
func (gw *Gateway) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	switch network {
	case "tcp":
		return relayOrigin{gw}.dialTCP(ctx, addr)
	case "unix":
		return relayOrigin{gw}.dial(ctx, dialRequest{Network: network, Addr: addr})
	}
	return nil, &net.OpError{Op: "dial", Net: network, Err: net.UnknownNetworkError(network)}
}
