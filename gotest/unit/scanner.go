package unit

import (
	"bytes"
	"strings"
	"time"
)

// maxLine is how many bytes of a line of output the scanner looks at. A coverage line names what
// was given to -coverpkg and can be long; all else is short.
const maxLine = 64 << 10

// A scanner reads the raw output of a test binary for what `go test` and we look for in it. Its
// memory is bounded by maxLine.
type scanner struct {
	covered bool // look for the coverage line

	line []byte // beginning of the line that has not ended, at most maxLine
	any  bool   // there was output
	last byte   // last byte of the output

	coverage    string // first "coverage: …" up to the end of its line
	noTests     bool
	noFuzz      bool
	manyFuzz    bool
	timedOut    bool      // the panic of -test.timeout
	repanicked  bool      // a panic that a test's runner caught and raised again
	inRunning   bool      // reading the list "running tests:"
	runningList []running // as listed by the panic of -test.timeout
	panicked    panicText
}

// running is one entry of the list of running tests in the panic of -test.timeout.
type running struct {
	test    string        // full name
	elapsed time.Duration // rounded to a second by the binary
}

func (s *scanner) write(p []byte) {
	if len(p) == 0 {
		return
	}
	s.any, s.last = true, p[len(p)-1]
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			s.line = append(s.line, p[:min(len(p), maxLine-len(s.line))]...)
			return
		}
		if len(s.line) == 0 {
			s.endLine(p[:i])
		} else {
			s.line = append(s.line, p[:min(i, maxLine-len(s.line))]...)
			s.endLine(s.line)
			s.line = s.line[:0]
		}
		p = p[i+1:]
	}
}

var (
	warning       = []byte("testing: warning: ")
	coverageText  = []byte("coverage: ")
	timeoutPanic  = []byte("panic: test timed out after ")
	panicBegin    = []byte("panic: ")
	recoveredText = []byte(" [recovered")
)

func (s *scanner) endLine(line []byte) {
	s.panicked.line(line)
	if s.inRunning {
		if s.inRunning = s.addRunning(string(line)); s.inRunning {
			return
		}
	}
	if rest, ok := bytes.CutPrefix(line, warning); ok {
		switch string(rest) {
		case "no tests to run":
			s.noTests = true
		case "no fuzz tests to fuzz":
			s.noFuzz = true
		case "-fuzz matches more than one fuzz test, won't fuzz":
			s.manyFuzz = true
		}
	}
	if s.covered && s.coverage == "" {
		if i := bytes.Index(line, coverageText); i >= 0 {
			s.coverage = string(line[i:])
		}
	}
	switch {
	case bytes.Contains(line, timeoutPanic):
		s.timedOut = true
	case s.timedOut && string(bytes.TrimSpace(line)) == "running tests:":
		s.inRunning = true
	case bytes.Contains(line, panicBegin) && bytes.Contains(line, recoveredText):
		s.repanicked = true
	}
}

// addRunning reads "\t\tTestX/sub (1m2s)" and reports whether it was an entry of the list.
func (s *scanner) addRunning(line string) bool {
	name, rest, ok := strings.Cut(strings.TrimSpace(line), " (")
	d, err := time.ParseDuration(strings.TrimSuffix(rest, ")"))
	if !ok || err != nil {
		return false
	}
	s.runningList = append(s.runningList, running{test: name, elapsed: d})
	return true
}

// suffix is what `go test` appends to the ok line.
func (s *scanner) suffix() string {
	switch {
	case s.manyFuzz:
		return "[-fuzz matches more than one fuzz test, won't fuzz]"
	case s.noFuzz:
		return " [no fuzz tests to fuzz]"
	case s.noTests:
		return " [no tests to run]"
	}
	return ""
}
