package html

import (
	"bufio"
	"fmt"
	"html/template"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/reporters/failure"
	"github.com/xdist-go/xdist/reporters/timeline"
	"github.com/xdist-go/xdist/scheduler/event"
)

// tellMost is how many tests, and how many bars, one News has at most.
const tellMost = 5000

// Live is the page of a run that goes on, to which its script adds what is new: package ui serves
// both. When the run has ended the page is that of a Report. Its methods may be called
// concurrently.
type Live struct {
	now func() time.Time

	mu      sync.Mutex // guards what follows
	run     *run
	settled []event.ItemSeconds // tests as they got their verdicts; a later one of the same test counts
	done    event.Test          // the last one
	failed  int
	running map[string]running // by gateway
}

// running is the test that a gateway began last, and has not ended.
type running struct {
	test string
	from time.Duration // since the run began
}

// NewLive returns the page of a run that has not begun. now is time.Now; watch and past are as for
// New.
func NewLive(now func() time.Time, watch *failure.Watch, past Past) *Live {
	return &Live{now: now, run: newRun(watch, past), running: map[string]running{}}
}

// See takes the next event of the run.
func (l *Live) See(e event.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.run.see(e)
	switch e := e.(type) {
	case event.Progress:
		l.progress(e)
	case event.UnitEnded:
		delete(l.running, e.Gateway)
	case event.GatewayDown:
		delete(l.running, e.Gateway)
	case event.Test:
		if e.Test != "" && e.Terminal() && !e.Again && !strings.Contains(e.Test, "/") {
			l.settle(e)
		}
	}
}

func (l *Live) progress(e event.Progress) {
	if strings.Contains(e.Test, "/") {
		return
	}
	switch now := l.running[e.Gateway]; {
	case e.Action == test2json.ActionRun:
		l.running[e.Gateway] = running{e.Package + "::" + e.Test, max(0, e.Time.Sub(l.run.started.Time))}
	case now.test == e.Package+"::"+e.Test && e.Action != test2json.ActionPause && e.Action != test2json.ActionCont:
		delete(l.running, e.Gateway)
	}
}

func (l *Live) settle(e event.Test) {
	it := event.ItemSeconds{ID: e.Package + "::" + e.Test, Gateway: e.Gateway, Platform: e.Platform, Verdict: event.Verdict(e.Action)}
	if e.Elapsed != nil {
		it.Elapsed = time.Duration(*e.Elapsed * float64(time.Second))
	}
	if it.Verdict == event.Fail {
		l.failed++
	}
	l.settled, l.done = append(l.settled, it), e
}

// Over reports whether the run has ended.
func (l *Live) Over() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.run.ended != nil
}

// WritePage writes the page: of a run that goes on what its script fills, else the report.
func (l *Live) WritePage(w io.Writer) error {
	if l.Over() { // nothing changes it any more
		return l.run.write(w)
	}
	l.mu.Lock()
	v := view{
		Style: template.CSS(style), Title: filepath.Base(l.run.started.Workdir), Headline: l.headline(), Class: classes[event.NotDone],
		Facts: l.run.facts(), Live: true,
	}
	l.mu.Unlock()
	return writePage(w, v, func(out *bufio.Writer) {
		out.WriteString(`{"live":true,"tests":[],"bars":[],"steps":[],"past":[],"gateways":[],"packages":[],"platforms":[],"length":0}`)
	})
}

// headline is how far the run is.
func (l *Live) headline() string {
	if l.run.ended != nil {
		return headline(l.run.ended, l.run.alone)
	}
	text := fmt.Sprintf("running: %d of %d tests", l.done.Done, l.done.Total)
	if l.failed > 0 {
		text += fmt.Sprintf(", %d failed", l.failed)
	}
	return text
}

