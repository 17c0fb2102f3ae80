package gateway

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/xdist-go/xdist/internal/cmdline"
	"github.com/xdist-go/xdist/xspec"
)

// bootstrap makes a POSIX shell on some host become the agent, and brings the agent there when it
// is missing. With a cached agent that takes one exchange: the shell gets one line, and what comes
// back is the agent's announcement.
type bootstrap struct {
	hosts        *hosts
	destination  string // host, user and way to it: the scope of uploads and of what is known about the platform
	host         string // as the user names it, for errors
	env          []xspec.Var
	goos, goarch string   // wanted; empty is the host's own
	wrapper      []string // to start the agent with
	shell        dialect
	program      *knownAgent // to be brought in the place of the group's agent

	marker, nonce string
	verify        string // "1" after a start that failed
	fast          string // "1" to start the agent that is there, or nothing
	unlock        func() // of an upload; nil when it is not ours
	notes         []string
	phase         Phase
}

// dialect is what differs between shells; the conversation is the same.
type dialect struct {
	guess   string // of the system, as the shell would name it; empty for none
	program func(*bootstrap, knownAgent) string
	words   func([]string) string // arguments for the answer to "want"
}

func posixShell() dialect { return dialect{ownUname(), bootstrapProgram, quoteWords} }

// newBootstrap is for an agent as spec wants it.
func newBootstrap(h *hosts, destination, host string, spec xspec.Spec) *bootstrap {
	b := &bootstrap{
		hosts: h, destination: destination, host: host,
		env: spec.Env, goos: spec.GOOS, goarch: spec.GOARCH, shell: posixShell(),
	}
	if spec.GOOS != "" || spec.GOARCH != "" {
		b.wrapper = spec.ExecWords()
	}
	return b
}

// shellOpener starts a shell whose next line of input is its program. When it returns an endpoint
// whose bytes are an agent's, ready is true.
type shellOpener func(ctx context.Context) (l *endpoint, ready bool, err error)

// open opens a shell and makes it the agent. An agent that does not start is looked at once more,
// with distrust: the file may be damaged, or the directory mounted anew.
func (b *bootstrap) open(ctx context.Context, shell shellOpener) (*endpoint, error) {
	l, err := b.attempt(ctx, shell)
	var phase *PhaseError
	if errors.As(err, &phase) && phase.Phase == PhaseStart && ctx.Err() == nil {
		b.verify = "1"
		if again, errAgain := b.attempt(ctx, shell); errAgain == nil {
			return again, nil
		}
	}
	return l, err
}

func (b *bootstrap) attempt(ctx context.Context, shell shellOpener) (*endpoint, error) {
	b.begin()
	l, ready, err := shell(ctx)
	if err != nil {
		return nil, err
	}
	if ready {
		lap(ctx, PhaseStart)
		return l, nil
	}
	stop := context.AfterFunc(ctx, func() { l.conn.Close() })
	defer stop()
	conn := newBufferedConn(l.conn)
	err = b.converse(ctx, conn, l.proc)
	if b.unlock != nil {
		b.unlock()
		b.unlock = nil
	}
	if !stop() && !errors.Is(err, ctx.Err()) && !errors.Is(err, context.Cause(ctx)) {
		err = ctx.Err() // else it says what was waited for
	}
	if err != nil {
		e := &PhaseError{Phase: b.phase, Host: b.host, Err: err}
		abandon(l, e)
		b.explainStart(e)
		return nil, e
	}
	return &endpoint{conn: conn, proc: l.proc}, nil
}

// explainStart says more of a program that is there and cannot be started. The shell has found the
// file; what was not found after all is its dynamic linker, or a library. Under a wrapper it may be
// the wrapper.
func (b *bootstrap) explainStart(e *PhaseError) {
	if e.Phase == PhaseStart && e.Status == statusNotFound && len(b.wrapper) == 0 {
		e.Err = fmt.Errorf("%w: %s", e.Err, needsLibraries)
	}
}

