// Package html writes a run as one HTML file that needs nothing else: what failed and why with the
// line of its source, what differs by platform, the slowest, flaky and not run tests, and a
// timeline of the gateways.
//
// What failed is there without JavaScript. The list of all tests and the timeline are drawn by the
// script in the file (report.js) from data in it, whose texts are there once and else numbers: a
// test takes some 60 bytes.
//
// # Goroutines, limits
//
// None. Of each failure outputKept bytes are kept, of all together outputsKept; bars beyond
// barsKept are left out, and the page says so.
package html

import (
	"bufio"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/xdist-go/xdist/internal/atomicfile"
	"github.com/xdist-go/xdist/reporters/failure"
	"github.com/xdist-go/xdist/reporters/timeline"
	"github.com/xdist-go/xdist/scheduler/event"
)

const (
	outputKept  = 64 << 10 // bytes of one failure
	outputsKept = 8 << 20  // of all
	barsKept    = 200_000
	sourceLines = 3   // before and after the line that failed
	lineShown   = 500 // bytes of each
	// reasonShown is how many tests are named that did not run for one reason.
	reasonShown  = 50
	slowestShown = 10
	// differencesShown is how many tests that differ by platform are in the table.
	differencesShown = 1000
)

//go:embed report.html
var page string

//go:embed report.css
var style string

//go:embed report.js
var script string

// Report collects a run and writes it at the end. Its methods are called from one goroutine.
type Report struct {
	name     string
	file     *atomicfile.File
	failures failure.Shared

	run      event.RunStarted
	timeline timeline.Timeline
	findings []finding
	outputs  int // bytes
	alone    int // packages that failed though none of their tests did
	ended    *event.RunEnded
}

// finding is what failed, for the page.
type finding struct {
	ID, Name, Place, Message, Gateway, Platform, Output string
	Source                                              []sourceLine
}

type sourceLine struct {
	Number int
	Text   string
	Hit    bool
}

// New makes sure that the file can be written, and returns a Report, whose Close writes it. watch
// is what other reporters of the run ask too, and is handed each event before them; nil: nobody
// does.
func New(file string, watch *failure.Watch) (*Report, error) {
	f, err := atomicfile.New(file)
	if err != nil {
		return nil, fmt.Errorf("prepare HTML report %q: %w", file, err)
	}
	return &Report{name: file, file: f, failures: failure.Share(watch), timeline: timeline.Timeline{Limit: barsKept}}, nil
}

// Handle keeps what the page needs. It returns no error.
func (r *Report) Handle(e event.Event) error {
	ended := r.failures.See(e)
	r.timeline.Add(e)
	switch e := e.(type) {
	case event.RunStarted:
		r.run = e
	case event.Test:
		if ended != nil && !ended.Again {
			r.failed(ended)
		}
	case event.RunEnded:
		r.ended = &e
	}
	return nil
}

// failed keeps what did not pass, with its output while there is room.
func (r *Report) failed(e *failure.Ended) {
	clip := failure.NewClip(outputKept)
	clip.Add(failure.Plain(e.Compiler + e.Text()))
	text := strings.ToValidUTF8(clip.String(), "")
	if r.outputs += len(text); r.outputs > outputsKept {
		text = "[left out: there is too much output in this run]\n"
	}
	r.alone += failure.Alone(e.Findings)
	sources := r.failures.Sources()
	for _, f := range e.Findings {
		made := finding{
			ID: e.ID(), Name: sources.Name(f.Package), Place: sources.Place(f.Package, f.Place), Message: f.Place.Message,
			Gateway: f.Gateway, Platform: f.Platform, Output: text, Source: r.around(f),
		}
		if f.Test != "" {
			made.Name += "." + f.Test
		}
		if f.Unbuilt != "" {
			made.Name += " [" + f.Unbuilt + "]"
		}
		r.findings = append(r.findings, made)
	}
}

