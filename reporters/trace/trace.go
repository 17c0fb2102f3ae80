// Package trace writes a run as Chrome trace events, which ui.perfetto.dev and chrome://tracing
// open: a process for each host, a thread for each gateway, with what it ran, and one for what was
// sent to the host; and a process for the controller, with what it collected and built for each
// platform. A failed attempt has an arrow to the next one.
//
// # Goroutines, limits
//
// None. Bars beyond barsKept are left out, and an event at the end says so.
package trace

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/internal/atomicfile"
	"github.com/xdist-go/xdist/reporters/timeline"
	"github.com/xdist-go/xdist/scheduler/event"
)

const barsKept = 1_000_000

// Trace collects a run and writes it at the end. Its methods are called from one goroutine.
type Trace struct {
	name     string
	file     *atomicfile.File
	timeline timeline.Timeline
	run      event.RunStarted
	ended    time.Time
}

// New makes sure that the file can be written, and returns a Trace, whose Close writes it.
func New(file string) (*Trace, error) {
	f, err := atomicfile.New(file)
	if err != nil {
		return nil, fmt.Errorf("prepare trace %q: %w", file, err)
	}
	return &Trace{name: file, file: f, timeline: timeline.Timeline{Limit: barsKept}}, nil
}

// Handle keeps what the trace needs. It returns no error.
func (t *Trace) Handle(e event.Event) error {
	t.timeline.Add(e)
	switch e := e.(type) {
	case event.RunStarted:
		t.run = e
	case event.RunEnded:
		t.ended = e.Time
	}
	return nil
}

// entry is one trace event. Times are in microseconds since the run began.
type entry struct {
	Name     string         `json:"name"`
	Phase    string         `json:"ph"`
	Time     int64          `json:"ts"`
	Duration int64          `json:"dur,omitempty"`
	Process  int            `json:"pid"`
	Thread   int            `json:"tid"`
	Category string         `json:"cat,omitempty"`
	Colour   string         `json:"cname,omitempty"`
	ID       int            `json:"id,omitempty"`
	Binding  string         `json:"bp,omitempty"`
	Scope    string         `json:"s,omitempty"`
	Args     map[string]any `json:"args,omitempty"`

	bar timeline.Bar // of a test: its args
}

// Close writes the trace.
func (t *Trace) Close() error {
	if t.ended.IsZero() {
		return nil
	}
	err := t.file.Replace(func(w io.Writer) error {
		out := &writer{Writer: bufio.NewWriterSize(w, 64<<10)}
		out.WriteString(`{"displayTimeUnit":"ms","traceEvents":[`)
		t.write(out)
		out.WriteString("]}\n")
		return out.Flush() // has the first error
	})
	if err != nil {
		return fmt.Errorf("write trace %q: %w", t.name, err)
	}
	return nil
}

// writer writes entries one after the other: a trace may have a million of them.
type writer struct {
	*bufio.Writer
	n    int // entries
	line []byte
}

// add writes an entry. Flush has the error.
func (w *writer) add(e entry) {
	if w.n++; w.n > 1 {
		w.WriteByte(',')
	}
	w.line = e.appendJSON(w.line[:0])
	w.Write(w.line)
}

// since is a time as the trace has it.
func (t *Trace) since(at time.Time) int64 { return t.timeline.Since(at).Microseconds() }

// Processes of the trace: hosts come behind the controller. Threads of steps come behind those of
// gateways.
const (
	controller  = 1
	stepThreads = 1 << 20
)

var colours = map[timeline.Outcome]string{timeline.Passed: "good", timeline.Failed: "terrible", timeline.Skipped: "grey", timeline.Ended: "bad"}

func (t *Trace) write(w *writer) {
	w.add(entry{Name: "process_name", Phase: "M", Process: controller, Args: map[string]any{"name": "controller on " + t.run.Hostname}})
	w.add(entry{Name: "run", Phase: "X", Duration: t.since(t.ended), Process: controller, Thread: 1, Args: map[string]any{"id": t.run.RunID, "command": t.run.Command}})
	hosts, threads := map[string]int{}, map[thread]int{}
	for i, g := range t.timeline.Gateways {
		if hosts[g.Host] == 0 {
			hosts[g.Host] = controller + 1 + len(hosts)
			w.add(entry{Name: "process_name", Phase: "M", Process: hosts[g.Host], Args: map[string]any{"name": g.Host}})
		}
		w.add(entry{Name: "thread_name", Phase: "M", Process: hosts[g.Host], Thread: i + 1, Args: map[string]any{"name": g.ID}})
		threads[thread{hosts[g.Host], g.ID}] = i + 1
	}
	for _, s := range t.timeline.Steps {
		t.writeStep(w, hosts, threads, s)
	}
	t.writeBars(w, hosts)
	if t.timeline.Lost > 0 {
		w.add(entry{Name: fmt.Sprintf("%d more are left out", t.timeline.Lost), Phase: "i", Time: t.since(t.ended), Process: controller, Thread: 1, Scope: "g"})
	}
}

