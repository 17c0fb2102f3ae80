package reporters

import (
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/xdist-go/xdist/internal/atomicfile"
	"github.com/xdist-go/xdist/reporters/failure"
	"github.com/xdist-go/xdist/scheduler/event"
)

// EventsVersion is the version of the stream that Events writes. Fields and kinds of events are
// only added within one.
const EventsVersion = 1

// Events writes a run as lines of JSON: docs/events.md says what they are, docs/events.schema.json
// is their schema. Each event is one write, as in JSON, and a regular file has it a moment later.
type Events struct {
	out     io.Writer
	file    io.Closer // nil when the writer is the caller's
	name    string    // for errors
	enc     *json.Encoder
	line    []byte // for the next line
	sources failure.Sources
	err     error // the first failure; nothing is written after it
}

// OpenEvents opens what a user calls a place for events: a file, "-" for out, or fd:N for a
// descriptor that the process was given.
func OpenEvents(place string, out io.Writer) (*Events, error) {
	e := &Events{out: out, name: fmt.Sprintf("%q", place)}
	number, isFD := strings.CutPrefix(place, "fd:")
	switch {
	case place == "-":
	case isFD:
		n, err := strconv.Atoi(number)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("events to %q: want fd:N with a number", place)
		}
		if !inherited(n) {
			return nil, fmt.Errorf("events to %s: the process was given no such descriptor", place)
		}
		f := os.NewFile(uintptr(n), place)
		e.file, e.out = f, f
	default:
		if err := atomicfile.MakeParent(place); err != nil {
			return nil, fmt.Errorf("create events %q: %w", place, err)
		}
		f, err := os.Create(place)
		if err != nil {
			return nil, fmt.Errorf("create events %q: %w", place, atomicfile.Cause(err))
		}
		e.file, e.out = f, f
		if late := writeLate(f); late != nil {
			e.file, e.out = late, late
		}
	}
	e.enc = json.NewEncoder(e.out)
	return e, nil
}

// Handle writes what an event says. After a failed write it writes nothing more and returns that
// first error again.
func (e *Events) Handle(ev event.Event) error {
	if e.err != nil {
		return e.err
	}
	e.sources.Learn(ev)
	if err := e.write(ev); err != nil {
		e.err = fmt.Errorf("write events to %s: %w", e.name, atomicfile.Cause(err))
	}
	return e.err
}

func (e *Events) write(ev event.Event) error {
	var ok bool
	if e.line, ok = appendOften(e.line[:0], ev); ok {
		return e.writeLine()
	}
	if end, ok := ev.(event.RunEnded); ok {
		for line := range verdictLines(&end.Summary) {
			e.line = appendVerdict(e.line[:0], &line)
			if err := e.writeLine(); err != nil {
				return err
			}
		}
	}
	for line := range e.lines(ev) {
		if err := e.enc.Encode(line); err != nil {
			return err
		}
	}
	if _, ok := ev.(event.Suspended); ok {
		return flushLate(e.out)
	}
	return nil
}

// writeLine writes the line that was made.
func (e *Events) writeLine() error {
	_, err := e.out.Write(e.line)
	if cap(e.line) > lineKept {
		e.line = nil
	}
	return err
}

// Close closes the file. Its error is the first of the whole report.
func (e *Events) Close() error {
	if e.file == nil {
		return e.err
	}
	if err := e.file.Close(); err != nil && e.err == nil {
		e.err = fmt.Errorf("close events %s: %w", e.name, atomicfile.Cause(err))
	}
	return e.err
}

