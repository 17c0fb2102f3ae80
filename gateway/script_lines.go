package gateway

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"path"
	"strconv"
	"strings"
	"sync"

	"github.com/fxamacker/cbor/v2"

	"github.com/xdist-go/xdist/internal/cmdline"
	"github.com/xdist-go/xdist/xspec"
)

// lineOptions are how interpreters that speak lines of JSON take a source.
var lineOptions = map[string]string{
	"sh": "-c", "bash": "-c", "dash": "-c", "ash": "-c", "ksh": "-c", "mksh": "-c", "zsh": "-c", "node": "-e", "nodejs": "-e", "bun": "-e",
}

// lineOption is that of the interpreter which these words start, as in busybox sh; "" for a Python.
func lineOption(words []string) string {
	for _, w := range words {
		name := strings.TrimSuffix(path.Base(strings.ReplaceAll(w, `\`, "/")), ".exe")
		if option := lineOptions[name]; option != "" {
			return option
		}
	}
	return ""
}

// longestSource is the size in bytes of a source that fits an argument: Linux takes 128 KiB.
const longestSource = 127 << 10

// speakLines makes the request one for an interpreter that speaks lines.
func (req *scriptRequest) speakLines(option string, variables map[string]any) error {
	req.Lines, req.Fresh = true, false
	req.Interpreter = append(req.Interpreter, option)
	values := make(map[string]any, len(variables))
	for name, v := range variables {
		if !isName(name) {
			return fmt.Errorf("variable %q: this is no name", name)
		}
		it, err := NewItem(v)
		if err == nil {
			values[name], err = toJSON(it)
		}
		if err != nil {
			return fmt.Errorf("variable %s: %w", name, err)
		}
		if option == "-e" {
			continue
		}
		text, ok := values[name].(string)
		if !ok {
			b, err := json.Marshal(values[name])
			if err != nil {
				return fmt.Errorf("variable %s: %w", name, err)
			}
			text = string(b)
		}
		req.Env = append(req.Env, name+"="+text)
	}
	if option == "-e" && len(values) > 0 {
		b, err := json.Marshal(values)
		if err != nil {
			return fmt.Errorf("variables: %w", err)
		}
		req.Source = "Object.assign(globalThis," + string(b) + ");" + req.Source
	}
	if len(req.Source) > longestSource {
		return fmt.Errorf("the source has %d bytes, and at most %d fit an argument: send it by WriteFile, and run the file", len(req.Source), longestSource)
	}
	return nil
}

// isName reports whether a shell can have a variable of this name.
func isName(name string) bool {
	for i, c := range name {
		if c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9' || i == 0) {
			return false
		}
	}
	return name != ""
}

// runLines runs a source that speaks lines of JSON.
func runLines(ctx context.Context, ch *Channel, req scriptRequest) error {
	var env []xspec.Var
	for _, v := range req.Env {
		name, value, _ := strings.Cut(v, "=")
		env = append(env, xspec.Var{Name: name, Value: value})
	}
	l, err := startProcess(append(req.Interpreter[:len(req.Interpreter):len(req.Interpreter)], req.Source), env, os.Stderr)
	if err != nil {
		return errors.New(strings.Replace(err.Error(), "start agent", "run script", 1))
	}
	endedc := make(chan struct{})
	var status string
	go func() { // joined below
		defer close(endedc)
		status = l.proc.wait()
	}()
	ending := context.AfterFunc(ctx, func() {
		l.conn.(*pipeConn).CloseWrite() // it reads EOF
		if !within(orphanWait, endedc) {
			l.proc.kill()
		}
	})
	defer ending()
	s := &lineScript{ch: ch, conn: l.conn.(*pipeConn)}
	feeding, stop := context.WithCancel(ctx)
	var feeder sync.WaitGroup
	feeder.Go(func() {
		if s.feedErr = s.feed(feeding); s.feedErr != nil {
			l.proc.kill()
		}
	})
	err = s.follow(ctx)
	if err != nil {
		l.proc.kill()
	}
	<-endedc
	stop()
	l.conn.Close()
	feeder.Wait()
	if err = errors.Join(s.feedErr, err); err != nil {
		return err
	}
	if own, ok := l.proc.(*popenProcess); ctx.Err() == nil && ok && !own.cmd.ProcessState.Success() {
		return lineFailure(req.Interpreter[0], status, l.proc.stderr())
	}
	return ctx.Err()
}

// lastLines is how many lines of standard error an error quotes.
const lastLines = 10

func lineFailure(interpreter, status, stderr string) error {
	text := path.Base(interpreter) + ": " + status
	lines := strings.Split(strings.TrimSpace(stderr), "\n")
	if tail := strings.Join(lines[max(0, len(lines)-lastLines):], "\n"); tail != "" {
		text += ": " + tail
	}
	return errors.New(text)
}

// lineScript is a source that speaks lines.
type lineScript struct {
	ch      *Channel
	conn    *pipeConn
	feedErr error // that of feed; to be read when that was joined
}

// feed writes what the controller sends. A source need not read all of it.
func (s *lineScript) feed(ctx context.Context) error {
	defer s.conn.CloseWrite()
	for {
		it, err := s.ch.ReceiveItem(ctx)
		if err != nil {
			return nil // the end
		}
		v, err := toJSON(it)
		s.ch.Recycle(it)
		var line []byte
		if err == nil {
			line, err = json.Marshal(v)
		}
		if err != nil {
			return fmt.Errorf("send to the script: %w", err)
		}
		if _, err := s.conn.Write(append(line, '\n')); err != nil {
			return nil
		}
	}
}

// follow passes on what the source writes, to its end.
func (s *lineScript) follow(ctx context.Context) error {
	lines := bufio.NewScanner(s.conn)
	lines.Buffer(nil, s.ch.session.sendLimit)
	for lines.Scan() {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		v, err := fromJSON(line)
		if err != nil {
			return fmt.Errorf("the script writes a line that is no JSON value (what is for people goes to standard error): %q: %w",
				cmdline.Printable(string(line[:min(len(line), 200)])), err)
		}
		if err := s.ch.Send(ctx, v); err != nil && ctx.Err() == nil && !errors.Is(err, ErrClosed) {
			return err
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return fmt.Errorf("%w: the script writes a line of more than %d bytes", ErrTooLarge, s.ch.session.sendLimit)
	}
	return nil // how reading has ended the process tells
}

// fromJSON is the value of a line. Whole numbers are integers where they fit.
func fromJSON(line []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more follows the first value")
	}
	return numbers(v)
}

// numbers replaces the texts of numbers.
func numbers(v any) (_ any, err error) {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n, nil
		}
		if n, err := strconv.ParseUint(v.String(), 10, 64); err == nil {
			return n, nil
		}
		f, err := v.Float64()
		if err != nil {
			return nil, errors.New("a number is too large")
		}
		return f, nil
	case []any:
		for i := range v {
			if v[i], err = numbers(v[i]); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for k := range v {
			if v[k], err = numbers(v[k]); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}

// toJSON is the value of an item as package encoding/json takes it. Byte strings are in base64, and
// tags are left out.
func toJSON(it Item) (any, error) {
	var v any
	if err := it.Decode(&v); err != nil {
		return nil, err
	}
	return asJSON(v)
}

// asJSON makes maps, large integers and what is tagged those of JSON.
func asJSON(v any) (_ any, err error) {
	switch v := v.(type) {
	case big.Int:
		return json.Number(v.String()), nil
	case cbor.Tag:
		return asJSON(v.Content)
	case []any:
		for i := range v {
			if v[i], err = asJSON(v[i]); err != nil {
				return nil, err
			}
		}
	case map[any]any:
		m := make(map[string]any, len(v))
		for k, x := range v {
			name, ok := k.(string)
			if !ok {
				return nil, fmt.Errorf("JSON has no key such as %v", k)
			}
			if m[name], err = asJSON(x); err != nil {
				return nil, err
			}
		}
		return m, nil
	}
	return v, nil
}
