package html

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/history"
	"github.com/xdist-go/xdist/internal/atomicfile"
)

//go:embed history.html
var historyPage string

var historyParts = template.Must(template.New("history").Funcs(template.FuncMap{"seconds": seconds, "date": date, "short": shortID}).Parse(historyPage))

// History is what the runs of a module have seen, for a page.
type History struct {
	Module                 string
	Runs                   []history.RunSummary  // newest first
	Flaky, Slower, Slowest []history.TestSummary // in the order in which they are shown
	Several                bool                  // there are several platforms: each test has its own in its name
}

// WriteHistory writes a page of its own, which needs nothing else, in one step: how long runs took,
// flaky tests by date, newly slow tests with the run that began it, and the slowest.
func WriteHistory(file string, h History) error {
	f, err := atomicfile.New(file)
	if err == nil {
		err = f.Replace(h.write)
	}
	if err != nil {
		return fmt.Errorf("write HTML page %q: %w", file, err)
	}
	return nil
}

// column is one of a row of them, as high as something took.
type column struct {
	Class   string
	Percent int // of the highest
	Text    string
}

// testRow is a test on the page.
type testRow struct {
	history.TestSummary
	ID          string
	Trend       []column
	Told        string    // that in words
	LastFailure time.Time // zero is none
	Began       string    // the run that made it slow, where it is known
}

func (h History) write(w io.Writer) error {
	v := struct {
		Style                   any
		Module, Headline, Class string
		Runs                    []history.RunSummary
		Trend                   []column
		Flaky, Slower, Slowest  []testRow
	}{
		Style: template.CSS(style), Module: h.Module, Class: "good", Runs: h.Runs,
		Headline: fmt.Sprintf("%d runs, %d flaky tests, %d newly slow", len(h.Runs), len(h.Flaky), len(h.Slower)),
		Flaky:    h.rows(h.Flaky), Slower: h.rows(h.Slower), Slowest: h.rows(h.Slowest),
	}
	if len(h.Flaky)+len(h.Slower) > 0 {
		v.Class = "open"
	}
	if len(h.Runs) > 0 && h.Runs[0].Failed > 0 {
		v.Class = "bad"
	}
	for _, r := range slices.Backward(h.Runs) {
		class := "pass"
		if r.Failed > 0 {
			class = "fail"
		}
		v.Trend = append(v.Trend, column{class, percent(r.Elapsed, longest(h.Runs)), fmt.Sprintf("%s: %s, %d of %d tests failed", date(r.Time), seconds(r.Elapsed), r.Failed, r.Tests)})
	}
	return historyParts.Execute(w, v)
}

func (h History) rows(tests []history.TestSummary) []testRow {
	var rows []testRow
	for _, t := range tests {
		row := testRow{TestSummary: t, ID: gotest.ID(t.Package, t.Test)}
		if h.Several && t.Platform != "" {
			row.ID += " [" + t.Platform + "]"
		}
		most := time.Duration(1)
		for _, s := range t.Seen {
			most = max(most, s.Elapsed)
			if row.LastFailure.IsZero() && s.Verdict != history.Pass && s.Verdict != history.Skip {
				row.LastFailure = s.Time
			}
		}
		var told []string
		for _, s := range slices.Backward(t.Seen) {
			c := column{string(s.Verdict), percent(s.Elapsed, most), fmt.Sprintf("%s: %s after %s", date(s.Time), s.Verdict, seconds(s.Elapsed))}
			row.Trend, told = append(row.Trend, c), append(told, c.Text)
		}
		row.Told = strings.Join(told, "; ")
		for _, r := range h.Runs {
			if !t.Since.IsZero() && r.Time.Unix() == t.Since.Unix() {
				row.Began = shortID(r.ID)
			}
		}
		rows = append(rows, row)
	}
	return rows
}

func longest(runs []history.RunSummary) time.Duration {
	most := time.Duration(1)
	for _, r := range runs {
		most = max(most, r.Elapsed)
	}
	return most
}

func percent(d, of time.Duration) int { return int(100 * d / of) }

func date(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.Local().Format(time.DateTime)
}

// shortID is an id as xdist history runs has it.
func shortID(id string) string { return id[:min(len(id), 8)] }
