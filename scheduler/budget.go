package scheduler

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/xdist-go/xdist/gotest/cover"
	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/scheduler/wire"
)

// What an agent can make the controller keep is counted in bytes of memory and has bounds. They are
// far above what an honest suite needs. The standard library has 73,465 tests in all. The largest
// profile seen, of a program with 3,000 packages under -coverpkg=./..., has 25 MB. An agent that
// goes beyond a bound is ended, and its unit ends as that of a lost agent.
const (
	// unitHeld is for the events of a unit that are held. Output that is shown as it comes does not
	// count: it is not kept. Of what is held the middle of the output is left out first, so that it
	// takes a test on trial with some 25,000 subtests to go beyond.
	unitHeld = 16 << 20
	// unitNames is for the names of tests of a unit that are known to have begun or ended: subtests
	// of tests that are shown as they run, some 80,000 at once, and tests that its package has not.
	unitNames = 16 << 20
	// unitLeftOut is for the output of a unit that was held and left out.
	unitLeftOut = 1 << 30
	// nodeAside is for what a node has said of tests that wait for their next attempt. Beyond it
	// less output is kept of each test, and beyond twice as much the node is ended.
	nodeAside = 64 << 20
	// saidKept is how much of the output of one such test is kept at each end, and saidLeast that
	// beyond nodeAside.
	saidKept  = 1 << 20
	saidLeast = 32 << 10
	// profileBytes is for the text of a cover profile, profileBlocks for its blocks.
	profileBytes  = 64 << 20
	profileBlocks = 1 << 20
	// mostWarnings is how often a node may say something of its host.
	mostWarnings = 100
)

const (
	eventWeight    = 184 // bytes of a test2json.Event without its text
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
	head, tail := 0, len(events)
	for w := 0; head < len(events) && w < keep; head++ {
		w += weigh(events[head])
	}
	for w := 0; tail > head && w < keep; tail-- {
		w += weigh(events[tail-1])
	}
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

// trim is that of what is held of an item.
func (t *transcript) trim(keep int) {
	t.events = trim(t.events, keep)
	t.weight = weighAll(t.events)
	if t.dying > 0 {
		t.dying = len(t.events)
		for k, e := range t.events {
			if dies(e) {
				t.dying = k + 1
				break
			}
		}
	}
}

// fit makes room when more of the job is held than unitHeld allows. The error says that there is
// too much all the same.
func (j *job) fit() error {
	if before := j.held; before > unitHeld {
		for _, keep := range []int{unitHeld / 8, saidKept, saidLeast} {
			if j.trim(keep); j.held <= unitHeld*3/4 {
				break
			}
		}
		if j.held > unitHeld*3/4 {
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

// trim leaves out what is in the middle of all that is held.
func (j *job) trim(keep int) {
	j.output = trim(j.output, keep)
	j.held = weighAll(j.output)
	for _, it := range j.items {
		it.trim(keep)
		j.held += it.weight
	}
	for _, it := range j.others {
		it.trim(keep)
		j.held += it.weight
	}
}

// asideOf is how many bytes are kept of what n has said of tests on trial.
func (c *controller) asideOf(n *node) int {
	sum := 0
	for _, p := range c.pkgs {
		for _, t := range p.trials {
			if t.said.gateway == n.id {
				sum += t.said.weight
			}
		}
	}
	return sum
}

// profileText is a cover profile, in so far as it has come.
type profileText struct {
	parts [][]byte
	size  int
}

func (t *profileText) add(part []byte) error {
	t.size += len(part)
	switch {
	case len(part) > wire.ProfilePart:
		return fmt.Errorf("a part of a cover profile has %d bytes, and may have %d", len(part), wire.ProfilePart)
	case t.size > profileBytes:
		return fmt.Errorf("its cover profile has more than %d MiB", profileBytes>>20)
	}
	if len(part) > 0 {
		t.parts = append(t.parts, part)
	}
	return nil
}

// parse returns the profile, nil when none has come, and gives the text up.
func (t *profileText) parse(mode cover.Mode) (*cover.Profile, error) {
	readers := make([]io.Reader, len(t.parts))
	for i, part := range t.parts {
		readers[i] = bytes.NewReader(part)
	}
	t.parts = nil
	p, err := cover.Parse(io.MultiReader(readers...))
	if errors.Is(err, cover.ErrEmpty) {
		return nil, nil
	}
	if err == nil && len(p.Blocks) > profileBlocks {
		return nil, fmt.Errorf("it has more than %d blocks", profileBlocks)
	}
	if err == nil && p.Mode != mode {
		err = fmt.Errorf("its mode is %s, want %s", p.Mode, mode)
	}
	return p, err
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