// The forms of the lines. Fields that are not there say nothing; times are RFC 3339 and durations
// seconds.
type (
	head struct {
		Event string    `json:"event"`
		Time  time.Time `json:"time,omitzero"`
	}
	runLine struct {
		head
		Version  int      `json:"version"`
		Run      string   `json:"run"`
		Dist     string   `json:"dist"`
		Specs    []string `json:"specs"`
		Command  []string `json:"command"`
		Workdir  string   `json:"workdir"`
		Hostname string   `json:"hostname"`
		Shard    string   `json:"shard,omitempty"`
		Xdist    string   `json:"xdist,omitempty"`
		Go       string   `json:"go,omitempty"`
		Platform string   `json:"platform,omitempty"`
	}
	collectedLine struct {
		head
		Platform string            `json:"platform"`
		Packages int               `json:"packages"`
		Tests    int               `json:"tests"`
		Dirs     map[string]string `json:"dirs"`
	}
	builtLine struct {
		head
		Package  string `json:"package"`
		Platform string `json:"platform"`
		Ready    bool   `json:"ready"`
	}
	gatewayLine struct {
		head
		Gateway  string `json:"gateway"`
		Spec     string `json:"spec,omitempty"`
		Hostname string `json:"hostname,omitempty"`
		Platform string `json:"platform,omitempty"`
		Pid      int    `json:"pid,omitempty"`
		Reason   string `json:"reason,omitempty"`
	}
	listeningLine struct {
		head
		Spec    string `json:"spec"`
		Address string `json:"address"`
	}
	unitLine struct {
		head
		Gateway string   `json:"gateway"`
		Package string   `json:"package"`
		Tests   []string `json:"tests,omitempty"`
		Skip    []string `json:"skip,omitempty"`
		Binary  string   `json:"binary,omitempty"`
	}
	testLine struct {
		head
		Action     string   `json:"action"`
		Package    string   `json:"package,omitempty"`
		ImportPath string   `json:"importPath,omitempty"`
		Test       string   `json:"test,omitempty"`
		Gateway    string   `json:"gateway,omitempty"`
		Platform   string   `json:"platform,omitempty"`
		Attempt    int      `json:"attempt,omitempty"`
		Again      bool     `json:"again,omitempty"`
		Elapsed    *float64 `json:"elapsed,omitempty"`
		Output     string   `json:"output,omitempty"`
		Build      string   `json:"failedBuild,omitempty"`
		Key        string   `json:"key,omitempty"`
		Value      string   `json:"value,omitempty"`
		Path       string   `json:"path,omitempty"`
	}
	progressLine struct {
		head
		Action   string  `json:"action"`
		Gateway  string  `json:"gateway"`
		Package  string  `json:"package"`
		Test     string  `json:"test"`
		Expected float64 `json:"expected,omitempty"`
	}
	suspicionLine struct {
		head
		Gateway string `json:"gateway"`
		Package string `json:"package"`
		Test    string `json:"test"`
		Why     string `json:"why"`
		Place   string `json:"place,omitempty"`
		Message string `json:"message,omitempty"`
	}
	buildStepLine struct {
		head
		Platform string `json:"platform"`
		Step     string `json:"step,omitempty"`
	}
	sendingLine struct {
		head
		Hostname string `json:"hostname"`
		Bytes    int64  `json:"bytes"`
	}
	estimateLine struct {
		head
		Left float64 `json:"left"`
	}
	slowLine struct {
		head
		Gateway string  `json:"gateway"`
		Package string  `json:"package"`
		Test    string  `json:"test"`
		Running float64 `json:"running"`
	}
	runningLine struct {
		head
		Gateway string        `json:"gateway"`
		Package string        `json:"package,omitempty"`
		Running float64       `json:"running,omitempty"`
		Tests   []testRunning `json:"tests,omitempty"`
		More    int           `json:"more,omitempty"`
		Output  string        `json:"output,omitempty"`
	}
	testRunning struct {
		Test     string  `json:"test"`
		Running  float64 `json:"running"`
		Expected float64 `json:"expected,omitempty"`
		Waits    bool    `json:"waits,omitempty"`
		Output   string  `json:"output,omitempty"`
	}
	standstillLine struct {
		head
		Stood float64 `json:"stood,omitempty"`
	}
	textLine struct {
		head
		Text string `json:"text"`
	}
	learnedLine struct {
		head
		Platform string `json:"platform"`
		Package  string `json:"package"`
		Test     string `json:"test,omitempty"`
		Lesson   string `json:"lesson"`
		Undone   bool   `json:"undone,omitempty"`
	}
	verdictLine struct {
		head
		ID       string  `json:"id"`
		Platform string  `json:"platform,omitempty"`
		Gateway  string  `json:"gateway,omitempty"`
		Verdict  string  `json:"verdict"`
		Elapsed  float64 `json:"elapsed,omitempty"`
		Expected float64 `json:"expected,omitempty"`
		Failures int     `json:"failures,omitempty"`
		Reason   string  `json:"reason,omitempty"`
	}
	endLine struct {
		head
		Elapsed     float64        `json:"elapsed"`
		Tests       int            `json:"tests"`
		Verdicts    map[string]int `json:"verdicts"`
		Failed      int            `json:"failedPackages"`
		Unbuilt     int            `json:"unbuiltPackages"`
		Interrupted bool           `json:"interrupted,omitempty"`
		Stopped     string         `json:"stopped,omitempty"`
		Coverage    string         `json:"coverage,omitempty"`
		Unbalanced  string         `json:"unbalanced,omitempty"`
		NothingRan  string         `json:"nothingRan,omitempty"`
		LeftOut     int            `json:"leftOut,omitempty"`
		Division    string         `json:"division,omitempty"`
		Flags       string         `json:"flags,omitempty"`
		Error       string         `json:"error,omitempty"`
	}
)

