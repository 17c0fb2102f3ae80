package unit

import (
	"bytes"
	"strconv"
	"strings"
)

// maxPanic is how many bytes of a panic are kept. The trace of the goroutine that panicked comes
// first; it has a hundred frames at most.
const maxPanic = 64 << 10

// A panicText is what the runtime has printed last before it ended the process, without what else
// was written meanwhile.
type panicText struct{ text []byte }

var fatalText = []byte("fatal error: ")

// line takes the next line of output, without its newline. A text begins with "panic: " or "fatal
// error: ", after output that did not end its line, too. What looks like one may be a test's own
// output, so the last one that begins a line counts.
func (p *panicText) line(line []byte) {
	switch {
	case bytes.HasPrefix(line, panicBegin) || bytes.HasPrefix(line, fatalText):
		p.text = p.text[:0]
	case len(p.text) > 0:
		if bytes.HasPrefix(line, framing) {
			return
		}
	default:
		at := max(bytes.Index(line, panicBegin), bytes.Index(line, fatalText))
		if at < 0 {
			return
		}
		line = line[at:]
	}
	line = line[:min(len(line), maxPanic-len(p.text))]
	p.text = append(p.text, line...)
	if len(p.text) < maxPanic {
		p.text = append(p.text, '\n')
	}
}

// framing begins the lines by which package testing says which test output belongs to.
var framing = []byte("\x16=== ")

// String returns the text, in UTF-8.
func (p *panicText) String() string { return strings.ToValidUTF8(string(p.text), "\uFFFD") }

// goroutineTrace is one goroutine in the text of a panic.
type goroutineTrace struct {
	frames []string // names of functions, the innermost first
	maker  string   // name of the function that has started it
	parent string   // number of the goroutine that has, or "" when it is not told
}

// test returns the top-level function of package pkg that the goroutine which panicked belongs to
// by its trace, or "". It is one that is called for a test: its name need not be a test's.
//
// The function nearest to the goroutine's start counts. Where the goroutine has none and the text
// has the goroutine that started it, that one is asked.
func (p *panicText) test(pkg string) string {
	goroutines, first := p.goroutines()
	seen := make(map[string]bool)
	for id := first; id != "" && !seen[id]; id = goroutines[id].parent {
		seen[id] = true
		g := goroutines[id]
		name := testIn(g.maker, pkg)
		for _, f := range g.frames {
			if found := testIn(f, pkg); found != "" {
				name = found
			}
		}
		if name != "" {
			return name
		}
	}
	return ""
}

// goroutines reads the traces in the text. first is the number of the one that panicked.
func (p *panicText) goroutines() (all map[string]goroutineTrace, first string) {
	all = make(map[string]goroutineTrace)
	id := ""
	for line := range strings.Lines(string(p.text)) {
		line = strings.TrimSuffix(line, "\n")
		if rest, ok := strings.CutPrefix(line, "goroutine "); ok && strings.HasSuffix(line, "]:") {
			id, _, _ = strings.Cut(rest, " ")
			if first == "" {
				first = id
			}
			continue
		}
		if id == "" || line == "" || line[0] == '\t' {
			continue
		}
		g := all[id]
		if maker, ok := strings.CutPrefix(line, "created by "); ok {
			g.maker, g.parent, _ = strings.Cut(maker, " in goroutine ")
			all[id] = g
			id = ""
			continue
		}
		if at := strings.LastIndexByte(line, '('); at > 0 {
			g.frames = append(g.frames, line[:at])
			all[id] = g
		}
	}
	return all, first
}

// testIn returns TestX for example.com/p.TestX and example.com/p.TestX.func1, if it is a test, fuzz
// target, example or benchmark of package pkg or its external test package, or "".
func testIn(function, pkg string) string {
	slash := strings.LastIndexByte(function, '/') + 1
	dot := strings.IndexByte(function[slash:], '.')
	if dot < 0 {
		return ""
	}
	path := unescape(function[:slash+dot])
	if strings.TrimSuffix(path, "_test") != strings.TrimSuffix(pkg, "_test") {
		return ""
	}
	name := function[slash+dot+1:]
	if end := strings.IndexAny(name, ".[("); end >= 0 {
		name = name[:end]
	}
	for _, kind := range []string{"Test", "Fuzz", "Example", "Benchmark"} {
		if strings.HasPrefix(name, kind) {
			return name
		}
	}
	return ""
}

// unescape undoes what the compiler does to import paths in the names of functions
// (cmd/internal/objabi.PathToPrefix): dots behind the last slash, among others, are %2e.
func unescape(path string) string {
	var b strings.Builder
	for {
		at := strings.IndexByte(path, '%')
		if at < 0 || at+3 > len(path) {
			return b.String() + path
		}
		c, err := strconv.ParseUint(path[at+1:at+3], 16, 8)
		if err != nil {
			return b.String() + path
		}
		b.WriteString(path[:at])
		b.WriteByte(byte(c))
		path = path[at+3:]
	}
}
