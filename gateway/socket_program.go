package gateway

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/xdist-go/xdist/internal/programs"
	"github.com/xdist-go/xdist/xspec"
)

// programRequest says which program an agent is to be.
type programRequest struct {
	Digest   string   `cbor:"1,keyasint,omitempty"` // SHA-256 in hexadecimal digits; absent to be told the platform first
	Size     int64    `cbor:"2,keyasint,omitempty"` // bytes
	Platform string   `cbor:"3,keyasint,omitempty"` // GOOS/GOARCH that it is for; absent for one that is to be started wherever it is
	Args     []string `cbor:"4,keyasint,omitempty"` // to start it with
	Wrap     []string `cbor:"5,keyasint,omitempty"` // program and arguments to start it under
}

const (
	// askedAtMost bounds how often the two sides talk about a program.
	askedAtMost = 4
	// chooseWait is how long a controller that was told the platform may take to have its program
	// made for that, by a compiler.
	chooseWait = 10 * time.Minute
	// programStart and programRate bound how long a program may take to come: so many times the
	// timeout of a handshake, and a second more for each so many bytes of it.
	programStart = 6
	programRate  = 4 << 10
	// defaultPrograms is how many bytes of programs a host keeps, where nobody has said it.
	defaultPrograms = 2 << 30
)

func ownPlatform() string { return runtime.GOOS + "/" + runtime.GOARCH }

// packedAtMost is how many bytes a program may have on the wire: what cannot be packed grows a
// little.
func packedAtMost(size int64) int64 { return size + size/100 + 64<<10 }

// agentProgram is what a controller has its agents be on a host that it does not start them on by
// itself.
type agentProgram struct {
	hosts        *hosts
	destination  string // the scope of uploads and of what is known about the platform
	goos, goarch string // wanted; empty is the host's own
	wrap         []string
}

func newAgentProgram(h *hosts, destination string, spec xspec.Spec) *agentProgram {
	p := &agentProgram{hosts: h, destination: destination, goos: spec.GOOS, goarch: spec.GOARCH}
	if spec.GOOS != "" || spec.GOARCH != "" {
		p.wrap = spec.ExecWords()
	}
	return p
}

// forHost is the program for a host of this platform.
func (p *agentProgram) forHost(ctx context.Context, platform string) (knownAgent, *programRequest, error) {
	goos, goarch, ok := strings.Cut(platform, "/")
	if !ok {
		return knownAgent{}, nil, fmt.Errorf("%w: platform %q", ErrProtocol, platform)
	}
	if p.goos != "" || p.goarch != "" {
		goos, goarch, platform = cmp.Or(p.goos, goos), cmp.Or(p.goarch, goarch), ""
	}
	a, err := p.hosts.agents.get(ctx, goos, goarch)
	return a, &programRequest{Digest: a.Digest, Size: a.size, Platform: platform, Args: a.Args, Wrap: p.wrap}, err
}

// agentOrder has the other side of a connection, which has proved the key, start an agent.
type agentOrder struct {
	raw     net.Conn // closing it wakes whatever is blocked
	conn    net.Conn
	in      socketReader
	request socketRequest
	program *agentProgram // nil is the other side's own
	silent  bool          // no answer has come
	phase   Phase         // how far it has come
	pass    func()        // ends the turn of an upload; nil when it is not ours
}

