// Package failure finds what did not pass in a run, where and why: the place and the line that an
// editor, an annotation of a CI service and the end of a report want.
//
// The nouns: a Place is where and why, read from what a test has printed (Find is pure); Sources
// find the files that the output names on this machine; a collector takes the events of a run and
// gives what has Ended badly, with a Finding for each test or subtest below which no other failed.
//
// Package testing does not say which of a test's lines are errors and which are only logged. So
// the source decides, where there is one: a line that t.Log wrote is passed over.
package failure

import (
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// Place is where and why a test failed. The zero value is that of a test that says nothing.
type Place struct {
	File    string // as the output has it: a base name, or a path of the host that it ran on
	Line    int    // 0: the output does not tell
	Message string // one line, fit for a terminal
}

// Lines returns a line of a source file, of which it gets the name that the output has. It reports
// false when there is none.
type Lines func(file string, line int) (text string, ok bool)

// messageRunes is the longest Message in characters. What is longer ends in an ellipsis.
const messageRunes = 200

// Find returns the place that the output of a test tells of, its own lines before those of its
// subtests. A nil lines is no sources.
func Find(output string, lines Lines) Place {
	text := strings.Split(Plain(output), "\n")
	for _, find := range []func([]string, Lines) (Place, bool){died, raced, reported, lastWords} {
		if p, ok := find(text, lines); ok {
			return p.apart()
		}
	}
	return Place{Message: first(text)}.apart()
}

// apart is the place with a message of one line, and holds nothing of the output that it was found
// in: that may be large, and places are kept.
func (p Place) apart() Place {
	p.File, p.Message = strings.Clone(p.File), strings.Clone(line(p.Message))
	return p
}

// died finds the panic or the fatal error that ended the process.
func died(text []string, _ Lines) (Place, bool) {
	for i, l := range text {
		if !strings.HasPrefix(l, "panic: ") && !strings.HasPrefix(l, "fatal error: ") {
			continue
		}
		trace, ok := goroutine(text[i+1:])
		if !ok {
			continue // a test printed it
		}
		message, _, _ := strings.Cut(l, " [recovered")
		p := Place{Message: message}
		if strings.HasPrefix(l, "panic: test timed out after") {
			trace = text[i+1:] // the one that waits is any of them
			p.File, p.Line = frame(trace, inTest)
		} else if p.File, p.Line = frame(trace, inModule); p.Line == 0 {
			p.File, p.Line = frame(text[i+1:], inTest)
		}
		return p, true
	}
	return Place{}, false
}

// goroutine returns the frames of the first goroutine that text tells of.
func goroutine(text []string) ([]string, bool) {
	for i, l := range text {
		if !strings.HasPrefix(l, "goroutine ") || !strings.HasSuffix(l, "]:") {
			continue
		}
		frames := text[i+1:]
		for n, f := range frames {
			if f == "" {
				return frames[:n], true
			}
		}
		return frames, true
	}
	return nil, false
}

// raced finds the first report of the race detector.
func raced(text []string, _ Lines) (Place, bool) {
	for i, l := range text {
		if strings.TrimSpace(l) != "WARNING: DATA RACE" {
			continue
		}
		p := Place{Message: "race detected during execution of test"}
		p.File, p.Line = frame(text[i+1:], inModule)
		return p, true
	}
	return Place{}, false
}

// place is the second line of a frame, "\t/dir/file.go:12 +0x1d", with the spaces of the race
// detector or the tab of the runtime before it.
var place = regexp.MustCompile(`^\s+(\S.*\.go):(\d+)(?: \+0x[0-9a-f]+)?$`)

// frame returns the place of the first frame whose function and file are wanted.
func frame(trace []string, wanted func(function, file string) bool) (string, int) {
	for i := 1; i < len(trace); i++ {
		m := place.FindStringSubmatch(trace[i])
		if m == nil {
			continue
		}
		function := strings.TrimSpace(trace[i-1])
		if strings.HasPrefix(function, "created by ") || !wanted(function, m[1]) {
			continue
		}
		if n, err := strconv.Atoi(m[2]); err == nil {
			return m[1], n
		}
	}
	return "", 0
}

// inModule reports whether a frame is of a module's and not of Go's own packages that stand between
// a panic and its cause.
func inModule(function, _ string) bool {
	for _, std := range []string{
		"panic(", "runtime.", "runtime/", "testing.", "testing/", "reflect.", "sync.", "sync/", "internal/", "syscall.", "os.", "time.", "bytes.", "strings.", "slices.", "maps.", "sort.", "fmt.", "encoding/", "math/", "context.",
	} {
		if strings.HasPrefix(function, std) {
			return false
		}
	}
	return true
}

// inTest reports whether a frame is of a test's own code.
func inTest(function, file string) bool {
	return strings.HasSuffix(file, "_test.go") && inModule(function, file)
}

// logged is a line of T.Log, T.Error and their like.
var logged = regexp.MustCompile(`^( {4,})(\S.*?\.go):(\d+): ?(.*)$`)

// note is one thing that a test has logged.
type note struct {
	Place
	depth int
	more  []string // lines that belong to it
}

// notes are what the test has logged, in order.
func notes(text []string) []note {
	var all []note
	for _, l := range text {
		if m := logged.FindStringSubmatch(l); m != nil {
			if n, err := strconv.Atoi(m[3]); err == nil {
				all = append(all, note{Place: Place{m[2], n, m[4]}, depth: len(m[1])})
				continue
			}
		}
		if n := len(all) - 1; n >= 0 && strings.HasPrefix(l, strings.Repeat(" ", all[n].depth+4)) {
			all[n].more = append(all[n].more, l)
		}
	}
	return all
}

// reported finds what the test said to be an error: what an assertion wrote, else the first line
// that is not known to be only logged, else the last one of all.
func reported(text []string, lines Lines) (Place, bool) {
	all := notes(text)
	if len(all) == 0 {
		return Place{}, false
	}
	for _, n := range all {
		if p, ok := n.assertion(); ok {
			return p, true
		}
	}
	for _, n := range all {
		if lines == nil || n.isLog(lines) {
			continue
		}
		return n.said(), true
	}
	if lines == nil {
		return all[0].said(), true
	}
	return all[len(all)-1].said(), true
}

var logCall = regexp.MustCompile(`\.(Log|Logf|Skip|Skipf)\(`)

// isLog reports whether the source shows that the note is no error.
func (n note) isLog(lines Lines) bool {
	source, ok := lines(n.File, n.Line)
	return ok && logCall.MatchString(source)
}

// said is the place with a message, from the lines below where the first one is empty.
func (n note) said() Place {
	for i := 0; strings.TrimSpace(n.Message) == "" && i < len(n.more); i++ {
		n.Message = n.more[i]
	}
	return n.Place
}

// Fields of what testify writes below a note.
var (
	fieldTrace = regexp.MustCompile(`^\s*Error Trace:\s*(.*?)(?::(\d+))?\s*$`)
	field      = regexp.MustCompile(`^\s*(Error Trace|Error|Test|Messages):\s*(.*)$`)
)

// assertion reads a note that testify has written: a table of fields, whose values may have several
// lines.
func (n note) assertion() (Place, bool) {
	p, current := n.Place, ""
	var cause []string
	for _, l := range n.more {
		if m := fieldTrace.FindStringSubmatch(l); m != nil {
			current = "Error Trace"
			if line, err := strconv.Atoi(m[2]); err == nil && !strings.HasSuffix(n.File, "_test.go") {
				p.File, p.Line = m[1], line
			}
			continue
		}
		value := strings.TrimSpace(l)
		if value == "Diff:" {
			current = value
		}
		if m := field.FindStringSubmatch(l); m != nil {
			current, value = m[1], strings.TrimSpace(m[2])
		}
		if (current == "Error" || current == "Messages") && value != "" && len(cause) < 4 {
			cause = append(cause, value)
		}
	}
	if current == "" || len(cause) == 0 {
		return Place{}, false
	}
	p.Message = strings.Join(cause, " ")
	return p, true
}

// lastWords finds how xdist put the end of a test that could not say it itself.
func lastWords(text []string, _ Lines) (Place, bool) {
	for _, l := range text {
		if words, ok := strings.CutPrefix(l, "xdist: "); ok {
			return Place{Message: words}, true
		}
	}
	return Place{}, false
}

// first is the first line that tells something.
func first(text []string) string {
	for _, l := range text {
		trimmed := strings.TrimSpace(l)
		switch {
		case trimmed == "", trimmed == "PASS", trimmed == "FAIL", framing(l):
		case strings.HasPrefix(trimmed, "--- "), strings.HasPrefix(l, "FAIL\t"), strings.HasPrefix(l, "exit status "):
		default:
			return l
		}
	}
	return ""
}

// framing reports whether a line of output is one that `go test -v` puts between a test's own.
func framing(line string) bool {
	for _, prefix := range []string{"=== RUN  ", "=== PAUSE ", "=== CONT ", "=== NAME ", "=== ATTR "} {
		if strings.HasPrefix(line, prefix) {
			return true
		}
	}
	return false
}

// WithoutFraming leaves these lines out.
func WithoutFraming(output string) string {
	var b strings.Builder
	for line := range strings.Lines(output) {
		if !framing(line) {
			b.WriteString(line)
		}
	}
	return b.String()
}

// line makes text one line that is fit for a terminal and not too long.
func line(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	text = Printable(text)
	if r := []rune(text); len(r) > messageRunes {
		return string(r[:messageRunes]) + "…"
	}
	return text
}

// Printable takes out of a text what would move the cursor.
func Printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, text)
}