// lines are what an event is in the stream.
func (e *Events) lines(ev event.Event) iter.Seq[any] {
	switch ev := ev.(type) {
	case event.RunStarted:
		return one(runLine{
			head{"run", ev.Time}, EventsVersion, ev.RunID, ev.Dist, orEmpty(ev.Specs), orEmpty(ev.Command), ev.Workdir, ev.Hostname, ev.Shard, ev.Version, ev.GoVersion, ev.Platform,
		})
	case event.Collected:
		return one(collectedLine{head{"collected", ev.Time}, ev.Platform, ev.Packages, ev.Items, maps.Collect(maps.All(ev.Dirs))})
	case event.Built:
		return one(builtLine{head{"built", ev.Time}, ev.Package, ev.Platform, ev.Ready})
	case event.Listening:
		return one(listeningLine{head{Event: "listening"}, ev.Spec, ev.Addr})
	case event.GatewayOpening:
		return one(gatewayLine{head: head{"gateway-opening", ev.Time}, Gateway: ev.Gateway, Spec: ev.Spec})
	case event.GatewayUp:
		return one(gatewayLine{head{"gateway-up", ev.Time}, ev.Gateway, ev.Spec, ev.Hostname, ev.Platform, ev.Pid, ""})
	case event.GatewayDown:
		return one(gatewayLine{head: head{"gateway-down", ev.Time}, Gateway: ev.Gateway, Reason: ev.Reason})
	case event.UnitStarted:
		return one(unitLine{head{"unit-started", ev.Time}, ev.Gateway, ev.Package, ev.Tests, ev.Skip, ev.Key})
	case event.UnitEnded:
		return one(unitLine{head: head{"unit-ended", ev.Time}, Gateway: ev.Gateway, Package: ev.Package})
	case event.Test:
		return one(testLine{
			head{"test", ev.Time}, ev.Action, ev.Package, ev.ImportPath, ev.Test, ev.Gateway, ev.Platform, ev.Attempt, ev.Again, ev.Elapsed,
			ev.Output, ev.FailedBuild, ev.Key, ev.Value, ev.Path,
		})
	case event.Progress:
		return one(progressLine{head{"progress", ev.Time}, ev.Action, ev.Gateway, ev.Package, ev.Test, ev.Expected.Seconds()})
	case event.Suspected:
		p := failure.Find(outputOf(ev.Said), e.sources.Lines(ev.Package))
		return one(suspicionLine{head{"suspected", ev.Time}, ev.Gateway, ev.Package, ev.Test, ev.Why, e.sources.Place(ev.Package, p), p.Message})
	case event.BuildStep:
		return one(buildStepLine{head{"build-step", ev.Time}, ev.Platform, ev.Step})
	case event.Sending:
		return one(sendingLine{head{"sending", ev.Time}, ev.Hostname, ev.Bytes})
	case event.Estimate:
		return one(estimateLine{head{"estimate", ev.Time}, ev.Left.Seconds()})
	case event.SlowTest:
		return one(slowLine{head{"slow", ev.Time}, ev.Gateway, ev.Package, ev.Test, ev.Running.Seconds()})
	case event.Running:
		var lines []any
		for _, g := range ev.Gateways {
			line := runningLine{head: head{"running", ev.Time}, Gateway: g.Gateway, Package: g.Package, Running: g.For.Seconds(), More: g.More, Output: g.Output}
			for _, t := range g.Tests {
				line.Tests = append(line.Tests, testRunning{t.Test, t.For.Seconds(), t.Expected.Seconds(), t.Waits, t.Output})
			}
			lines = append(lines, line)
		}
		return slices.Values(lines)
	case event.Suspended:
		return one(standstillLine{head: head{"suspended", ev.Time}})
	case event.Resumed:
		return one(standstillLine{head{"resumed", ev.Time}, ev.Stood.Seconds()})
	case event.Stderr:
		return one(textLine{head{Event: "stderr"}, ev.Text})
	case event.Warning:
		return one(textLine{head{Event: "warning"}, ev.Text})
	case event.Learned:
		return one(learnedLine{head{Event: "learned"}, ev.Platform, ev.Package, ev.Test, string(ev.Kind), ev.Undone})
	case event.RunEnded:
		return one(newEndLine(ev)) // behind the verdicts
	}
	return one()
}

