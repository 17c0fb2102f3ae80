package reporters

import (
	"fmt"
	"strings"

	"github.com/bitfield/gotestdox"
	"gotest.tools/gotestsum/testjson"

	"github.com/xdist-go/xdist/scheduler/event"
)

// prefixer puts the gateway and the share of items that are done before the line that tells of a
// test's outcome: `[gw1] [ 12%] PASS pkg.TestX (0.00s)`. Formats that have no such line are left as
// they are.
type prefixer struct {
	format Format
	dox    map[string][]doxLine // testdox writes at the end of a package; by package
}

type doxLine struct{ text, prefix string }

// apply returns what the formatter made of e with the prefixes in it. cur is the event as the run
// had it, the zero value for an event that testjson made up.
func (p *prefixer) apply(text string, e testjson.TestEvent, cur event.Test) string {
	ended := e.Test != "" && e.Action.IsTerminal()
	switch {
	case p.format == FormatTestdox:
		return p.testdox(text, e, cur)
	case text == "" || cur.Gateway == "":
		return text
	case p.format == FormatTestname && ended:
		return insert(text, strings.LastIndexByte(text[:len(text)-1], '\n')+1, prefix(cur, cur.Done))
	case p.format == FormatGitHubActions && ended:
		return insert(text, len(leading(text, "::group::", "  ")), prefix(cur, cur.Done))
	case p.format == FormatStandardVerbose && isResultLine(e):
		return prefix(cur, doneAfter(cur)) + text
	}
	return text
}

// testdox keeps the prefixes of the tests until the formatter writes their lines.
func (p *prefixer) testdox(text string, e testjson.TestEvent, cur event.Test) string {
	switch {
	case !e.Action.IsTerminal():
		return text
	case e.Test != "":
		if p.dox == nil {
			p.dox = map[string][]doxLine{}
		}
		line := doxLine{prefix: prefix(cur, cur.Done)}
		line.text = fmt.Sprintf("%s (%.2fs)\n", gotestdox.Prettify(e.Test), e.Elapsed)
		p.dox[e.Package] = append(p.dox[e.Package], line)
		return text
	}
	prefixes := map[string][]string{}
	for _, l := range p.dox[e.Package] {
		prefixes[l.text] = append(prefixes[l.text], l.prefix)
	}
	delete(p.dox, e.Package)
	var b strings.Builder
	for line := range strings.Lines(text) {
		if _, sentence, ok := strings.Cut(strings.TrimPrefix(line, " "), " "); ok && line[0] == ' ' {
			if found := prefixes[sentence]; len(found) > 0 {
				prefixes[sentence] = found[1:]
				b.WriteString(found[0])
			}
		}
		b.WriteString(line)
	}
	return b.String()
}

// prefix is "" for an event of no gateway, and has no percentage while nothing is known of the
// items.
func prefix(t event.Test, done int) string {
	switch {
	case t.Gateway == "":
		return ""
	case t.Total <= 0:
		return "[" + t.Gateway + "] "
	}
	return fmt.Sprintf("[%s] [%3d%%] ", t.Gateway, min(done, t.Total)*100/t.Total)
}

// doneAfter is Done once the test whose result line this is has ended: its terminal event comes
// after the line.
func doneAfter(t event.Test) int {
	if strings.Contains(t.Test, "/") {
		return t.Done
	}
	return t.Done + 1
}

func isResultLine(e testjson.TestEvent) bool {
	if e.Test == "" || e.Action != testjson.ActionOutput {
		return false
	}
	line := strings.TrimLeft(e.Output, " ")
	for _, verdict := range []string{"PASS", "FAIL", "SKIP"} {
		if strings.HasPrefix(line, "--- "+verdict+": "+e.Test+" ") {
			return true
		}
	}
	return false
}

func insert(text string, at int, s string) string { return text[:at] + s + text[at:] }

// leading returns the first of prefixes that text has, or "".
func leading(text string, prefixes ...string) string {
	for _, p := range prefixes {
		if strings.HasPrefix(text, p) {
			return p
		}
	}
	return ""
}
