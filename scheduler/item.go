package scheduler

import (
	"maps"
	"slices"
	"time"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/scheduler/attempt"
	"github.com/xdist-go/xdist/scheduler/event"
)

// fate is what becomes of what an item says in a job.
type fate int

const (
	fateShown fate = iota // it is shown: at once, or when the item has ended
	fateHeld              // nothing more is shown before the process has ended, which decides
	fateAside             // the item is on trial, and its attempt is over
	fateAgain             // it has failed, and will run again by Config.Reruns
)

// phase is where an item is in a process.
type phase int

const (
	phaseIdle    phase = iota // between rounds, or all have ended
	phaseRunning              // in a round
	phaseParked               // in one, waiting for other parallel tests
)

// skips is what is known of subtests that were skipped, from least to most doubtful.
type skips int

const (
	skipNone  skips = iota // none was
	skipKnown              // earlier runs saw all of them skip
	skipNew                // earlier runs know nothing of some
	skipOdd                // an earlier run has seen one that did not
)

// signs are lines that an item has printed.
type signs struct {
	raced   bool // its process has a data race
	matched bool // one that Reruns.Errors matches
}

// itemRun is what has come of one item in a job.
type itemRun struct {
	transcript
	fate    fate
	want    int           // rounds: -count times -cpu
	rounds  int           // terminal events so far
	verdict event.Verdict // of these rounds
	phase   phase
	signs
	skips   skips         // of its subtests
	begun   []int         // when it failed: the items of its unit that had
	process time.Duration // when it failed: for how long its process had run
	elapsed time.Duration
	watch   stopwatch

	suspended bool // it was running while the run stood still: what it has waited for by its own clock may be late
}

// transcript is what an item has said.
type transcript struct {
	events    []test2json.Event // held until the item has ended, so that a run that dies with its process leaves no trace
	said      partSaid          // held of a test in parts, in place of events
	bytes     int               // of all events, the text
	weight    int               // of events
	gone      int               // of what else than output was left out of them
	streamed  bool              // events are not held: they were too many, or are wanted live
	told      []byte            // the beginning of the output that was shown, of an item whose events are streamed
	recent    []byte            // the end of that
	before    remnant           // what an earlier attempt has shown
	shown     []showing         // by this one
	named     int               // bytes of names of what was shown, forgotten or not
	forgotten int               // entries of shown that were given up
	dying     bool              // a line of it may begin a panic
}

// latest are the events that are held, or of a test in parts those that came last.
func (t *transcript) latest() []test2json.Event {
	if t.said.size > 0 {
		return t.said.open
	}
	return t.events
}

func (it *itemRun) open() bool { return it.phase != phaseIdle }

func (it *itemRun) failed() bool { return it.verdict == event.Fail }

func (it *itemRun) ended() bool { return it.rounds >= it.want && !it.open() }

// follow takes a run, pause, cont or terminal event of the item itself. When a TestMain runs its
// tests once more, or a test passes on what another process says of it, the last time counts, as
// for readers of go test -json.
func (it *itemRun) follow(e test2json.Event) {
	it.watch.observe(e.Action)
	switch e.Action {
	case test2json.ActionRun:
		it.phase = phaseRunning
		if it.rounds >= it.want {
			it.rounds, it.verdict = 0, ""
		}
	case test2json.ActionPause:
		it.phase = phaseParked
	case test2json.ActionCont:
		it.phase = phaseRunning
	case test2json.ActionPass, test2json.ActionFail, test2json.ActionSkip:
		it.phase = phaseIdle
		if it.rounds >= it.want {
			it.rounds, it.verdict = 0, ""
		}
		it.rounds++
		it.verdict = worse(it.verdict, event.Verdict(e.Action))
		if e.Elapsed != nil {
			it.elapsed += time.Duration(*e.Elapsed * float64(time.Second))
		}
	}
}

// worse is what two rounds come to: a skip only when both are.
func worse(a, b event.Verdict) event.Verdict {
	switch {
	case a == "" || b == event.Fail || a == b:
		return b
	case a == event.Fail:
		return a
	}
	return event.Pass
}

// end is how an item that has ended did so.
func (it *itemRun) end() attempt.End {
	switch {
	case it.failed():
		return it.failing()
	case it.verdict == event.Skip:
		return attempt.Skipped
	case it.skips > skipNone:
		return attempt.Lacking
	}
	return attempt.Passed
}

// failing is how an item will end of which a part has failed.
func (it *itemRun) failing() attempt.End {
	if it.raced {
		return attempt.Raced
	}
	return attempt.Failed
}

// late reports whether an end of the item may be due to nothing but that the run stood still.
func (it *itemRun) late(how attempt.End) bool {
	return it.suspended && how == attempt.Failed && !it.raced
}

// lasted is for how long the item's process ran until it failed, or has run.
func (it *itemRun) lasted(j *job) time.Duration {
	if it == nil || it.process == 0 {
		return time.Since(j.started)
	}
	return it.process
}