// verdictLines are the verdicts of a run.
func verdictLines(s *event.Summary) iter.Seq[verdictLine] {
	return func(yield func(verdictLine) bool) {
		ran := map[string]bool{} // of those that did not run; most have none
		for _, it := range s.NotRun {
			ran[it.ID] = false
		}
		for _, it := range s.Durations {
			line := verdictLine{
				head: head{Event: "verdict"}, ID: it.ID, Platform: it.Platform, Gateway: it.Gateway, Verdict: string(it.Verdict),
				Elapsed: it.Elapsed.Seconds(), Expected: it.Expected.Seconds(), Failures: it.Failures,
			}
			if _, ok := ran[it.ID]; ok {
				ran[it.ID] = true
			}
			if !yield(line) {
				return
			}
		}
		for _, it := range s.NotRun {
			if !ran[it.ID] && !yield(verdictLine{head: head{Event: "verdict"}, ID: it.ID, Verdict: string(event.NotRun), Reason: it.Reason}) {
				return
			}
		}
	}
}

func newEndLine(ev event.RunEnded) endLine {
	s := &ev.Summary
	end := endLine{
		head: head{"end", ev.Time}, Elapsed: ev.Elapsed.Seconds(), Tests: s.Collected, Verdicts: map[string]int{}, Failed: s.Failed, Unbuilt: s.BuildFailed,
		Interrupted: s.Interrupted, Stopped: s.Stopped, Coverage: s.Coverage, Unbalanced: s.Unbalanced, NothingRan: s.NothingRan, LeftOut: s.LeftOut, Division: s.Shards, Flags: s.Flags,
	}
	for v, n := range s.Counts {
		end.Verdicts[string(v)] = n
	}
	if ev.Fatal != nil {
		end.Error = ev.Fatal.Error()
	}
	return end
}

func one(lines ...any) iter.Seq[any] { return slices.Values(lines) }

func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

var _ event.Reporter = (*Events)(nil)