const (
	// statusNotFound is how a shell ends that has not found what it was to start, and a dynamic
	// linker that has not found a library.
	statusNotFound = "exit status 127"
	// needsLibraries explains the end of a program that was linked with a C library its host does
	// not have.
	needsLibraries = "the program needs shared libraries that its host does not have: build it with CGO_ENABLED=0, or set gateway.Config.Agent to agents.Self()"
)

// begin is for a conversation that nobody else has had.
func (b *bootstrap) begin() {
	var random [8]byte
	rand.Read(random[:]) // never fails
	b.nonce = fmt.Sprintf("%x", random)
	b.marker = "xdist-" + b.nonce
	b.notes, b.phase = nil, PhaseProbe
}

// abandon ends what was started in vain and adds to the error what its end tells.
func abandon(l *endpoint, e *PhaseError) error {
	endedc := make(chan string, 1)
	go func() { endedc <- l.proc.wait() }() // joined below
	late := time.NewTimer(statusWait)
	defer late.Stop()
	select {
	case e.Status = <-endedc:
		l.proc.kill()
	case <-late.C:
		l.proc.kill()
		<-endedc // its status is our doing
	}
	l.conn.Close()
	e.Stderr = l.proc.stderr()
	return e
}

// leader is a process that can be told who leads its session.
type leader interface{ leads(pid int) }

// converse answers the shell's questions until the agent has announced itself.
func (b *bootstrap) converse(ctx context.Context, conn *bufferedConn, proc process) error {
	var agent knownAgent
	if system := cmp.Or(b.hosts.platformOf(b.destination), b.shell.guess); system != "" {
		a, err := b.agentFor(ctx, system)
		if err != nil && ctx.Err() != nil {
			return err
		}
		if err == nil { // a guess; the shell asks when it is wrong
			agent = a
		}
	}
	if _, err := io.WriteString(conn, b.shell.program(b, agent)+"\n"); err != nil {
		return b.explain(conn.r, err)
	}
	for range converseAtMost {
		word, rest, err := readMarked(conn.r, b.marker)
		if err != nil {
			return err
		}
		switch word {
		case "want":
			lap(ctx, PhaseProbe)
			if agent, err = b.agentFor(ctx, rest); err == nil {
				b.hosts.setPlatform(b.destination, rest)
				lap(ctx, PhaseUpload) // so far it was made
				_, err = fmt.Fprintf(conn, "agent %s %d %s\n", agent.Digest, agent.size, b.shell.words(agent.Args))
			}
		case "need":
			lap(ctx, b.phase)
			b.phase = PhaseUpload
			err = b.upload(ctx, conn, agent, rest)
		case "bad":
			b.notes = append(b.notes, cmdline.Printable(rest))
		case "failed":
			b.notes = append(b.notes, cmdline.Printable(rest))
			_, err = io.WriteString(conn, "again\n")
		case "none":
			b.phase = PhaseUpload
			err = fmt.Errorf("there is no directory for the agent: %s", strings.Join(b.notes, "; "))
		case "go":
			lap(ctx, b.phase)
			b.phase = PhaseStart
			pid, file, _ := strings.Cut(rest, " ")
			if n, errPid := strconv.Atoi(pid); errPid == nil && n > 1 {
				if p, ok := proc.(leader); ok {
					p.leads(n)
				}
			}
			if err := awaitAnnouncement(conn.r); err != nil {
				return fmt.Errorf("start agent %s: %w", cmdline.Printable(file), err)
			}
			lap(ctx, PhaseStart)
			return nil
		default:
			err = fmt.Errorf("%w: the shell says %q", ErrProtocol, word)
		}
		if err != nil {
			return err
		}
	}
	return fmt.Errorf("%w: the shell has asked more than %d times", ErrProtocol, converseAtMost)
}

// converseAtMost bounds what a shell may say. There are six directories, each of which may be bad,
// and ask for an upload twice.
const converseAtMost = 40