// Plain leaves out what moves a terminal's cursor or sets its colours: the sequences that begin
// with ESC [ or ESC ], and other characters that print nothing but newlines and tabs.
func Plain(text string) string {
	if !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r == 0x7f }) {
		return text
	}
	return control.ReplaceAllStringFunc(text, func(s string) string {
		if s == "\r\n" {
			return "\n"
		}
		return ""
	})
}

var control = regexp.MustCompile("\r\n|\x1b\\[[0-?]*[ -/]*[@-~]|\x1b\\][^\x07\x1b]*(?:\x07|\x1b\\\\)|[\x00-\x08\x0b-\x1f\x7f]")

// compilerLine is a line of the compiler, of vet or of the go command: "dir/file.go:12:3: text".
var compilerLine = regexp.MustCompile(`^(?:vet: )?(\S.*?\.go):(\d+)(?::\d+)?: (.*)$`)

// Compiled finds the first error that the go command, a compiler or vet has printed.
func Compiled(output string) Place {
	text := strings.Split(Plain(output), "\n")
	for i, l := range text {
		m := compilerLine.FindStringSubmatch(l)
		if m == nil {
			continue
		}
		if n, err := strconv.Atoi(m[2]); err == nil {
			p := Place{m[1], n, m[3]}
			if i+1 < len(text) && strings.HasPrefix(text[i+1], "\t") { // the line goes on
				p.Message += " " + text[i+1]
			}
			return p.apart()
		}
	}
	for _, l := range text {
		if l = strings.TrimSpace(l); l != "" && !strings.HasPrefix(l, "#") {
			return Place{Message: l}.apart()
		}
	}
	return Place{}
}