// News is a message to the script of a page. Tests are package, name, verdict, gateway,
// milliseconds and platform; bars gateway, package, name, start, length, outcome and attempt;
// steps, but for what is sent, lane, host, text, start, length and kind; what runs gateway, test
// and start.
type News struct {
	Headline string      `json:"headline"`
	Length   int64       `json:"length"`
	Gateways [][2]string `json:"gateways"` // all, with their hosts
	Tests    [][]any     `json:"tests,omitempty"`
	Bars     [][]any     `json:"bars,omitempty"`
	Steps    [][]any     `json:"steps,omitempty"`
	Running  [][]any     `json:"running,omitempty"`
	Failures string      `json:"failures,omitempty"` // HTML
	Ended    bool        `json:"ended,omitempty"`    // the page is to be asked for again
}

// Seen is how much of a run a page has. The zero value is nothing.
type Seen struct{ Tests, Bars, Steps, Findings int }

const seenForm = "%d-%d-%d-%d"

// String is a text that ParseSeen reads.
func (s Seen) String() string {
	return fmt.Sprintf(seenForm, s.Tests, s.Bars, s.Steps, s.Findings)
}

// ParseSeen reads what String wrote; all else is nothing.
func ParseSeen(text string) (s Seen) {
	if n, err := fmt.Sscanf(text, seenForm, &s.Tests, &s.Bars, &s.Steps, &s.Findings); n < 4 || err != nil {
		return Seen{}
	}
	return s
}

// Since is what is new to a page, which has that then, and whether there is more than one News
// has.
func (l *Live) Since(at *Seen) (n News, more bool) {
	l.mu.Lock()
	n.Headline = l.headline()
	if l.run.ended != nil {
		n.Length = l.run.ended.Elapsed.Milliseconds()
	} else if !l.run.started.Time.IsZero() {
		n.Length = l.now().Sub(l.run.started.Time).Milliseconds()
	}
	gateways := slices.Clone(l.run.timeline.Gateways)
	settled, bars, findings := part(l.settled, &at.Tests), part(l.run.timeline.Bars, &at.Bars), part(l.run.findings, &at.Findings)
	for _, s := range part(l.run.timeline.Steps, &at.Steps) {
		if s.Kind != timeline.Send { // it grows
			where := laneOf(s)
			n.Steps = append(n.Steps, []any{where.name, where.host, stepText(s), s.From.Milliseconds(), (s.To - s.From).Milliseconds(), int(s.Kind)})
		}
	}
	more = at.Tests < len(l.settled) || at.Bars < len(l.run.timeline.Bars) || at.Steps < len(l.run.timeline.Steps) || at.Findings < len(l.run.findings)
	for gateway, now := range l.running {
		n.Running = append(n.Running, []any{gateway, now.test, now.from.Milliseconds()})
	}
	l.mu.Unlock()
	for _, g := range gateways {
		n.Gateways = append(n.Gateways, [2]string{g.ID, g.Host})
	}
	for _, it := range settled {
		k := keyOf(it.ID)
		n.Tests = append(n.Tests, []any{k.pkg, k.name, slices.Index(verdictCodes, it.Verdict), it.Gateway, it.Elapsed.Milliseconds(), it.Platform})
	}
	for _, b := range bars {
		if b.Outcome != timeline.Process {
			n.Bars = append(n.Bars, []any{gateways[b.Gateway].ID, b.Package, b.Test, b.From.Milliseconds(), (b.To - b.From).Milliseconds(), int(b.Outcome - timeline.Passed), b.Attempt})
		}
	}
	var b strings.Builder
	for _, f := range findings {
		if err := parts.ExecuteTemplate(&b, "finding", f); err != nil {
			panic("BUG: show a failure: " + err.Error())
		}
	}
	n.Failures = b.String()
	return n, more
}

// part is the next part of a list that only grows, from *at on.
func part[T any](list []T, at *int) []T {
	from := min(max(*at, 0), len(list))
	*at = min(len(list), from+tellMost)
	return list[from:*at]
}