// agentFor is the agent for a host that uname calls system.
func (b *bootstrap) agentFor(ctx context.Context, system string) (knownAgent, error) {
	goos, goarch, err := b.goos, b.goarch, error(nil)
	if goos == "" || goarch == "" {
		var hostOS, hostArch string
		if hostOS, hostArch, err = parseUname(system); err != nil {
			return knownAgent{}, err
		}
		goos, goarch = cmp.Or(goos, hostOS), cmp.Or(goarch, hostArch)
	}
	var a knownAgent
	if b.program != nil {
		a = *b.program
	} else {
		a, err = b.hosts.agents.get(ctx, goos, goarch)
	}
	a.system = system
	return a, err
}

// upload sends the agent, unless another gateway was at it meanwhile. The turn lasts until the
// agent is there.
func (b *bootstrap) upload(ctx context.Context, conn *bufferedConn, agent knownAgent, rest string) error {
	packing, _, _ := strings.Cut(rest, " ")
	if b.unlock == nil {
		waited, unlock, err := b.hosts.uploads.Take(ctx, b.destination+"\x00"+agent.Digest)
		if err != nil {
			return err
		}
		b.unlock = unlock
		if waited {
			_, err := io.WriteString(conn, "again\n")
			return err
		}
	}
	if logger := b.hosts.agents.cfg.Logger; logger != nil {
		logger.Debug("upload agent", "host", b.host, "digest", agent.Digest, "directory", rest)
	}
	return sendAgent(conn, agent, packing)
}

// sendAgent answers "need".
func sendAgent(w io.Writer, agent knownAgent, packing string) error {
	if packing != "gz" {
		return sendFile(w, agent)
	}
	content, err := agent.packed()
	if err != nil {
		return fmt.Errorf("pack agent: %w", err)
	}
	if _, err := fmt.Fprintf(w, "put %d\n", len(content)); err != nil {
		return err
	}
	_, err = w.Write(content)
	return err
}

// noiseLine is the size in bytes of the longest line of a shell, login files included.
const noiseLine = 16 << 10

// readMarked skips to the next line with the marker, which need not be at its beginning, and
// returns the word behind it and the rest.
func readMarked(r *bufio.Reader, marker string) (word, rest string, err error) {
	var noise []byte
	for len(noise) <= maxNoise {
		line, err := r.ReadSlice('\n')
		if i := bytes.Index(line, []byte(marker+" ")); i >= 0 && err == nil && len(line) <= noiseLine {
			text := strings.TrimRight(string(line[i+len(marker)+1:]), "\r\n")
			word, rest, _ := strings.Cut(text, " ")
			return word, rest, nil
		}
		noise = append(noise, line...)
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return "", "", fmt.Errorf("the shell has ended%s: %w", excerpt(noise), err)
		}
	}
	return "", "", fmt.Errorf("%w: no answer in the first %d bytes of the shell%s", ErrProtocol, maxNoise, excerpt(noise))
}

// explain prefers what can be read to a failed write.
func (b *bootstrap) explain(r *bufio.Reader, err error) error {
	if _, _, readErr := readMarked(r, b.marker); readErr != nil {
		return readErr
	}
	return err
}

// announcement is what an agent on standard input and output says first, so that it can be told
// from a shell. To the handshake it is noise that it skips.
const announcement = "\x00xdist agent\n"

// awaitAnnouncement reads up to it.
func awaitAnnouncement(r *bufio.Reader) error {
	_, err := awaitOne(r, announcement)
	return err
}

// awaitOne reads up to the end of the first of these words and returns it. Each ends with a
// newline, and no byte behind is read.
func awaitOne(r *bufio.Reader, words ...string) (string, error) {
	var noise []byte
	for len(noise) <= maxNoise {
		c, err := r.ReadByte()
		if err != nil {
			return "", fmt.Errorf("it has ended%s: %w", excerpt(noise), err)
		}
		noise = append(noise, c)
		if c != '\n' {
			continue
		}
		for _, w := range words {
			if bytes.HasSuffix(noise, []byte(w)) {
				return w, nil
			}
		}
	}
	return "", fmt.Errorf("%w: no agent in the first %d bytes%s", ErrProtocol, maxNoise, excerpt(noise))
}
