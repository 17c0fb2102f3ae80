package reporters

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/reporters/failure"
	"github.com/xdist-go/xdist/scheduler/event"
)

// Notices writes what belongs to no test: the go command's own messages, warnings, lost gateways
// and, at the end, what Console would say below its summary. It goes beside JSON on standard
// output, which has no place for them.
type Notices struct {
	out io.Writer
}

// NewNotices returns a Notices that writes to out, which stays the caller's.
func NewNotices(out io.Writer) Notices { return Notices{out} }

// Handle writes the event if it is a notice. The error is the writer's.
func (n Notices) Handle(e event.Event) error {
	text := ""
	switch e := e.(type) {
	case event.Stderr:
		text = e.Text
	case event.Warning:
		text = "warning: " + e.Text + "\n"
	case event.Listening:
		text = listening(e) + "\n"
	case event.SlowTest:
		text = slow(e, "SLOW")
	case event.Running:
		text = running(e, "", nil)
	case event.GatewayDown:
		if e.Reason != "" {
			text = "warning: " + down(e) + "\n"
		}
	case event.RunEnded:
		text = closing(e.Summary)
	}
	_, err := io.WriteString(n.out, text)
	return err
}

// slow is the line that announces a slow test.
func slow(e event.SlowTest, word string) string {
	return fmt.Sprintf("%s %s::%s has been running for %v on %s\n", word, e.Package, e.Test, e.Running.Round(time.Second), e.Gateway)
}

// suspected is the line for a failure that is no verdict yet. Nothing that looks for the FAIL lines
// of go test may take it for one.
func suspected(e event.Suspected, words string, s *failure.Sources) string {
	text := fmt.Sprintf("%s %s::%s on %s, confirming: %s\n", words, e.Package, e.Test, e.Gateway, e.Why)
	p := failure.Find(outputOf(e.Said), s.Lines(e.Package))
	if p.Message == "" {
		return text
	}
	if place := s.Place(e.Package, p); place != "" {
		p.Message = place + ": " + p.Message
	}
	return text + "    " + p.Message + "\n"
}

// running is what the gateways run, a line for each test, and below it the end of what it printed.
// head is how far the run is, or "".
func running(e event.Running, head string, s *failure.Sources) string {
	name := func(pkg string) string { return pkg }
	if s != nil {
		name = s.Name
	}
	var b strings.Builder
	fmt.Fprintln(&b, strings.TrimRight("=== Running  "+head, " "))
	width := 0
	for _, g := range e.Gateways {
		width = max(width, cells(g.Gateway))
	}
	for _, g := range e.Gateways {
		gateway := padded(g.Gateway, width)
		if g.Package == "" {
			fmt.Fprintf(&b, "%s  idle\n", gateway)
			continue
		}
		pkg := printable(name(g.Package))
		if len(g.Tests) == 0 {
			fmt.Fprintf(&b, "%s  %s, no test of it, %s\n", gateway, pkg, took(g.For.Seconds()))
			b.WriteString(indented(g.Output))
		}
		for _, t := range g.Tests {
			fmt.Fprintf(&b, "%s  %s.%s  %s\n", gateway, pkg, printable(t.Test), howLong(t))
			b.WriteString(indented(t.Output))
		}
		if g.More > 0 {
			fmt.Fprintf(&b, "%s  … and %d more\n", gateway, g.More)
		}
	}
	return b.String()
}

// howLong is for how long a test runs, and what is known of that.
func howLong(t event.TestRuns) string {
	text := took(t.For.Seconds())
	if t.Waits {
		text += ", waits for others (t.Parallel)"
	}
	if t.Expected >= time.Millisecond {
		text += fmt.Sprintf(" of %s expected", took(t.Expected.Seconds()))
	}
	return text
}

// indented is the output of a test as part of a list.
func indented(output string) string {
	var b strings.Builder
	for line := range strings.Lines(output) {
		fmt.Fprintf(&b, "      %s\n", strings.TrimSpace(failure.Plain(line)))
	}
	return b.String()
}

// outputOf is what a test and its subtests have printed.
func outputOf(events []test2json.Event) string {
	var b strings.Builder
	for _, e := range events {
		if e.Action == test2json.ActionOutput && b.Len() < retainedOutput {
			b.WriteString(e.Output)
		}
	}
	return b.String()
}

// Close does nothing.
func (n Notices) Close() error { return nil }

// listening says where agents may join a run.
func listening(e event.Listening) string {
	return fmt.Sprintf("xdist: waiting for agents at %s (xdist join)", e.Addr)
}

// down says once which gateway has ended, and why.
func down(e event.GatewayDown) string {
	if strings.HasPrefix(e.Reason, "gateway "+e.Gateway+" ") {
		return e.Reason
	}
	return fmt.Sprintf("gateway %s is down: %s", e.Gateway, e.Reason)
}
