package reporters

import (
	"bytes"
	"fmt"
	"strings"

	"gotest.tools/gotestsum/testjson"

	"github.com/xdist-go/xdist/scheduler/event"
)

// gotestsum writes one of gotestsum's formats, with gotestsum's summary and xdist's closing lines
// at the end. It owns the scan, which end joins.
type gotestsum struct {
	console *Console
	adapter adapter
	built   compilerText
	scan    *scan
	broken  error // what ended the scan before its time; nothing is put into it any more

	scanned scanned
}

// scanned is what the scanning goroutine uses while put waits for it, and put sets before.
type scanned struct {
	cur       event.Test // what the scan is about to see
	formatter testjson.EventFormatter
	text      bytes.Buffer // what formatter writes
	prefixer  prefixer
}

func newGotestsum(c *Console) *gotestsum {
	g := &gotestsum{console: c}
	g.scanned.prefixer.format = c.format
	g.scanned.formatter = testjson.NewEventFormatter(&g.scanned.text, string(c.format), c.cfg.formatOptions())
	g.scan = startScan(scanHandler{g})
	return g
}

func (g *gotestsum) err() error { return g.broken }

// handle brings one event to the formatter.
func (g *gotestsum) handle(e event.Event) {
	t, ok := e.(event.Test)
	if !ok {
		return
	}
	if lines := g.built.add(t.Event); lines != "" && g.broken == nil {
		g.broken = g.scan.putErr([]byte(lines))
	}
	if !framed(t.Output) {
		t.Output = g.console.cfg.Text(t.Output)
	}
	f := g.adapter.add(t.Event)
	for _, e := range f.events {
		if g.broken != nil {
			return
		}
		g.scanned.cur = t
		line, err := scanText(e)
		if err == nil {
			err = g.scan.put(line)
		}
		g.broken = err
	}
	if f.excess != "" && g.console.format.streams(t.Test) {
		excess := testjson.TestEvent{Action: testjson.ActionOutput, Package: t.Package, Test: t.Test, Output: f.excess}
		g.console.write(g.scanned.prefixer.apply(f.excess, excess, t))
	}
}

// framed reports whether output is go test's line about a test that has ended, which testjson looks
// for. It is no command but a header of Buildkite's.
func framed(output string) bool {
	for _, verdict := range []string{"PASS", "FAIL", "SKIP", "BENCH"} {
		if strings.HasPrefix(output, "--- "+verdict+": ") {
			return true
		}
	}
	return false
}

func (g *gotestsum) end(e *event.RunEnded) string {
	g.scanned.cur = event.Test{}
	exec, err := g.scan.finish()
	if g.broken == nil && err != nil {
		g.broken = err
	}
	if g.broken != nil {
		g.broken = fmt.Errorf("format console report: %w", g.broken)
	}
	if e == nil {
		return ""
	}
	var text strings.Builder
	attempts := takeFlaky(exec, e.Summary.Durations)
	text.WriteString(attempts)
	testjson.PrintSummary(&text, exec, testjson.SummarizeAll)
	text.WriteString(closing(e.Summary))
	return text.String()
}

// scanHandler gets what the scan has understood, in the scan's goroutine.
type scanHandler struct{ g *gotestsum }

func (h scanHandler) Event(e testjson.TestEvent, exec *testjson.Execution) error {
	s := &h.g.scanned
	s.text.Reset()
	if err := s.formatter.Format(e, exec); err != nil {
		return err
	}
	h.g.console.write(s.prefixer.apply(s.text.String(), e, s.cur))
	return nil
}

// Err gets the compiler's lines.
func (h scanHandler) Err(line string) error {
	h.g.console.complain(line + "\n")
	return nil
}