// from is when the item began, or its process where that is not known.
func (it *itemRun) from(j *job) time.Time {
	if it == nil || it.watch.first.IsZero() {
		return j.started
	}
	return it.watch.first
}

// among are the items that had begun in its process when it failed, or have by now.
func (it *itemRun) among(j *job) []int {
	if it == nil || it.begun == nil {
		return j.begun
	}
	return it.begun
}

// textBytes bounds how much of a failure's text is compared.
const textBytes = 64 << 10

// text is what the item has printed, shown or held, the beginning of it.
func (it *itemRun) text() string {
	if it == nil {
		return ""
	}
	return string(appendOutput(slices.Clip(it.told), it.events))
}

// reasonEvents is how many events before its end are looked at for why a subtest was skipped.
const reasonEvents = 64

// reasonOf is what a subtest has printed before it was skipped, as far as that is held.
func (it *itemRun) reasonOf(test string) string {
	var text []byte
	for _, e := range it.events[max(0, len(it.events)-reasonEvents):] {
		if e.Test == test {
			text = appendOutput(text, []test2json.Event{e})
		}
	}
	return string(text)
}

// appendOutput adds what events print to a text, as far as textBytes allow.
func appendOutput(text []byte, events []test2json.Event) []byte {
	for _, e := range events {
		if e.Action == test2json.ActionOutput && len(text) < textBytes {
			text = append(text, e.Output...)
		}
	}
	return text
}

// remnant is what an attempt at an item that came to no verdict has shown of it. In the next
// attempt the same tests do not begin again, and those that have ended are not heard of again. The
// zero value is nothing.
type remnant struct {
	begun, ended map[string]bool // by test
	weight       int             // bytes
}

// shows reports whether anything was shown.
func (r remnant) shows() bool { return len(r.begun)+len(r.ended) > 0 }

func (r remnant) has(e test2json.Event) bool {
	return r.ended[e.Test] || e.Action == test2json.ActionRun && r.begun[e.Test]
}

func remnantOf(before remnant, shown []showing) remnant {
	r := remnant{begun: make(map[string]bool), ended: make(map[string]bool), weight: before.weight + weighShown(shown)}
	maps.Copy(r.begun, before.begun)
	maps.Copy(r.ended, before.ended)
	for _, s := range shown {
		r.begun[s.test] = true
		if s.terminal() {
			r.ended[s.test] = true
		}
	}
	return r
}

// newItemRun makes the record of an item that has begun.
func (c *controller) newItemRun(j *job, name string, i int, known bool) *itemRun {
	p := j.pkg
	// Benchmarks have no end, and a fuzz target's news are wanted as they come.
	it := &itemRun{want: 1, transcript: transcript{
		streamed: c.cfg.Live || c.cfg.Command.Grain() == gotest.Alone, before: p.remnants[name],
	}}
	if !known {
		return it
	}
	it.events = make([]test2json.Event, 0, leastEvents)
	it.want = c.rounds(p, i)
	if c.triable(j) && p.setbacks[i] == nil && (p.trials[i] != nil || p.stage == stageProbing) {
		it.fate = fateHeld
	}
	return it
}

// showing is an event that was shown: a test began or went on, or ended.
type showing struct {
	test   string
	action string
}

func (s showing) terminal() bool { return test2json.Event{Action: s.action}.Terminal() }

// show notes that an event was shown.
func (j *job) show(it *itemRun, e test2json.Event) {
	it.shown = append(it.shown, showing{e.Test, e.Action})
	w := weighShown(it.shown[len(it.shown)-1:])
	it.named += w
	j.names += w
	j.shown += w
}

// weighShown is how many bytes it takes to know what was shown.
func weighShown(shown []showing) int {
	sum := 0
	for _, s := range shown {
		sum += nameWeight + len(s.test)
	}
	return sum
}

// settle gives up what only an item without a verdict has a use for.
func (j *job) settle(it *itemRun) {
	j.names -= it.named
	j.shown -= weighShown(it.shown)
	it.shown, it.named = nil, 0
}

// take keeps an event of an item.
func (j *job) take(it *itemRun, e test2json.Event) {
	it.take(e)
	w := weigh(e)
	it.weight += w
	j.held += w
}

// take keeps an event. Its text is what may be long: that of attributes and names, too.
func (it *itemRun) take(e test2json.Event) {
	it.events = append(it.events, e)
	if it.bytes += len(e.Output); e.Action != test2json.ActionOutput {
		it.bytes += len(e.Test) + len(e.Key) + len(e.Value) + len(e.Path)
	}
	it.dying = it.dying || dies(e)
	it.raced = it.raced || showsRace(e)
}

// heldBytes is how much output of one item the controller holds until the item has ended; beyond
// that its events are passed on as they come. Large enough for every ordinary test, small enough
// for a hundred gateways.
const heldBytes = 1 << 20

// leastEvents is how many events a test has that says nothing: it begins, its two lines, and it
// ends.
const leastEvents = 4
