package compare

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// Model is what one stream says. Its maps are never nil after Read.
type Model struct {
	Packages map[string]*Package // by import path
	Builds   map[string]string   // build output by the ImportPath of its events
	// Problems are violations of the stream's own grammar: a line that is no JSON, a package with
	// two ends, a test that ends without a start. `go test` itself commits a few.
	Problems []string
}

// Package is what a stream says of one package.
type Package struct {
	Outcome     string // pass, fail, skip, or "" when it has no end
	Output      string // what is attributed to no test
	FailedBuild string
	Tests       map[string]*Test

	output       strings.Builder // becomes Output at the end of the stream
	starts, ends int
}

// Test is what a stream says of one test, subtest, example, fuzz target or benchmark.
type Test struct {
	Outcomes []string // pass, fail or skip, one per run that ended
	Actions  []string // every action but output in order, attributes and artifacts with their values
	Output   string

	output  strings.Builder // becomes Output at the end of the stream
	running int
}

// Outcome is the test's outcomes joined by a space, "none" without any.
func (t *Test) Outcome() string {
	if t == nil || len(t.Outcomes) == 0 {
		return "none"
	}
	return strings.Join(t.Outcomes, " ")
}

// started reports whether the stream has a run event of the test.
func (t *Test) started() bool { return t != nil && slices.Contains(t.Actions, "run") }

// event is one line of a stream. It is a type of its own, and not test2json.Event, so that a
// mistake there cannot hide itself.
type event struct {
	Action, ImportPath, Package, Test, Output, FailedBuild, Key, Value, Path string
}

// Read reads a whole stream. What is wrong with the stream's contents is in Problems; the error is
// r's.
func Read(r io.Reader) (*Model, error) {
	m := &Model{Packages: map[string]*Package{}, Builds: map[string]string{}}
	br := bufio.NewReaderSize(r, 1<<16)
	for n := 1; ; n++ {
		line, err := br.ReadString('\n')
		if line != "" {
			m.line(n, line)
		}
		if errors.Is(err, io.EOF) {
			m.finish()
			return m, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read line %d of the event stream: %w", n, err)
		}
	}
}

func (m *Model) problem(format string, args ...any) {
	m.Problems = append(m.Problems, fmt.Sprintf(format, args...))
}

func (m *Model) line(n int, line string) {
	var e event
	if err := json.Unmarshal([]byte(line), &e); err != nil {
		m.problem("line %d is no event: %.100q: %v", n, line, err)
		return
	}
	switch e.Action {
	case "build-output":
		m.Builds[e.ImportPath] += e.Output
		return
	case "build-fail":
		m.Builds[e.ImportPath] += ""
		return
	}
	if e.Package == "" {
		m.problem("line %d: %s event without a package", n, e.Action)
		return
	}
	p := m.Packages[e.Package]
	if p == nil {
		p = &Package{Tests: map[string]*Test{}}
		m.Packages[e.Package] = p
	}
	if p.starts == 0 && e.Action != "start" {
		m.problem("line %d: %s: %s before the start of the package", n, e.Package, e.Action)
		p.starts++
	}
	if p.ends > 0 {
		m.problem("line %d: %s: %s %s after the end of the package", n, e.Package, e.Action, e.Test)
	}
	if e.Test == "" {
		m.packageEvent(n, p, e)
		return
	}
	m.testEvent(n, p, e)
}

func (m *Model) packageEvent(n int, p *Package, e event) {
	switch e.Action {
	case "start":
		if p.starts++; p.starts > 1 {
			m.problem("line %d: %s: start number %d", n, e.Package, p.starts)
		}
	case "output":
		p.output.WriteString(e.Output)
	case "pass", "fail", "skip":
		p.ends++
		p.Outcome, p.FailedBuild = e.Action, e.FailedBuild
	default:
		m.problem("line %d: %s: %q event of a package", n, e.Package, e.Action)
	}
}

func (m *Model) testEvent(n int, p *Package, e event) {
	t := p.Tests[e.Test]
	if t == nil {
		t = &Test{}
		p.Tests[e.Test] = t
	}
	id := e.Package + "::" + e.Test
	if e.Action == "output" {
		t.output.WriteString(e.Output)
		return
	}
	switch e.Action {
	case "run":
		if t.running++; t.running > 1 {
			m.problem("line %d: %s: runs twice at a time", n, id)
		}
	case "pass", "fail", "skip":
		if t.running--; t.running < 0 {
			m.problem("line %d: %s: ends with %s without a start", n, id, e.Action)
			t.running = 0
		}
		t.Outcomes = append(t.Outcomes, e.Action)
	case "attr":
		e.Action = fmt.Sprintf("attr %s=%s", e.Key, e.Value)
	case "artifacts":
		e.Action = "artifacts " + e.Path
	case "pause", "cont", "bench":
	default:
		m.problem("line %d: %s: unknown action %q", n, id, e.Action)
	}
	t.Actions = append(t.Actions, e.Action)
}

// finish notes what only the end of the stream shows.
func (m *Model) finish() {
	for _, name := range slices.Sorted(maps.Keys(m.Packages)) {
		p := m.Packages[name]
		p.Output = p.output.String()
		if p.ends != 1 {
			m.problem("%s: %d ends", name, p.ends)
		}
		for _, test := range slices.Sorted(maps.Keys(p.Tests)) {
			p.Tests[test].Output = p.Tests[test].output.String()
			if i := strings.LastIndex(test, "/"); i >= 0 && p.Tests[parent(p, test)] == nil {
				m.problem("%s::%s: its parent is not in the stream", name, test)
			}
		}
	}
}

// parent is the longest prefix of a subtest's name that is a test of the package; names may hold
// slashes of their own.
func parent(p *Package, test string) string {
	for {
		i := strings.LastIndex(test, "/")
		if i < 0 {
			return test
		}
		test = test[:i]
		if p.Tests[test] != nil {
			return test
		}
	}
}

// Verdict is what the exit status of a run says.
type Verdict string

// The verdicts of a run.
const (
	Passed      Verdict = "passed"
	TestsFailed Verdict = "tests failed" // at least one package failed in another way than its build
	BuildFailed Verdict = "build failed" // and nothing else failed
)

// Verdict is the verdict that the packages' outcomes amount to.
func (m *Model) Verdict() Verdict {
	v := Passed
	for _, p := range m.Packages {
		switch {
		case p.outcome() != "fail":
		case p.buildFailed():
			if v == Passed {
				v = BuildFailed
			}
		default:
			return TestsFailed
		}
	}
	return v
}

var buildFailures = []string{" [build failed]\n", " [setup failed]\n"}

func (p *Package) buildFailed() bool {
	return p.FailedBuild != "" || slices.ContainsFunc(buildFailures, func(s string) bool { return strings.HasSuffix(p.Output, s) })
}

// Counts of tests by outcome of their last run, top-level tests and subtests alike.
func (m *Model) Counts() map[string]int {
	counts := map[string]int{}
	for _, p := range m.Packages {
		for _, t := range p.Tests {
			outcome := "none"
			if n := len(t.Outcomes); n > 0 {
				outcome = t.Outcomes[n-1]
			}
			counts[outcome]++
		}
	}
	return counts
}
