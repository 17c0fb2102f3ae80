package history

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"
)

// Timings are observations from elsewhere: of ReadTimings, for Book.Add.
type Timings struct {
	packages map[place]*packageRecord
	tests    int
}

const (
	// maxTimingsLine is the longest line that is read, in bytes; longer ones, which are output of
	// tests, are passed over.
	maxTimingsLine = 64 << 10
	// maxTimings bounds the tests, subtests included, in one file.
	maxTimings = 1_000_000
	// maxName bounds a package's path and a test's, in bytes. What is longer is passed over.
	maxName = 4096
	// maxSeconds is the longest duration that is believed: a month.
	maxSeconds = 30 * 24 * 3600
)

// Tests is how many tests, subtests included, there is something of.
func (t *Timings) Tests() int { return t.tests }

// timingsLine is a line of either kind of file: of Export's, or an event of go test -json.
type timingsLine struct {
	exported
	Time    time.Time
	Action  string
	Package string // has the exported line's package too: encoding/json does not tell them apart by case
	Test    string
	Elapsed *float64
}

// exported is a line of Export.
type exported struct {
	Format      string     `json:"format,omitempty"`
	Version     int        `json:"version,omitempty"`
	Module      string     `json:"module,omitempty"`
	Platform    string     `json:"platform,omitempty"`
	Process     []float64  `json:"process,omitempty"`
	Serial      bool       `json:"serial,omitempty"`
	Seconds     []float64  `json:"seconds,omitempty"`
	Failed      []float64  `json:"failed,omitempty"`
	Runs        int        `json:"runs,omitempty"`
	Last        *time.Time `json:"last,omitempty"`
	Indivisible bool       `json:"indivisible,omitempty"`
	Until       string     `json:"until,omitempty"`
}

// ReadTimings reads what Export has written, or a log of go test -json, which may be cut off or
// have other lines in between. The error is the reader's, or says that there is neither in it or
// too much.
func ReadTimings(r io.Reader) (*Timings, error) {
	in := bufio.NewReaderSize(r, maxTimingsLine)
	l := timingsReader{t: &Timings{packages: make(map[place]*packageRecord)}}
	for {
		line, err := in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			for errors.Is(err, bufio.ErrBufferFull) {
				_, err = in.ReadSlice('\n')
			}
			line = nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("read timings: %w", err)
		}
		if lineErr := l.line(line); lineErr != nil {
			return nil, fmt.Errorf("read timings: %w", lineErr)
		}
		if err != nil {
			break
		}
	}
	if !l.recognized {
		return nil, errors.New("read timings: there are neither timings of xdist nor events of go test -json in it")
	}
	return l.t, nil
}

type timingsReader struct {
	t          *Timings
	clock      Clock
	recognized bool
}

func (l *timingsReader) line(line []byte) error {
	line = bytes.TrimSpace(line)
	if len(line) == 0 || line[0] != '{' {
		return nil
	}
	if bytes.Contains(line, []byte(`"Action":"output"`)) {
		return nil // most of a log
	}
	var e timingsLine
	if json.Unmarshal(line, &e) != nil {
		return nil
	}
	switch {
	case e.Format != "":
		if e.Format != exportFormat || e.Version != exportVersion {
			return fmt.Errorf("they are of format %q, version %d; want %q, version %d", e.Format, e.Version, exportFormat, exportVersion)
		}
		l.recognized = true
		return nil
	case e.Action == "shard" && e.Package == "": // the end of a shard's log, which may have nothing else
		l.recognized = true
		return nil
	case len(e.Package) > maxName || len(e.Test) > maxName || len(e.Platform) > maxName || e.Package == "":
		return nil
	case e.Action == "":
		return l.exported(e)
	}
	l.recognized = true
	return l.event(e)
}