// thread is a row of a process of the trace.
type thread struct {
	process int
	name    string
}

// writeStep writes what was done so that tests could run: to connect in the thread of the gateway,
// all else in threads of their own.
func (t *Trace) writeStep(w *writer, hosts map[string]int, threads map[thread]int, s timeline.Step) {
	e := entry{Name: s.Kind.String(), Phase: "X", Time: s.From.Microseconds(), Duration: max(1, (s.To - s.From).Microseconds()), Category: "step", Process: controller}
	at := s.Of
	switch s.Kind {
	case timeline.Connect:
		e.Process = hosts[s.Host]
	case timeline.Send:
		at, e.Process, e.Args = "to "+s.Of, hosts[s.Host], map[string]any{"bytes": s.Bytes}
	case timeline.Build:
		e.Name, e.Args = "build "+s.Package, map[string]any{"ready": !s.Failed}
	}
	if e.Process == 0 {
		return // nothing answered there
	}
	row := thread{e.Process, at}
	if threads[row] == 0 {
		threads[row] = stepThreads + len(threads)
		w.add(entry{Name: "thread_name", Phase: "M", Process: e.Process, Thread: threads[row], Args: map[string]any{"name": at}})
	}
	e.Thread = threads[row]
	w.add(e)
}

// writeBars writes what ran, in the order in which it began, with arrows from failed attempts to
// the next ones.
func (t *Trace) writeBars(w *writer, hosts map[string]int) {
	failed := map[[2]string]entry{} // the last failed attempt, by package and test
	slices.SortStableFunc(t.timeline.Bars, func(a, b timeline.Bar) int { return cmp.Compare(a.From, b.From) })
	for _, b := range t.timeline.Bars {
		e := entry{
			Name: b.Test, Phase: "X", Time: b.From.Microseconds(), Duration: max(1, (b.To - b.From).Microseconds()),
			Process: hosts[t.timeline.Gateways[b.Gateway].Host], Thread: int(b.Gateway) + 1, Category: "test", Colour: colours[b.Outcome],
			bar: b,
		}
		if b.Outcome == timeline.Process {
			e.Name, e.Category = b.Package, "process"
		}
		w.add(e)
		if b.Outcome == timeline.Process {
			continue
		}
		id := [2]string{b.Package, b.Test}
		if before, ok := failed[id]; ok {
			arrow := w.n
			w.add(entry{Name: "again", Phase: "s", Time: before.Time + before.Duration, Process: before.Process, Thread: before.Thread, Category: "again", ID: arrow})
			w.add(entry{Name: "again", Phase: "f", Time: e.Time, Process: e.Process, Thread: e.Thread, Category: "again", ID: arrow, Binding: "e"})
			delete(failed, id)
		}
		if b.Outcome == timeline.Failed || b.Outcome == timeline.Ended {
			failed[id] = e
		}
	}
}

// appendJSON appends the entry. By hand it takes a tenth of what encoding/json does with it.
func (e *entry) appendJSON(dst []byte) []byte {
	text := func(name, value string) {
		if value != "" {
			dst = test2json.AppendString(append(dst, name...), value)
		}
	}
	number := func(name string, value int64) { dst = strconv.AppendInt(append(dst, name...), value, 10) }
	dst = test2json.AppendString(append(dst, `{"name":`...), e.Name)
	text(`,"ph":`, e.Phase)
	number(`,"ts":`, e.Time)
	if e.Duration != 0 {
		number(`,"dur":`, e.Duration)
	}
	number(`,"pid":`, int64(e.Process))
	number(`,"tid":`, int64(e.Thread))
	text(`,"cat":`, e.Category)
	text(`,"cname":`, e.Colour)
	if e.ID != 0 {
		number(`,"id":`, int64(e.ID))
	}
	text(`,"bp":`, e.Binding)
	text(`,"s":`, e.Scope)
	switch {
	case e.bar.Test != "":
		text(`,"args":{"package":`, e.bar.Package)
		text(`,"outcome":`, e.bar.Outcome.String())
		dst = append(dst, '}')
	case e.Args != nil:
		args, err := json.Marshal(e.Args)
		if err != nil {
			panic("BUG: " + err.Error()) // texts and booleans
		}
		dst = append(append(dst, `,"args":`...), args...)
	}
	return append(dst, '}')
}

var _ event.Reporter = (*Trace)(nil)