// around is the source around the line that failed.
func (r *Report) around(f failure.Finding) []sourceLine {
	if f.Path == "" || f.Place.Line == 0 {
		return nil
	}
	lines := r.failures.Sources().Lines(f.Package)
	var found []sourceLine
	for n := f.Place.Line - sourceLines; n <= f.Place.Line+sourceLines; n++ {
		text, ok := lines(f.Place.File, n)
		if r.outputs += min(len(text), lineShown); !ok || r.outputs > outputsKept {
			continue
		}
		if len(text) > lineShown {
			text = strings.ToValidUTF8(text[:lineShown], "") + "…"
		}
		found = append(found, sourceLine{n, strings.ReplaceAll(text, "\t", "    "), n == f.Place.Line})
	}
	return found
}

// Close writes the page, in one step.
func (r *Report) Close() error {
	if r.ended == nil {
		return nil
	}
	if err := r.file.Replace(r.write); err != nil {
		return fmt.Errorf("write HTML report %q: %w", r.name, err)
	}
	return nil
}

// view is what the page is made of.
type view struct {
	Style           any
	Title, Headline string
	Class           string // good, bad, or open
	Facts           []fact
	Findings        []finding
	Flaky, Slowest  []event.ItemSeconds
	Platforms       []string
	Differences     []event.Difference
	NotRun          []event.Reason
	Lost            int
}

type fact struct{ Name, Value string }

func (r *Report) write(w io.Writer) error {
	t, err := template.New("report").Funcs(template.FuncMap{"seconds": seconds, "named": named}).Parse(page)
	if err != nil {
		return err
	}
	s := &r.ended.Summary
	v := view{
		Style: template.CSS(style), // ours
		Title: filepath.Base(r.run.Workdir), Headline: headline(r.ended, r.alone), Class: classes[r.ended.Outcome()],
		Findings: r.findings, Lost: r.timeline.Lost,
	}
	v.Facts = []fact{
		{"command", "xdist " + strings.Join(r.run.Command, " ")}, {"gateways", strings.Join(r.run.Specs, " ")},
		{"begun", r.run.Time.Format(time.RFC1123)}, {"on", r.run.Hostname}, {"run", r.run.RunID},
	}
	for _, it := range s.Durations {
		if it.Verdict == event.Flaky {
			v.Flaky = append(v.Flaky, it)
		}
	}
	v.Slowest = s.Slowest(slowestShown, 10*time.Millisecond)
	v.Platforms, v.Differences = s.Platforms(), s.Differences()
	v.Differences = v.Differences[:min(len(v.Differences), differencesShown)]
	v.NotRun = s.Reasons()
	out := bufio.NewWriterSize(w, 64<<10)
	if err := t.Execute(out, v); err != nil {
		return err
	}
	// The script is ours, and the data escape what would end it. Through the template they would be
	// in memory several times.
	out.WriteString("<script>const report = ")
	newTable(r, out).write()
	out.WriteString(";\n" + script + "</script>\n</body>\n</html>\n")
	return out.Flush() // has the first error
}

// named are the ids of a reason that are shown; the last one may say how many there are more.
func named(r event.Reason) []string {
	if more := len(r.IDs) - reasonShown; more > 0 {
		return append(slices.Clone(r.IDs[:reasonShown]), fmt.Sprintf("… and %d more", more))
	}
	return r.IDs
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

// classes are how the page tells at a glance what became of the run.
var classes = map[event.Outcome]string{event.Passed: "good", event.NotDone: "open", event.Failed: "bad"}

// headline is the run in a line.
func headline(e *event.RunEnded, alone int) string {
	s := &e.Summary
	text := fmt.Sprintf("%s: %s in %s", e.Outcome(), s.Sums(alone), e.Elapsed.Round(10*time.Millisecond))
	switch {
	case s.Interrupted:
		text += "; interrupted"
	case s.Stopped != "":
		text += "; " + s.Stopped
	case s.NothingRan != "":
		text += "; " + s.NothingRan
	}
	return text
}

var _ event.Reporter = (*Report)(nil)