// exported takes a line of Export.
func (l *timingsReader) exported(e timingsLine) error {
	at := place{e.Package, e.Platform}
	if e.Test == "" {
		p := l.pkg(at)
		for _, s := range clipped(e.Process) {
			p.Process = append(p.Process, micros(s))
		}
		p.Serial = e.Serial
		if e.Serial {
			p.SerialUntil = e.Until
		}
		return nil
	}
	r, err := l.test(at, e.Test)
	if r == nil || err != nil {
		return err
	}
	var last int64
	if e.Last != nil {
		last = e.Last.Unix()
	}
	for _, s := range clipped(e.Seconds) {
		r.Recent = append(r.Recent, observation{At: last, Micros: micros(s), Verdict: sawPass})
	}
	for _, s := range clipped(e.Failed) {
		r.Recent = append(r.Recent, observation{At: last, Micros: micros(s), Verdict: sawFail})
	}
	r.Recent = r.Recent[:min(len(r.Recent), keptObservations)]
	r.Runs = max(r.Runs, min(max(e.Runs, len(r.Recent)), math.MaxInt32))
	r.Indivisible, r.Until = e.Indivisible, e.Until
	return nil
}

func clipped(seconds []float64) []float64 { return seconds[:min(len(seconds), keptObservations)] }

// event takes an event of a log.
func (l *timingsReader) event(e timingsLine) error {
	if e.Test == "" {
		return nil
	}
	took, ended := l.clock.Event(e.Package, e.Test, e.Action, e.Time, e.Elapsed)
	if !ended {
		return nil
	}
	pkg, _, platform := SplitShown(e.Package)
	r, err := l.test(place{pkg, platform}, e.Test)
	if r == nil || err != nil {
		return err
	}
	verdict := map[string]uint8{"pass": sawPass, "fail": sawFail, "skip": sawSkip}[e.Action]
	r.add(observation{At: max(0, e.Time.Unix()), Micros: took.Microseconds(), Verdict: verdict})
	r.Runs = len(r.Recent)
	return nil
}

func (l *timingsReader) pkg(at place) *packageRecord {
	l.recognized = true
	p := l.t.packages[at]
	if p == nil {
		p = &packageRecord{}
		l.t.packages[at] = p
	}
	return p
}

// test returns the record of a test, or nil when its package has too many.
func (l *timingsReader) test(at place, test string) (*testRecord, error) {
	p := l.pkg(at)
	before := len(p.Tests)
	r := p.test(test)
	if l.t.tests += len(p.Tests) - before; l.t.tests > maxTimings {
		return nil, fmt.Errorf("there are more than %d tests in it", maxTimings)
	}
	return r, nil
}

// SplitShown takes apart the name that a package has in the events of a run: "p", "p [gw1]", "p
// [linux/arm64]" or "p [gw1 linux/arm64]".
func SplitShown(shown string) (pkg, gateway, platform string) {
	pkg, rest, ok := strings.Cut(shown, " [")
	if !ok {
		return shown, "", ""
	}
	for word := range strings.FieldsSeq(strings.TrimSuffix(rest, "]")) {
		if strings.Contains(word, "/") {
			platform = word
		} else {
			gateway = word
		}
	}
	return pkg, gateway, platform
}

// Add takes timings into memory. They count as what has been seen at their time; what there is
// already stays.
func (b *Book) Add(t *Timings) {
	if b == nil || t == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for at, p := range t.packages {
		b.made(at).merge(p)
	}
}

// merge adds what another record of the same package knows.
func (p *packageRecord) merge(other *packageRecord) {
	p.LastSeen = max(p.LastSeen, other.LastSeen)
	if len(p.Process) == 0 {
		p.Process = append(p.Process, other.Process...)
	}
	if other.Serial && !p.Serial {
		p.Serial, p.SerialUntil = true, other.SerialUntil
	}
	for path, from := range other.Tests {
		r := p.test(path)
		if r == nil {
			continue
		}
		for i := range from.Recent {
			r.add(from.Recent[len(from.Recent)-1-i]) // so that of equal times the newest is first
		}
		r.Runs = max(r.Runs, from.Runs)
		if from.Indivisible && !r.Indivisible {
			r.Indivisible, r.Until = true, from.Until
		}
	}
}
