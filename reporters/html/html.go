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

	"github.com/xdist-go/xdist/history"
	"github.com/xdist-go/xdist/internal/atomicfile"
	"github.com/xdist-go/xdist/reporters/failure"
	"github.com/xdist-go/xdist/scheduler/event"
)

const (
	outputKept  = 64 << 10 // bytes of one failure
	outputsKept = 8 << 20  // of all
	barsKept    = 200_000
	// pastKept is for how many tests the page has what earlier runs saw of them. Where there are
	// more, it has that of those that did not pass.
	pastKept    = 20_000
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

// parts are the page, and what it is made of.
var parts = template.Must(template.New("report").Funcs(template.FuncMap{"seconds": seconds, "named": named, "legend": legend}).Parse(page))

// Report collects a run and writes it at the end. Its methods are called from one goroutine.
type Report struct {
	*run
	name string
	file *atomicfile.File
}

// Past is what earlier runs saw of a test on a platform, newest first; nil knows nothing.
type Past func(platform, pkg, test string) []history.Sight

// New makes sure that the file can be written, and returns a Report, whose Close writes it. watch
// is what other reporters of the run ask too, and is handed each event before them; nil: nobody
// does.
func New(file string, watch *failure.Watch, past Past) (*Report, error) {
	f, err := atomicfile.New(file)
	if err != nil {
		return nil, fmt.Errorf("prepare HTML report %q: %w", file, err)
	}
	return &Report{newRun(watch, past), file, f}, nil
}

// Handle keeps what the page needs. It returns no error.
func (r *Report) Handle(e event.Event) error {
	r.see(e)
	return nil
}

// Close writes the page, in one step.
func (r *Report) Close() error {
	if r.ended == nil {
		return nil
	}
	if err := r.file.Replace(r.run.write); err != nil {
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
	Live            bool // the run goes on, and the script asks for more
}

type fact struct{ Name, Value string }

// sign is a line of the legend of the timeline.
type sign struct{ Class, Text string }

func legend() []sign {
	return []sign{
		{"b0", "passed"}, {"b1", "failed"}, {"b2", "skipped"}, {"b3", "ended by its process"}, {"b0 again", "run again"}, {"b0 critical", "bounds the run"},
		{"s0", "connect"}, {"s1", "collect and build"}, {"s3", "send"},
	}
}

// write writes the page of a run that has ended.
func (r *run) write(w io.Writer) error {
	s := &r.ended.Summary
	v := view{
		Style: template.CSS(style), // ours
		Title: filepath.Base(r.started.Workdir), Headline: headline(r.ended, r.alone), Class: classes[r.ended.Outcome()],
		Findings: r.findings, Lost: r.timeline.Lost,
	}
	v.Facts = r.facts()
	for _, it := range s.Durations {
		if it.Verdict == event.Flaky {
			v.Flaky = append(v.Flaky, it)
		}
	}
	v.Slowest = s.Slowest(slowestShown, 10*time.Millisecond)
	v.Platforms, v.Differences = s.Platforms(), s.Differences()
	v.Differences = v.Differences[:min(len(v.Differences), differencesShown)]
	v.NotRun = s.Reasons()
	return writePage(w, v, func(out *bufio.Writer) { newTable(r, out).write() })
}

// facts are what is known of the run from its beginning.
func (r *run) facts() []fact {
	return []fact{
		{"command", "xdist " + strings.Join(r.started.Command, " ")}, {"gateways", strings.Join(r.started.Specs, " ")},
		{"begun", r.started.Time.Format(time.RFC1123)}, {"on", r.started.Hostname}, {"run", r.started.RunID},
	}
}

// writePage writes a page and the data that its script draws.
func writePage(w io.Writer, v view, data func(*bufio.Writer)) error {
	out := bufio.NewWriterSize(w, 64<<10)
	if err := parts.Execute(out, v); err != nil {
		return err
	}
	// The script is ours, and the data escape what would end it. Through the template they would be
	// in memory several times.
	out.WriteString("<script>const report = ")
	data(out)
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
