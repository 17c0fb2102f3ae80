package gateway

import (
	"context"
	_ "embed" // of the shim
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// scriptHandler is the handler that runs sources in an interpreter.
const scriptHandler = reservedPrefix + "script"

// scriptRequest is its argument. Its channel is the script's.
type scriptRequest struct {
	Interpreter []string `cbor:"1,keyasint"` // program and arguments, which take a program by -c; with Lines all but the source
	Source      string   `cbor:"2,keyasint"`
	Variables   []byte   `cbor:"3,keyasint,omitempty"` // an encoded map: what the script has by name
	Lines       bool     `cbor:"4,keyasint,omitempty"` // it speaks lines of JSON; else it is a Python
	Env         []string `cbor:"5,keyasint,omitempty"` // with Lines: NAME=VALUE, added to the agent's environment
	Fresh       bool     `cbor:"6,keyasint,omitempty"` // for a Python that has run no source yet
}

// pythonShim gives a source a channel. It needs Python 3 and no package.
//
//go:embed script.py
var pythonShim string

// RunScript runs a source text in an interpreter of the gateway's host and returns the channel to
// it. The interpreter is a program with arguments, such as "python3", "sh" or "node"; "" stands for
// the spec's python=, or python3, and "sh" for the spec's shell=, or sh. Nothing is needed there
// but the interpreter. The source may be indented as a whole. Of variables, nil or a map, each is a
// global name of the source.
//
// The channel ends when the source does. When the controller closes it the source's input ends, and
// a second later its process is killed, as it is when its gateway ends.
//
// # Python
//
// The source finds the channel as channel, as py.execnet's remote_exec has it: send, receive,
// iteration, close, isclosed, waitclose and makefile. Its __name__ is "__channelexec__". What it
// prints goes where the agent's standard error does. Items are None, bool, int, float, str, bytes,
// list and dict, by CBOR. makefile("r") reads text from str and from bytes in UTF-8, which is what
// Channel.Writer sends; receive gives the bytes themselves. When the source has raised something
// the channel ends with a RemoteError of the traceback. When the controller closes the channel the
// source's receive raises EOFError.
//
// While it runs the source has its process for itself. The process may have run other sources of
// this gateway before, one after the other: modules that they have imported are there already. It
// runs no other when one has left threads, child processes or handlers of signals, or has changed
// the working directory, the environment or the like; and it ends when it has had nothing to do for
// a minute. Config.FreshScripts has each source start an interpreter of its own.
//
// # Shells, Node
//
// A source for sh, bash, dash, ksh, zsh, node or bun speaks in lines: each line that it writes to
// its standard output is a JSON value and an item of the channel, and each item that is sent is a
// JSON value in a line of its standard input. Its standard error goes where the agent's does. For a
// shell the variables are in the environment, text as it is and other values as JSON. When it ends
// with another status than 0 the channel ends with an error of the status and the last lines of its
// standard error.
//
//	gw.RunScript(ctx, "sh", `while read -r n; do echo $((n * 2)); done`, nil)
//	gw.RunScript(ctx, "sh", `printf '"%s"\n' "$HOME"`, nil)
//	gw.RunScript(ctx, "node", `console.log(JSON.stringify(process.versions))`, nil)
func (gw *Gateway) RunScript(ctx context.Context, interpreter, source string, variables map[string]any) (*Channel, error) {
	req, err := gw.scriptRequest(interpreter, source, variables)
	var ch *Channel
	if err == nil {
		ch, err = gw.open(ctx, scriptHandler, req)
	}
	if err != nil {
		return nil, fmt.Errorf("run script on gateway %s: %w", gw.ID(), err)
	}
	return ch, nil
}

// RunScript runs a source on every member, as Gateway.RunScript does on one, and returns their
// channels in the members' order. When one cannot be reached, the channels opened before it are
// closed.
func (g *Group) RunScript(ctx context.Context, interpreter, source string, variables map[string]any) (*MultiChannel, error) {
	var channels []*Channel
	for gw := range g.All() {
		c, err := gw.RunScript(ctx, interpreter, source, variables)
		if err != nil {
			for _, c := range channels {
				c.CloseWith(err) // never fails for a channel of our own
			}
			return nil, err
		}
		channels = append(channels, c)
	}
	return NewMultiChannel(channels...), nil
}

func (gw *Gateway) scriptRequest(interpreter, source string, variables map[string]any) (req scriptRequest, err error) {
	key := map[string]string{"": "python", "sh": "shell"}[interpreter]
	if named, ok := gw.spec.Lookup(key); ok {
		interpreter = named
	}
	if interpreter == "" {
		interpreter = "python3"
	}
	req = scriptRequest{Interpreter: strings.Fields(interpreter), Source: dedent(source), Fresh: gw.group.cfg.FreshScripts}
	if option := lineOption(req.Interpreter); option != "" {
		err = req.speakLines(option, variables)
	} else if len(variables) > 0 {
		req.Variables, err = NewItem(variables)
	}
	return req, err
}

// dedent takes from all lines the white space that all begin with, but for empty ones: sources
// stand indented in programs.
func dedent(source string) string {
	prefix, first := "", true
	for line := range strings.Lines(source) {
		text := strings.TrimLeft(line, " \t")
		if strings.TrimSpace(text) == "" {
			continue
		}
		indent := line[:len(line)-len(text)]
		if first {
			prefix, first = indent, false
		}
		for !strings.HasPrefix(indent, prefix) {
			prefix = prefix[:len(prefix)-1]
		}
	}
	if prefix == "" {
		return source
	}
	var b strings.Builder
	for line := range strings.Lines(source) {
		b.WriteString(strings.TrimPrefix(line, prefix))
	}
	return b.String()
}

// Frames between agent and shim: a letter, the length in four bytes, the content.
const (
	scriptSource = 'S' // to the shim, first: a source and its variables
	scriptItem   = 'I'
	scriptEnd    = 'E' // to the shim: no more items; the last of each source
	scriptClose  = 'C' // from the shim: no more items
	scriptError  = 'X' // from the shim: the error with which its source has ended
	scriptDone   = 'D' // from the shim: the source has ended; with content: and takes no other
)

// runScript implements scriptHandler.
func runScript(ctx context.Context, ch *Channel, args Item) error {
	var req scriptRequest
	if err := args.Decode(&req); err != nil {
		return err
	}
	if len(req.Interpreter) == 0 {
		return errors.New("run script: no interpreter is named")
	}
	if req.Lines {
		return runLines(ctx, ch, req)
	}
	var variables any = map[string]any{}
	if len(req.Variables) > 0 {
		variables = Item(req.Variables)
	}
	first, err := NewItem([]any{req.Source, variables})
	if err != nil {
		return err
	}
	p, err := ch.session.interpreters.take(ctx, req.Interpreter, req.Fresh)
	if err != nil {
		return err
	}
	s := &script{ch: ch, interpreter: p}
	failure, err := s.run(ctx, first)
	if err == nil && !s.last && !req.Fresh {
		ch.session.interpreters.put(p)
		return failure
	}
	if err != nil || failure != nil || ctx.Err() != nil {
		p.l.proc.kill()
	}
	p.l.conn.Close() // the process reads EOF, if it still does
	s.feeder.Wait()
	select {
	case <-p.endedc:
	case <-ctx.Done(): // threads of the source may go on
		within(orphanWait, p.endedc)
		p.l.proc.kill()
		<-p.endedc
	}
	ch.session.interpreters.gone(p)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("%s has ended before its source: %s", strings.Join(req.Interpreter, " "), p.status)
	}
	return errors.Join(err, failure)
}

