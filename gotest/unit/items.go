package unit

import (
	"strings"
	"time"

	"github.com/xdist-go/xdist/gotest/test2json"
)

// A tracker follows the events of a process and keeps what became of each top-level item.
type tracker struct {
	pkg        string
	items      map[string]*itemState
	started    []*itemState // in the order of their last run event
	lastOutput string       // item that the last output belongs to, or "" for the package's
	lastFail   string       // item of the last fail event
	pending    string       // item whose fail event came only when the output had ended: it took the process down
}

type itemState struct {
	name    string
	started bool
	running bool // run without terminal event
	parked  bool // pause without cont
	rounds  int  // terminal events
	skips   int
	fails   int
	elapsed time.Duration
}

func newTracker(pkg string, names []string) *tracker {
	t := &tracker{pkg: pkg, items: make(map[string]*itemState, len(names))}
	for _, name := range names {
		t.item(name)
	}
	return t
}

func (t *tracker) item(name string) *itemState {
	it := t.items[name]
	if it == nil {
		it = &itemState{name: name}
		t.items[name] = it
	}
	return it
}

// observe takes the next event. closing says that the output has ended, and the event was only
// waiting for that.
func (t *tracker) observe(e test2json.Event, closing bool) {
	name, _, sub := strings.Cut(e.Test, "/")
	if e.Action == test2json.ActionOutput {
		t.lastOutput = name
		return
	}
	if name == "" || sub {
		return
	}
	switch e.Action {
	case test2json.ActionRun:
		t.run(t.item(name))
	case test2json.ActionPause:
		t.item(name).parked = true
	case test2json.ActionCont:
		t.item(name).parked = false
	case test2json.ActionBench:
		t.item(name).running = false
	case test2json.ActionPass, test2json.ActionFail, test2json.ActionSkip:
		t.end(t.item(name), e)
		if e.Action == test2json.ActionFail {
			t.lastFail = name
			if closing {
				t.pending = name
			}
		}
	}
}

func (t *tracker) run(it *itemState) {
	if isBenchmark(it.name) {
		// Benchmarks have no terminal event and run one after the other.
		for _, other := range t.started {
			other.running = other.running && !isBenchmark(other.name)
		}
	}
	for i, other := range t.started {
		if other == it {
			t.started = append(t.started[:i], t.started[i+1:]...)
			break
		}
	}
	it.started, it.running, it.parked = true, true, false
	t.started = append(t.started, it)
}

func (t *tracker) end(it *itemState, e test2json.Event) {
	it.running, it.parked = false, false
	it.rounds++
	switch e.Action {
	case test2json.ActionFail:
		it.fails++
	case test2json.ActionSkip:
		it.skips++
	}
	if e.Elapsed != nil {
		it.elapsed += time.Duration(*e.Elapsed * float64(time.Second))
	}
}

func isBenchmark(name string) bool { return strings.HasPrefix(name, "Benchmark") }

// unfinished returns the items that were in the middle of a run, in the order of their start.
// Parked ones had yet to do their work.
func (t *tracker) unfinished() []*itemState {
	var found []*itemState
	for _, it := range t.started {
		if it.running && !it.parked {
			found = append(found, it)
		}
	}
	return found
}

// culprit returns the item to blame for the death of the process, or "". The trace of a panic says
// whose it is, whatever other tests have printed meanwhile. A panic that package testing has caught
// and raised again is of a test that it has reported as failed.
func (t *tracker) culprit(s *scanner) string {
	if it := t.items[s.panicked.test(t.pkg)]; it != nil && (it.running && !s.repanicked || it.fails > 0 && s.repanicked) {
		return it.name
	}
	if t.pending != "" {
		return t.pending
	}
	if name := t.longestRunning(s.runningList); name != "" {
		return name
	}
	if s.repanicked && t.lastFail != "" {
		// A parallel test wrote between the report of the failure and the panic.
		return t.lastFail
	}
	candidates := t.unfinished()
	for _, it := range candidates {
		if it.name == t.lastOutput {
			return it.name
		}
	}
	if len(candidates) > 0 {
		return candidates[0].name
	}
	return ""
}

// cutOff returns the item to blame when the process exited 0 before its closing line, or "" when no
// test was cut off by that.
func (t *tracker) cutOff() string {
	first := ""
	for _, it := range t.started {
		if it.running && !isBenchmark(it.name) && (first == "" || it.name == t.lastOutput) {
			first = it.name
		}
	}
	return first
}

// longestRunning returns the item of the test that had run longest in the list, of several the one
// that started first.
func (t *tracker) longestRunning(list []running) string {
	var (
		longest string
		elapsed time.Duration = -1
		start   int
	)
	for _, r := range list {
		name, _, _ := strings.Cut(r.test, "/")
		at := t.startOf(name)
		if at < 0 {
			continue
		}
		if r.elapsed > elapsed || r.elapsed == elapsed && at < start {
			longest, elapsed, start = name, r.elapsed, at
		}
	}
	return longest
}

// startOf returns the place of an item in the order of starts, or -1.
func (t *tracker) startOf(name string) int {
	for i, it := range t.started {
		if it.name == name {
			return i
		}
	}
	return -1
}

// results says what became of the items. died says that the process ended before its closing line,
// want how many rounds a test has when all goes well.
func (t *tracker) results(died bool, want int) map[string]Item {
	items := make(map[string]Item, len(t.items))
	for name, it := range t.items {
		rounds := want
		if strings.HasPrefix(name, "Example") {
			rounds = 1 // whatever -count and -cpu say
		}
		items[name] = it.result(died && it.rounds < rounds)
	}
	return items
}

// result returns the item's verdict. cut says that rounds are missing.
func (it *itemState) result(cut bool) Item {
	r := Item{Started: it.started, Elapsed: it.elapsed}
	switch {
	case it.fails > 0:
		r.Action = test2json.ActionFail
	case it.running || it.rounds == 0 || cut:
	case it.skips == it.rounds:
		r.Action = test2json.ActionSkip
	default:
		r.Action = test2json.ActionPass
	}
	return r
}