// place sends the request by means of send, and goes on until the agent has started.
func (o *agentOrder) place(ctx context.Context, send func(socketRequest) error) error {
	defer o.passOn()
	o.phase = PhaseProbe
	var agent knownAgent
	if o.program != nil {
		o.request.Program = &programRequest{}
		if platform := o.program.hosts.platformOf(o.program.destination); platform != "" { // it is there
			var err error
			if agent, o.request.Program, err = o.program.forHost(ctx, platform); err != nil {
				return err
			}
		}
	}
	o.phase, o.silent = PhaseStart, true
	answer, err := o.exchange(send)
	o.silent = err != nil
	platform := ""
	for range askedAtMost {
		switch {
		case err != nil:
			return err
		case answer.Error != "":
			return errors.New(answer.Error)
		case answer.Platform != "" && o.program != nil:
			lap(ctx, PhaseProbe)
			o.phase, platform = PhaseProbe, answer.Platform
			if agent, err = o.choose(ctx, platform); err != nil {
				return err
			}
			o.phase = PhaseStart
			answer, err = o.exchange(o.repeat)
		case answer.Need && agent.packed != nil:
			o.phase = PhaseUpload
			if answer, err = o.upload(agent); answer.Error == "" && err == nil {
				lap(ctx, PhaseUpload)
				o.phase = PhaseStart
			}
		case answer.Need || answer.Platform != "":
			return fmt.Errorf("%w: a program is asked for that nobody has named", ErrProtocol)
		default:
			if platform != "" {
				o.program.hosts.setPlatform(o.program.destination, platform)
			}
			lap(ctx, PhaseStart)
			return nil
		}
	}
	return fmt.Errorf("%w: the other side has asked more than %d times for a program", ErrProtocol, askedAtMost)
}

// choose makes the request one for the program of a platform. Until it was brought to a host for
// the first time one gateway after the other asks, so that it comes once.
func (o *agentOrder) choose(ctx context.Context, platform string) (agent knownAgent, err error) {
	if agent, o.request.Program, err = o.program.forHost(ctx, platform); err != nil || o.pass != nil {
		return agent, err
	}
	if _, o.pass, err = o.program.hosts.uploads.Take(ctx, o.program.destination); err != nil {
		return agent, err
	}
	if o.program.hosts.platformOf(o.program.destination) != "" {
		o.passOn()
	}
	lap(ctx, PhaseUpload) // so far it was made
	return agent, nil
}

func (o *agentOrder) passOn() {
	if o.pass != nil {
		o.pass()
		o.pass = nil
	}
}

// repeat sends the request once more.
func (o *agentOrder) repeat(request socketRequest) error {
	b, err := socketGreeting(socketMagic, request)
	if err == nil {
		_, err = o.conn.Write(b)
	}
	return err
}

// exchange sends the request and reads the answer, which tells more than a failed write.
func (o *agentOrder) exchange(send func(socketRequest) error) (answer socketAnswer, err error) {
	writeErr := send(o.request)
	if err := readSocketGreeting(o.in, socketMagic, &answer); err != nil {
		return answer, errors.Join(writeErr, err)
	}
	return answer, nil
}

// upload sends the program. The answer may come before that is done, when it is an error.
func (o *agentOrder) upload(agent knownAgent) (answer socketAnswer, err error) {
	content, err := agent.packed()
	if err != nil {
		return answer, fmt.Errorf("pack agent: %w", err)
	}
	sentc := make(chan error, 1)
	go func() { // joined below
		out := &socketWriter{w: o.conn}
		_, err := out.write(socketProgram, content)
		if err == nil {
			_, err = out.write(socketEnd, nil)
		}
		sentc <- err
	}()
	err = readSocketGreeting(o.in, socketMagic, &answer)
	if err != nil || answer.Error != "" {
		o.raw.Close() // nobody reads the rest
	}
	if writeErr := <-sentc; err != nil {
		err = errors.Join(writeErr, err)
	}
	return answer, err
}

// launch chooses a program and starts it. When ctx ends meanwhile, so does the connection. done is
// to be called when the agent has ended.
func (c *socketClient) launch(ctx context.Context, command []string, store *programs.Store, request *socketRequest) (done func(), err error) {
	stop := context.AfterFunc(ctx, func() { c.raw.Close() })
	defer stop()
	args, done, err := c.choose(command, store, request)
	if err != nil {
		return nil, err
	}
	if err := c.start(args, *request); err != nil {
		done()
		return nil, err
	}
	return done, nil
}

