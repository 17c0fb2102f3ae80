package scheduler

import (
	"fmt"
	"slices"
	"time"

	"github.com/xdist-go/xdist/gotest/test2json"
)

// What an agent can make the controller keep is counted in bytes of memory and has bounds. They are
// far above what an honest suite needs. The standard library has 73,465 tests in all. An agent that
// goes beyond a bound is ended, and its unit ends as that of a lost agent.
const (
	// unitHeld is for the events of a unit that are held. Output that is shown as it comes does not
	// count: it is not kept. Of what is held the middle of the output is left out first, so that it
	// takes a test on trial with some 25,000 subtests to go beyond.
	unitHeld = 16 << 20
	// unitNames is for the names of subtests of a unit that are shown as they run, some 80,000 at
	// once.
	unitNames = 16 << 20
	// unitLeftOut is for the output of a unit that was held and left out.
	unitLeftOut = 1 << 30
	// saidKept is how much of the output of a test that waits for its next attempt is kept at each
	// end, and saidLeast that when the account of all nodes is full.
	saidKept  = 1 << 20
	saidLeast = 32 << 10
	// mostWarnings is how often a node may say something of its host.
	mostWarnings = 100
)

const (
	eventWeight    = 184 // bytes of a test2json.Event without its text
	openWeight     = 100 // bytes of what is known of a subtest that runs, without its name
	nameWeight     = 64  // bytes of what is known of a subtest, without its name
	strangerWeight = 640 // the same of a test that its package does not have
)

// weigh is how many bytes an event takes.
func weigh(e test2json.Event) int {
	return eventWeight + len(e.Test) + len(e.Output) + len(e.Key) + len(e.Value) + len(e.Path) + len(e.ImportPath) + len(e.FailedBuild)
}

func weighAll(events []test2json.Event) int {
	sum := 0
	for _, e := range events {
		sum += weigh(e)
	}
	return sum
}

// leftOut takes the place of output that is left out.
const leftOut = "xdist: output is left out here: there was more of it than the controller keeps\n"

// trim leaves out the output in the middle of events that are held, but for keep bytes at either
// end. All else stays. The result has the memory of events.
func trim(events []test2json.Event, keep int) []test2json.Event {
	head, tail := ends(events, keep)
	if tail == head {
		return events
	}
	out, gap := events[:head], false // never beyond what was read
	for _, e := range events[head:tail] {
		switch {
		case e.Action != test2json.ActionOutput:
			out = append(out, e)
		case !gap:
			gap = true
			e.Output = leftOut
			out = append(out, e)
		}
	}
	out = append(out, events[tail:]...)
	clear(events[len(out):])
	return out
}

// ends are where keep bytes of events at either end begin and stop.
func ends(events []test2json.Event, keep int) (head, tail int) {
	tail = len(events)
	for w := 0; head < len(events) && w < keep; head++ {
		w += weigh(events[head])
	}
	for w := 0; tail > head && w < keep; tail-- {
		w += weigh(events[tail-1])
	}
	return head, tail
}

// fitted is events in memory of their own, where that is much less.
func fitted(events []test2json.Event) []test2json.Event {
	if len(events) < cap(events)/2 {
		return slices.Clone(events)
	}
	return events
}

// cut shortens what is held of an item.
func (t *transcript) cut(cut cutter, keep int) {
	before := structure(t.events)
	t.events = fitted(cut(t.events, keep))
	t.weight = weighAll(t.events)
	t.gone += before - structure(t.events)
}

// fit makes room when more of the job is held than unitHeld allows. The error says that there is
// too much all the same.
func (j *job) fit() error {
	if before := j.held; before+j.gone > unitHeld {
		for _, keep := range []int{unitHeld / 8, saidKept, saidLeast} {
			if j.cut(trim, keep); j.held+j.gone <= unitHeld*3/4 {
				break
			}
		}
		if j.held+j.gone > unitHeld*3/4 {
			return fmt.Errorf("its tests are too many, or their names too long: more than %d MiB of them have to be held", unitHeld*3/4>>20)
		}
		j.lost += before - j.held
	}
	switch {
	case j.names > unitNames:
		return fmt.Errorf("its tests are too many, or their names too long: they take more than %d MiB", unitNames>>20)
	case j.lost > unitLeftOut:
		return fmt.Errorf("more than %d MiB of output came that cannot be shown before its unit has ended", unitLeftOut>>20)
	}
	return nil
}

// cut leaves out what is in the middle of all that is held.
func (j *job) cut(cut cutter, keep int) {
	j.output = fitted(cut(j.output, keep))
	j.held = weighAll(j.output)
	j.transcripts(func(t *transcript) {
		before := t.gone
		t.cut(cut, keep)
		j.held += t.weight
		j.gone += t.gone - before
	})
}

// hold keeps what an attempt at a test on trial has said, in place of what an earlier one has.
func (t *trial) hold(s said) {
	t.drop()
	t.said = s
	if s.node != nil {
		s.node.account.aside += s.weight
	}
}

// drop gives up the events of what was said: they have been shown, or nobody asks for them.
func (t *trial) drop() {
	if t.said.node != nil {
		t.said.node.account.aside -= t.said.weight
	}
	t.said.events, t.said.weight = nil, 0
}

// Bounds of single numbers and texts. Package testing prints less than a line of 4 KiB of a name,
// and package unit keeps 64 KiB of a text, which may be three times as long in UTF-8.
const (
	maxName    = 16 << 10
	maxText    = 256 << 10
	maxElapsed = 366 * 24 * time.Hour
	minStatus  = -1 << 31  // of a process, on Windows, where int has 32 bits
	maxStatus  = 1<<32 - 1 // of a process, on Windows
	maxChanged = 100
)