// script is a source that runs.
type script struct {
	*interpreter
	ch     *Channel
	feeder sync.WaitGroup
	fedc   chan error // capacity 1, never closed: how the feeder has ended
	last   bool       // the interpreter takes no other source
}

// run gives the interpreter a source, and returns the error with which that has ended. err is that
// the two have lost each other. When ctx ends the source has a second. The feeder begins when the
// controller has sent something.
func (s *script) run(ctx context.Context, first Item) (failure, err error) {
	feeding, stop := context.WithCancel(ctx)
	defer stop()
	over := make(chan struct{})
	defer close(over)
	defer context.AfterFunc(ctx, func() { // ends with over, at the latest
		if !within(orphanWait, over) {
			s.l.conn.Close() // wakes who reads or writes
		}
	})()
	s.fedc = make(chan error, 1)
	if err := s.put(scriptSource, first); err != nil {
		return nil, io.ErrUnexpectedEOF
	}
	s.ch.whenNoticed(func() { s.feeder.Go(func() { s.fedc <- s.feed(feeding) }) })
	failure, err = s.follow(ctx)
	if s.ch.whenNoticed(nil) {
		s.endless = true
		return failure, err
	}
	if err != nil || s.last {
		return failure, err
	}
	stop()
	late := time.NewTimer(orphanWait)
	defer late.Stop()
	select {
	case err = <-s.fedc: // the shim drops what the source has not received
	case <-late.C:
		err = errors.New("the interpreter does not read")
	}
	if err != nil {
		s.last = true
	}
	return failure, nil
}

// feed gives the shim what the controller sends.
func (s *script) feed(ctx context.Context) error {
	for {
		it, err := s.ch.ReceiveItem(ctx)
		if err != nil {
			return s.put(scriptEnd, nil)
		}
		err = s.put(scriptItem, it)
		s.ch.Recycle(it)
		if err != nil {
			return err
		}
	}
}

func (s *script) put(kind byte, content []byte) error {
	frame := make([]byte, 0, 10+len(content))
	if s.endless {
		frame = append(frame, scriptEnd, 0, 0, 0, 0)
		s.endless = false
	}
	frame = binary.BigEndian.AppendUint32(append(frame, kind), uint32(len(content)))
	_, err := s.l.conn.Write(append(frame, content...))
	return err
}

// follow passes on what the shim says, until its source has ended.
func (s *script) follow(ctx context.Context) (failure, err error) {
	for {
		kind, content, err := s.next()
		switch {
		case err != nil && ctx.Err() != nil:
			return failure, ctx.Err()
		case err != nil:
			return failure, err
		case kind == scriptItem:
			err = s.ch.Send(ctx, Item(content))
		case kind == scriptClose:
			err = s.ch.CloseSend()
		case kind == scriptError:
			failure = errors.New(strings.TrimRight(string(content), "\n"))
		case kind == scriptDone:
			s.last = len(content) > 0
			return failure, nil
		default:
			err = fmt.Errorf("the interpreter says what its shim does not: %q", kind)
		}
		if err != nil && ctx.Err() == nil && !errors.Is(err, ErrClosed) { // else nobody wants it
			return failure, err
		}
	}
}

// next reads a frame. The content has a bound: that of an item.
func (s *script) next() (kind byte, content []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(s.r, head[:]); err != nil {
		return 0, nil, io.ErrUnexpectedEOF
	}
	size := binary.BigEndian.Uint32(head[1:])
	if int64(size) > int64(s.ch.session.sendLimit) {
		return 0, nil, fmt.Errorf("%w: the script sends %d bytes, the limit is %d", ErrTooLarge, size, s.ch.session.sendLimit)
	}
	content = make([]byte, size)
	if _, err := io.ReadFull(s.r, content); err != nil {
		return 0, nil, io.ErrUnexpectedEOF
	}
	return head[0], content, nil
}