// choose agrees with the controller on the program that the agent is to be, and brings it here. It
// returns the command line; done is to be called when the agent has ended. command, unless it is
// nil, starts an agent whatever the controller wants.
func (c *socketClient) choose(command []string, store *programs.Store, request *socketRequest) (args []string, done func(), err error) {
	for range askedAtMost {
		p := request.Program
		if command != nil || p == nil {
			args, err := Config{Command: command}.command()
			return args, func() {}, err
		}
		if p.Digest != "" && (p.Platform == "" || p.Platform == ownPlatform()) {
			path, done, err := c.fetch(store, programs.Program{Digest: p.Digest, Size: p.Size})
			return slices.Concat(p.Wrap, []string{path}, p.Args), done, err
		}
		c.raw.SetDeadline(time.Now().Add(chooseWait)) // fails when it is closed, as what follows
		c.answer(socketAnswer{Platform: ownPlatform()})
		*request = socketRequest{}
		if err := readSocketGreeting(c.in, socketMagic, request); err != nil {
			return nil, nil, fmt.Errorf("read request: %w", err)
		}
	}
	return nil, nil, fmt.Errorf("%w: no program for %s after %d requests", ErrProtocol, ownPlatform(), askedAtMost)
}

// fetch returns the path of a program, and has the controller send it when it is not there.
func (c *socketClient) fetch(store *programs.Store, p programs.Program) (string, func(), error) {
	if err := store.Check(p); err != nil {
		return "", nil, err
	}
	if path, done := store.Use(p); path != "" {
		return path, done, nil
	}
	return store.Put(p, func(w io.Writer) error {
		c.answer(socketAnswer{Need: true})
		in := &programReader{c: c, began: time.Now(), left: packedAtMost(p.Size)}
		z, err := gzip.NewReader(bufio.NewReader(in))
		if err == nil {
			_, err = io.Copy(w, z)
		}
		if err == nil && !in.ended {
			_, err = io.Copy(io.Discard, in) // up to its end
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = fmt.Errorf("only %d bytes have come in %v", in.got, time.Since(in.began).Round(time.Second))
		}
		return err
	})
}

// programReader is the content of the frames of a program.
type programReader struct {
	c     *socketClient
	began time.Time
	got   int64
	left  int64 // bytes that may still come
	frame int64 // bytes of them in this frame
	ended bool
}

// Read implements io.Reader.
func (r *programReader) Read(p []byte) (int, error) {
	for r.frame == 0 {
		if r.ended {
			return 0, io.EOF
		}
		r.patience()
		kind, n, err := r.c.in.next()
		switch {
		case err != nil:
			return 0, noEnd(err)
		case kind == socketEnd && n == 0:
			r.ended = true
		case kind != socketProgram || n == 0:
			return 0, fmt.Errorf("%w: frame of kind %d with %d bytes in a program", ErrProtocol, kind, n)
		case n > r.left:
			return 0, fmt.Errorf("%w: more comes than a program of this size takes", ErrProtocol)
		}
		r.frame = n
		r.left -= n
	}
	r.patience()
	n, err := r.c.in.Read(p[:min(int64(len(p)), r.frame)])
	r.frame -= int64(n)
	r.got += int64(n)
	return n, noEnd(err)
}

// patience sets the time at which more has to have come.
func (r *programReader) patience() {
	r.c.raw.SetDeadline(r.began.Add(programStart*r.c.slow + time.Duration(r.got/programRate)*time.Second)) // fails when it is closed, as does Read
}

// noEnd tells the end of a connection from that of a program.
func noEnd(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// dismissWait is how long a client that gets no agent may take to read why.
const dismissWait = 2 * time.Second

// dismiss tells the client why it gets no agent, if it can. What the client still sends is dropped:
// a connection that is closed while something comes in loses what was sent last.
func (c *socketClient) dismiss(err error) {
	c.raw.SetDeadline(time.Now().Add(dismissWait)) // fails when it is closed, as all that follows
	c.refuse(err)
	if half, ok := c.raw.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
		io.Copy(io.Discard, c.raw)
	}
}

// explainStart says more of a program that is there and cannot be started.
func explainStart(path string, err error) error {
	if _, statErr := os.Stat(path); statErr == nil && errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s", err, needsLibraries)
	}
	return err
}
