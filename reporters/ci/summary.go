package ci

import (
	"cmp"
	"fmt"
	"html"
	"strings"
	"time"

	"github.com/xdist-go/xdist/reporters/failure"
	"github.com/xdist-go/xdist/scheduler/event"
)

const (
	// maxSummary is the most bytes of a summary: GitHub refuses one of more than 1 MiB.
	maxSummary = 1<<20 - 4096
	// textShown is how much of the output of a failure is in it.
	textShown    = 4 << 10
	slowestShown = 10
)

// summary is a run as Markdown, which is what GitHub, Azure and Buildkite show on the page of a
// job.
type summary struct {
	failures []failureText
	more     int // failures that are not among them
	alone    int // packages that failed though none of their tests did
}

type failureText struct {
	note note
	text string
}

// failuresKept is how many failures a summary has.
const failuresKept = 1000

func (s *summary) add(e *failure.Ended, root string) {
	s.alone += failure.Alone(e.Findings)
	shown := failure.Plain(e.Compiler + e.Text())
	if len(shown) > textShown {
		shown = strings.ToValidUTF8(shown[:textShown], "") + "\n… the rest is in the log"
	}
	for _, f := range e.Findings {
		if len(s.failures) == failuresKept {
			s.more++
			continue
		}
		s.failures = append(s.failures, failureText{noteOf(f, root), shown})
	}
}

// markdown is the whole text, cut where it would be too long.
func (s *summary) markdown(e *event.RunEnded) string {
	b := &bounded{limit: maxSummary}
	o := e.Outcome()
	b.printf("### %s %s: %s in %s\n\n", marks[o], o, e.Summary.Sums(s.alone), e.Elapsed.Round(100*time.Millisecond))
	s.failed(b)
	flaky(b, e.Summary.Durations)
	platforms(b, &e.Summary)
	notRun(b, &e.Summary)
	slowest(b, &e.Summary)
	return b.String()
}

var marks = map[event.Outcome]string{event.Passed: "✅", event.NotDone: "⚠️", event.Failed: "❌"}

func (s *summary) failed(b *bounded) {
	if len(s.failures) == 0 {
		return
	}
	b.printf("| failed | where | why |\n|---|---|---|\n")
	told := 0
	for _, f := range s.failures {
		where := ""
		if f.note.file != "" {
			where = code(fmt.Sprintf("%s:%d", f.note.file, f.note.line))
		}
		if !b.whole("| %s | %s | %s |\n", code(f.note.title), where, escaped(f.note.message)) {
			break
		}
		told++
	}
	if more := len(s.failures) - told + s.more; more > 0 {
		b.printf("\n… and %d more\n", more)
	}
	b.printf("\n")
	for _, f := range s.failures[:told] {
		if !b.whole("<details><summary>%s</summary>\n\n<pre>%s</pre>\n</details>\n", code(f.note.title), html.EscapeString(strings.TrimRight(f.text, "\n"))) {
			break
		}
	}
	b.printf("\n")
}

func flaky(b *bounded, items []event.ItemSeconds) {
	head := "#### Flaky\n\n"
	for _, it := range items {
		if it.Verdict == event.Flaky {
			b.whole("%s- %s failed in %d of %d attempts\n", head, code(it.ID), it.Failures, it.Failures+1)
			head = ""
		}
	}
	if head == "" {
		b.printf("\n")
	}
}

// platforms is a table of the tests that do not fare alike on all platforms.
func platforms(b *bounded, s *event.Summary) {
	names := s.Platforms()
	head := "#### Platforms\n\n| test | " + strings.Join(names, " | ") + " |\n|---" + strings.Repeat("|---", len(names)) + "|\n"
	for _, d := range s.Differences() {
		row := "| " + code(d.Test)
		for _, p := range names {
			row += " | " + cmp.Or(string(d.Verdicts[p]), "–")
		}
		if !b.whole("%s%s |\n", head, row) {
			break
		}
		head = ""
	}
	if head == "" {
		b.printf("\n")
	}
}

func notRun(b *bounded, s *event.Summary) {
	if len(s.NotRun) == 0 {
		return
	}
	b.printf("#### Not run\n\n")
	for _, r := range s.Reasons() {
		b.whole("- %d: %s\n", len(r.IDs), escaped(r.Text))
	}
	b.printf("\n")
}

func slowest(b *bounded, s *event.Summary) {
	items := s.Slowest(slowestShown, time.Second)
	if len(items) == 0 {
		return
	}
	b.printf("<details><summary>Slowest</summary>\n\n| took | test | gateway |\n|---|---|---|\n")
	for _, it := range items {
		b.whole("| %.1f s | %s | %s |\n", it.Elapsed.Seconds(), code(it.ID), escaped(it.Gateway))
	}
	b.printf("\n</details>\n")
}

// code is a name in Markdown, whatever it holds.
func code(text string) string { return "<code>" + escaped(text) + "</code>" }

// escaped is text of one line that means nothing in Markdown's tables and in HTML.
func escaped(text string) string {
	text = html.EscapeString(strings.Join(strings.Fields(failure.Plain(text)), " "))
	return strings.NewReplacer("|", "&#124;", "`", "&#96;", "*", "&#42;", "_", "&#95;", "[", "&#91;", "~", "&#126;").Replace(text)
}

// bounded is a text of at most limit bytes.
type bounded struct {
	strings.Builder
	limit int
}

// whole adds a text that has room, and reports whether it had.
func (b *bounded) whole(format string, args ...any) bool {
	text := fmt.Sprintf(format, args...)
	if b.Len()+len(text) > b.limit {
		return false
	}
	b.WriteString(text)
	return true
}

// printf adds a text that is small: limit leaves room for those.
func (b *bounded) printf(format string, args ...any) { fmt.Fprintf(b, format, args...) }
