package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/xdist-go/xdist/internal/procgroup"
	"github.com/xdist-go/xdist/xspec"
)

// startPopen starts the agent as a child process that talks over its standard input and output.
//
// The child is not tied to the life of the thread that starts it (Pdeathsig): when the controller
// dies the kernel closes the pipe as surely as it would send that signal, and an agent that reads
// EOF can still end what its handlers have started, which one that is killed cannot.
func startPopen(ctx context.Context, from origin, spec xspec.Spec, cfg Config) (*endpoint, error) {
	l, err := launchPopen(ctx, from, spec, cfg)
	if err == nil {
		lap(ctx, PhaseStart)
	}
	return l, err
}

func launchPopen(ctx context.Context, from origin, spec xspec.Spec, cfg Config) (*endpoint, error) {
	if relay, ok := from.(relayOrigin); ok {
		return relay.startAgent(ctx, spec)
	}
	c := command{env: markAgent(spec.Env)}
	if goos, goarch := cmp.Or(spec.GOOS, runtime.GOOS), cmp.Or(spec.GOARCH, runtime.GOARCH); goos != runtime.GOOS || goarch != runtime.GOARCH {
		agent, err := cfg.agent(ctx, goos, goarch)
		if err != nil {
			return nil, err
		}
		c.args = slices.Concat(spec.ExecWords(), []string{agent.Path}, agent.Args)
	} else if spec.Exec != "" {
		command, err := cfg.command()
		if err != nil {
			return nil, err
		}
		c.args = slices.Concat(spec.ExecWords(), command)
	}
	return from.start(ctx, c)
}

// agentArgument is the argument of this executable that starts an agent.
const agentArgument = "agent"

// command is what starts an agent on this host, of its own platform.
func (cfg Config) command() ([]string, error) {
	command := cfg.Command
	if command == nil {
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("start agent: find own executable: %w", err)
		}
		command = []string{self, agentArgument}
	}
	return command, nil
}

// startProcess starts a program that talks over its standard input and output.
func startProcess(args []string, env []xspec.Var, copyTo io.Writer) (*endpoint, error) {
	return startProcessIn("", args, env, copyTo)
}

// startProcessIn is startProcess in a directory.
func startProcessIn(dir string, args []string, env []xspec.Var, copyTo io.Writer) (*endpoint, error) {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = dir
	cmd.Env = os.Environ()
	for _, v := range env {
		cmd.Env = append(cmd.Env, v.Name+"="+v.Value)
	}
	cmd.SysProcAttr = procgroup.Session() // the terminal's signals do not reach it, and ours reach it alone

	var pipes pipeSet
	defer pipes.closeTheirs()
	stdin, err := pipes.toChild()
	if err == nil {
		cmd.Stdin = pipes.last()
		var stdout *os.File
		if stdout, err = pipes.fromChild(); err == nil {
			cmd.Stdout = pipes.last()
			var stderr *os.File
			if stderr, err = pipes.fromChild(); err == nil {
				cmd.Stderr = pipes.last()
				return runPopen(cmd, &pipeConn{in: stdout, out: stdin}, stderr, copyTo, &pipes)
			}
		}
	}
	pipes.closeOurs()
	return nil, fmt.Errorf("start agent: %w", err)
}

func runPopen(cmd *exec.Cmd, conn *pipeConn, stderr *os.File, copyTo io.Writer, pipes *pipeSet) (*endpoint, error) {
	if err := cmd.Start(); err != nil {
		pipes.closeOurs()
		return nil, fmt.Errorf("start agent: %w", err)
	}
	// The agent starts nothing before the handshake, so nothing can be outside of the group.
	group, err := procgroup.Adopt(cmd.Process)
	if err != nil {
		cmd.Process.Kill()
		cmd.Wait()
		pipes.closeOurs()
		return nil, fmt.Errorf("start agent: %w", err)
	}
	p := &popenProcess{cmd: cmd, group: group, errPipe: stderr, errDonec: make(chan struct{})}
	growPipe(conn.in)
	growPipe(conn.out)
	go p.readStderr(copyTo)
	return &endpoint{conn: conn, proc: p}, nil
}

// pipeSet keeps the ends of pipes so that none is left open.
type pipeSet struct{ ours, theirs []*os.File }

// toChild makes a pipe and returns the end to write to.
func (s *pipeSet) toChild() (*os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	s.ours, s.theirs = append(s.ours, w), append(s.theirs, r)
	return w, nil
}

// fromChild makes a pipe and returns the end to read from.
func (s *pipeSet) fromChild() (*os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	s.ours, s.theirs = append(s.ours, r), append(s.theirs, w)
	return r, nil
}

// last returns the child's end of the last pipe.
func (s *pipeSet) last() *os.File { return s.theirs[len(s.theirs)-1] }

func (s *pipeSet) closeOurs() {
	for _, f := range s.ours {
		f.Close()
	}
}

func (s *pipeSet) closeTheirs() {
	for _, f := range s.theirs {
		f.Close()
	}
}

// pipeConn is the connection over two pipes.
type pipeConn struct{ in, out *os.File }

func (c *pipeConn) Read(p []byte) (int, error)  { return c.in.Read(p) }
func (c *pipeConn) Write(p []byte) (int, error) { return c.out.Write(p) }

// CloseWrite closes the pipe to the agent, which reads EOF.
func (c *pipeConn) CloseWrite() error { return c.out.Close() }

// Close closes both pipes. The agent reads EOF.
func (c *pipeConn) Close() error {
	return errors.Join(c.out.Close(), c.in.Close())
}

// popenProcess is the agent as a child process. It owns the goroutine that reads stderr, which wait
// joins.
type popenProcess struct {
	cmd      *exec.Cmd
	errPipe  *os.File
	errDonec chan struct{} // closed when stderr was read to its end
	tail     tail
	group    procgroup.Group
	// full, unless nil, is for a process of which all that it writes is wanted, however late it is
	// read: until kill closes it.
	full   chan struct{}
	killed sync.Once

	mu     sync.Mutex // guards reaped, and keeps it true while a signal is sent
	reaped bool       // the process id may belong to somebody else
}

// stderrWait is how long the end of stderr may come after the end of the process and its tree:
// somebody who has escaped the tree may hold the pipe.
const stderrWait = 200 * time.Millisecond

func (p *popenProcess) readStderr(copyTo io.Writer) {
	defer close(p.errDonec)
	defer p.errPipe.Close()
	var w io.Writer = &p.tail
	if copyTo != nil {
		w = io.MultiWriter(&p.tail, copyTo)
	}
	io.Copy(w, p.errPipe) // how stderr ended is of no interest
}

func (p *popenProcess) wait() string {
	err := p.reap()
	if p.full != nil {
		select {
		case <-p.errDonec:
		case <-p.full:
		}
	}
	if !within(stderrWait, p.errDonec) {
		p.errPipe.Close()
		<-p.errDonec
	}
	if state := p.cmd.ProcessState; state != nil {
		return state.String()
	}
	return err.Error()
}

func (p *popenProcess) stderr() string { return p.tail.String() }

func (p *popenProcess) interrupt() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		p.interruptTree()
	}
}

func (p *popenProcess) kill() {
	if p.full != nil {
		p.killed.Do(func() { close(p.full) })
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		p.endTree()
	}
}

// signal sends a signal to the process alone. One that the system does not have does nothing.
func (p *popenProcess) signal(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if sig := signalNamed(name); !p.reaped && sig != nil {
		p.cmd.Process.Signal(sig) // it may have ended
	}
}
