package history

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"time"
)

// What the first line of an export says.
const (
	exportFormat  = "xdist timings"
	exportVersion = 1
)

// Export writes what is known of the tests and packages as lines of JSON, to be read by
// ReadTimings. The first one has the format, version and module. For each package and platform, in
// order, comes a line with the cost of a process and whether it is serial, and one for each test
// and subtest, in order, with the last durations in seconds, newest first, the number of runs, and
// the day it was seen last. Hosts and runs stay out, as they mean nothing elsewhere.
//
//	{"format":"xdist timings","version":1,"module":"example.com/m"}
//	{"package":"example.com/m/p","platform":"linux/amd64","process":[0.0041]}
//	{"package":"example.com/m/p","test":"TestX","platform":"linux/amd64","seconds":[1.2134,1.1998],"runs":2,"last":"2026-03-01T00:00:00Z"}
func (b *Book) Export(w io.Writer) error {
	out := bufio.NewWriter(w)
	lines := json.NewEncoder(out)
	lines.SetEscapeHTML(false)
	head := exportLine{exported: exported{Format: exportFormat, Version: exportVersion}}
	if b != nil {
		head.Module = b.module
	}
	err := lines.Encode(head)
	if b != nil && err == nil {
		err = b.exportTo(lines)
	}
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		return fmt.Errorf("write timings: %w", err)
	}
	return nil
}

// exportLine puts the names that both kinds of file have before the rest.
type exportLine struct {
	Package string `json:"package,omitempty"`
	Test    string `json:"test,omitempty"`
	exported
}

func (b *Book) exportTo(lines *json.Encoder) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, at := range b.places() {
		p := b.record(at)
		line := exportLine{Package: at.pkg, exported: exported{Platform: at.platform, Serial: p.Serial, Until: p.SerialUntil}}
		for _, m := range p.Process {
			line.Process = append(line.Process, rounded(m))
		}
		if err := lines.Encode(line); err != nil {
			return err
		}
		for _, path := range slices.Sorted(maps.Keys(p.Tests)) {
			if err := lines.Encode(p.Tests[path].line(at, path)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *testRecord) line(at place, path string) exportLine {
	line := exportLine{Package: at.pkg, Test: path, exported: exported{
		Platform: at.platform, Runs: r.Runs, Indivisible: r.Indivisible, Until: r.Until,
	}}
	if last := r.lastSeen(); last > 0 {
		day := time.Unix(last, 0).UTC().Truncate(24 * time.Hour)
		line.Last = &day
	}
	for _, o := range r.Recent {
		switch o.Verdict {
		case sawPass, sawSkip, sawFlaky:
			line.Seconds = append(line.Seconds, rounded(o.Micros))
		case sawFail:
			line.Failed = append(line.Failed, rounded(o.Micros))
		}
	}
	return line
}

// rounded are microseconds in seconds with four digits behind the point: what is finer is noise,
// and differs in every export.
func rounded(micros int64) float64 { return math.Round(float64(micros)/100) / 1e4 }
