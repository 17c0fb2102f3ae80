package test2json

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Sizes in bytes, those of cmd/test2json, on which the cutting of long lines depends.
const (
	inputLimit  = 4096 // a line up to this size can be a framing line
	outputLimit = 1024 // input bytes in one output event
)

// Converter turns the output of one test binary into events. NewConverter makes one; the zero value
// is not usable. Its methods must not be called concurrently, nor from the emit function.
type Converter struct {
	pkg     string
	emit    func(Event)
	now     func() time.Time // nil: no Time and no Elapsed
	noStart bool
	noEnd   bool

	start      time.Time
	in, out    splitter
	test       string  // the test that output belongs to, or ""
	reports    []Event // reports whose event is due; the one at index i was indented i times
	result     string  // action of the terminal event, or "" when there is none
	framedOnly bool    // the last framing line began with ^V, so a line without it is not one
	closed     bool
}

// Option changes what a Converter emits.
type Option func(*Converter)

// WithClock gives events a Time, and terminal events an Elapsed, as `go test -json` and
// `go tool test2json -t` do. Without a clock, or with nil, events have neither.
func WithClock(now func() time.Time) Option {
	return func(c *Converter) { c.now = now }
}

// WithoutStart leaves out the start event.
func WithoutStart() Option {
	return func(c *Converter) { c.noStart = true }
}

// WithoutEnd leaves out the terminal event of the package, for a process that runs only some of the
// tests of a package. Close then emits the reports that wait, as the "FAIL\tpkg" line does that the
// go command adds after a binary that ended without PASS or FAIL.
func WithoutEnd() Option {
	return func(c *Converter) { c.noEnd = true }
}

// NewConverter returns a Converter for the output of a test binary of the package with import path
// pkg, which may be "". It emits the start event at once. All events go to emit, in order, from
// within NewConverter, Write and Close; an emit that blocks blocks them. Events share no memory
// with what was written.
func NewConverter(pkg string, emit func(Event), opts ...Option) *Converter {
	return newConverter(pkg, emit, inputLimit, outputLimit, opts)
}

func newConverter(pkg string, emit func(Event), inputLimit, outputLimit int, opts []Option) *Converter {
	c := &Converter{pkg: validUTF8(pkg), emit: emit}
	for _, opt := range opts {
		opt(c)
	}
	c.in = newSplitter(inputLimit, c.line, c.text)
	c.out = newSplitter(outputLimit, c.output, c.output)
	if c.now != nil {
		c.start = c.now()
	}
	if !c.noStart {
		c.send(Event{Action: ActionStart})
	}
	return c
}

// Write converts the next bytes of the binary's output. It does not keep b, and takes all of it
// unless the Converter is closed, which is the only error and wraps io.ErrClosedPipe.
func (c *Converter) Write(b []byte) (int, error) {
	if c.closed {
		return 0, fmt.Errorf("convert test output of %s: %w", c.pkg, io.ErrClosedPipe)
	}
	c.in.write(b)
	return len(b), nil
}

// Close emits what is left of the output, then the terminal event of the package, if the output has
// told how that ended. Calling it again does nothing. The error is always nil.
func (c *Converter) Close() error {
	if c.closed {
		return nil
	}
	c.closed = true
	c.in.flush()
	c.out.flush()
	switch {
	case c.noEnd:
		c.settle(0)
	case c.result != "":
		e := Event{Action: c.result}
		if c.now != nil {
			e.Elapsed = new(c.now().Sub(c.start).Round(time.Millisecond).Seconds())
		}
		c.send(e)
	}
	return nil
}

// line takes a whole line of input.
func (c *Converter) line(line []byte) {
	framed := line[0] == marker
	if c.framedOnly && !framed {
		c.text(line)
		return
	}
	if framed {
		c.out.flush()
		line = line[1:]
	}
	trimmed := trimNewline(line)
	switch {
	case string(trimmed) == "PASS":
		c.verdict(ActionPass, line, framed)
	case string(trimmed) == "FAIL", bytes.HasPrefix(trimmed, []byte("FAIL\t")):
		c.verdict(ActionFail, line, framed)
	case string(trimmed) == "=== NAME": // editors and terminals cut the spaces off
		c.update("name", "", line, framed)
	case bytes.HasPrefix(line, []byte("=== ")):
		action, rest := cutUpdate(line)
		if action == "" {
			c.text(line)
			return
		}
		c.update(action, strings.TrimSpace(string(rest)), line, framed)
	default:
		if len(c.reports) == 0 && isNoTestFiles(line, trimmed) {
			c.result = ActionSkip
		}
		c.reportOrText(line, framed)
	}
}

// verdict takes the PASS or FAIL line that ends the tests, or the FAIL line of the go command.
func (c *Converter) verdict(result string, line []byte, framed bool) {
	c.settle(0)
	c.framedOnly = framed
	c.text(line)
	c.result = result
}

// update takes a "===" line, what being the rest of it.
func (c *Converter) update(action, what string, line []byte, framed bool) {
	e := Event{Action: action}
	name := what
	switch action {
	case ActionArtifacts:
		name, e.Path, _ = strings.Cut(what, " ")
	case ActionAttr:
		var attr string
		name, attr, _ = strings.Cut(what, " ")
		e.Key, e.Value, _ = strings.Cut(attr, " ")
	}
	c.framedOnly = framed
	c.settle(0)
	c.test = validUTF8(name)
	switch action {
	case "name": // only says whose the output is that follows
	case ActionPause: // with the line after the event, the test would seem to run while it is paused
		c.text(line)
		c.send(e)
	default:
		c.send(e)
		c.text(line)
	}
}

// reportOrText takes a line that is a "---" line or not a framing line at all.
func (c *Converter) reportOrText(line []byte, framed bool) {
	rest, indent := line, 0
	for bytes.HasPrefix(rest, []byte("    ")) {
		rest = rest[4:]
		indent++
	}
	action, rest := cutReport(rest)
	if action == "" {
		// Output of a subtest follows its report, indented once more. Deeper than any report it
		// stays with the last test.
		if 0 < indent && indent <= len(c.reports) {
			c.test = c.reports[indent-1].Test
		}
		c.text(line)
		return
	}
	if indent > len(c.reports) {
		c.text(line)
		return
	}
	e := Event{Action: action}
	e.Test, e.Elapsed = parseReport(strings.TrimSpace(string(rest)))
	if c.now == nil {
		e.Elapsed = nil
	}
	c.framedOnly = framed
	c.settle(indent)
	c.test = e.Test
	c.reports = append(c.reports, e)
	c.text(line)
}

// settle emits the events of all reports that are indented at least depth times, innermost first.
func (c *Converter) settle(depth int) {
	c.test = ""
	for len(c.reports) > depth {
		last := len(c.reports) - 1
		e := c.reports[last]
		c.reports = c.reports[:last]
		c.send(e)
	}
}

// text takes output of the current test, which is emitted before any event that is sent later only
// if it is complete: an unfinished line waits for its end or for the next line with a ^V.
func (c *Converter) text(b []byte) { c.out.write(b) }

// output emits one output event.
func (c *Converter) output(b []byte) {
	e := Event{Action: ActionOutput, Package: c.pkg, Test: c.test}
	if utf8.Valid(b) {
		e.Output = string(b)
	} else {
		e.Output = replaceInvalid(string(b))
	}
	if c.now != nil {
		e.Time = c.now()
	}
	c.emit(e)
}

// send emits an event, for the current test unless it names one.
func (c *Converter) send(e Event) {
	e.Package = c.pkg
	if e.Test == "" {
		e.Test = c.test
	}
	e.Key, e.Value, e.Path = validUTF8(e.Key), validUTF8(e.Value), validUTF8(e.Path)
	if c.now != nil {
		e.Time = c.now()
	}
	c.emit(e)
}

// cutUpdate splits a "===" line into its action, in the case of events, and what follows. The
// action is "" when it is not one.
func cutUpdate(line []byte) (action string, rest []byte) {
	for _, u := range [...]struct{ prefix, action string }{
		{"=== RUN   ", ActionRun},
		{"=== PAUSE ", ActionPause},
		{"=== CONT  ", ActionCont},
		{"=== NAME  ", "name"},
		{"=== PASS  ", ActionPass},
		{"=== FAIL  ", ActionFail},
		{"=== SKIP  ", ActionSkip},
		{"=== ATTR  ", ActionAttr},
		{"=== ARTIFACTS ", ActionArtifacts},
	} {
		if len(line) >= len(u.prefix) && string(line[:len(u.prefix)]) == u.prefix {
			return u.action, line[len(u.prefix):]
		}
	}
	return "", line
}

// cutReport splits a "---" line, its indentation removed, as cutUpdate does a "===" line.
func cutReport(line []byte) (action string, rest []byte) {
	if !bytes.HasPrefix(line, []byte("--- ")) {
		return "", line
	}
	for _, r := range [...]struct{ prefix, action string }{
		{"--- PASS: ", ActionPass},
		{"--- FAIL: ", ActionFail},
		{"--- SKIP: ", ActionSkip},
		{"--- BENCH: ", ActionBench},
	} {
		if len(line) >= len(r.prefix) && string(line[:len(r.prefix)]) == r.prefix {
			return r.action, line[len(r.prefix):]
		}
	}
	return "", line
}

// parseReport splits "TestX (0.01s)" into the name and the seconds, nil when they are missing or
// not a finite number.
func parseReport(s string) (name string, elapsed *float64) {
	name, paren, ok := strings.Cut(s, " (")
	if !ok {
		return validUTF8(name), nil
	}
	if number, ok := strings.CutSuffix(paren, "s)"); ok {
		if f, err := strconv.ParseFloat(number, 64); err == nil && !math.IsInf(f, 0) && !math.IsNaN(f) {
			elapsed = &f
		}
	}
	return validUTF8(name), elapsed
}

// isNoTestFiles reports whether line is all that the go command prints for a package without tests.
func isNoTestFiles(line, trimmed []byte) bool {
	return bytes.HasPrefix(line, []byte("?   \t")) && bytes.HasSuffix(trimmed, []byte("\t[no test files]"))
}

// trimNewline removes a final \n or \r\n.
func trimNewline(line []byte) []byte {
	if text, ok := bytes.CutSuffix(line, []byte("\n")); ok {
		return bytes.TrimSuffix(text, []byte("\r"))
	}
	return line
}

// validUTF8 returns s with every byte that is not UTF-8 replaced by U+FFFD.
func validUTF8(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return replaceInvalid(s)
}

// replaceInvalid replaces byte by byte, as encoding/json does; strings.ToValidUTF8 makes one of a
// run of them.
func replaceInvalid(s string) string {
	var b strings.Builder
	b.Grow(len(s) + 2*utf8.RuneLen(utf8.RuneError))
	for _, r := range s {
		b.WriteRune(r)
	}
	return b.String()
}
