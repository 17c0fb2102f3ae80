package scheduler

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/xdist-go/xdist/gotest/test2json"
)

// The bounds of budget.go are for one unit. What all nodes together can make the controller keep
// has one account. When that is full the largest transcripts get shorter, whoever they are of:
// output first, then subtests. No node is ended for it, as an honest one may have the largest of
// them because others lie. Only tests that a package does not have, and subtests that run, cannot
// be left out; who has most of these is ended.
const (
	// allHeld is for transcripts of tests that run or are on trial, and for what is known of tests
	// that are shown as they run. Each node adds nodeHeld to it.
	allHeld  = 32 << 20
	nodeHeld = 128 << 10
	// allStrangers is for tests of all units that their packages do not have. allOpen is for
	// subtests that have begun and not ended, some 180,000, whose names others remember, too.
	// nodeSpared is what a node may have of either in any case.
	allStrangers = 16 << 20
	allOpen      = 24 << 20
	nodeSpared   = 1 << 20
)

// account is what is kept of all nodes' words.
type account struct {
	base         int // allHeld
	mostProfiles int // allProfiles
	aside        int // bytes of what was said of tests on trial
	room         int // bytes that may come before the sum is worth making again
	apart        int // bytes of what was said of tests that run in parts; not in the sum
}

// mostHeld bounds the account.
func (c *controller) mostHeld() int { return c.base + c.count*nodeHeld }

// held is the sum of the account.
func (c *controller) held() int {
	sum := c.aside
	for _, n := range c.nodes {
		if n.job != nil {
			sum += n.job.held + n.job.shown
		}
	}
	return sum
}

// fit keeps the account in its bounds after it has grown. Where nothing can be left out any more it
// grows by a quarter before that is tried again.
func (c *controller) fit(grown int) {
	if c.room -= grown; c.room > 0 {
		return
	}
	sum := c.held()
	if sum > c.mostHeld() {
		c.shorten()
		sum = c.held()
	}
	c.room = max(c.mostHeld()-sum, sum/4)
}

// holder is a transcript, or all of a job.
type holder struct {
	size    int
	shorten func(cut cutter, keep int)
}

// cutter leaves out what is in the middle of events, but for keep bytes at either end.
type cutter func(events []test2json.Event, keep int) []test2json.Event

// shorten shortens the largest transcripts until there is room again.
func (c *controller) shorten() {
	goal := c.mostHeld() * 3 / 4
	for _, step := range []struct {
		cut  cutter
		keep int
	}{{trim, 256 << 10}, {trim, saidLeast}, {curtail, saidLeast}, {curtail, 2 << 10}} {
		all := c.holders()
		slices.SortFunc(all, func(a, b holder) int { return cmp.Compare(b.size, a.size) })
		for _, h := range all {
			if c.held() <= goal {
				return
			}
			h.shorten(step.cut, step.keep)
		}
	}
}

// holders are all that has a part in the account.
func (c *controller) holders() []holder {
	var all []holder
	for _, n := range c.nodes {
		if j := n.job; j != nil {
			all = append(all, holder{j.held + j.shown, func(cut cutter, keep int) {
				before := j.held
				j.cut(cut, keep)
				j.lost += before - j.held
				if keep <= saidLeast {
					j.forgetShown()
				}
			}})
		}
	}
	for _, p := range c.pkgs {
		for _, t := range p.trials {
			if t.said.weight > 0 {
				all = append(all, holder{t.said.weight, func(cut cutter, keep int) {
					s := t.said
					s.events = fitted(cut(slices.Clone(s.events), keep)) // others may have them, too
					s.weight = weighAll(s.events)
					t.hold(s)
				}})
			}
		}
	}
	return all
}

// structure is what of events is not output.
func structure(events []test2json.Event) int {
	sum := 0
	for _, e := range events {
		if e.Action != test2json.ActionOutput {
			sum += weigh(e)
		}
	}
	return sum
}

// transcripts calls f with those of all tests.
func (j *job) transcripts(f func(*transcript)) {
	for _, it := range j.items {
		f(&it.transcript)
	}
	for _, it := range j.others {
		f(&it.transcript)
	}
}

// forgetShown gives up what is known of subtests that were shown. Should the job end in its middle,
// the next attempt is shown from its beginning.
func (j *job) forgetShown() {
	j.transcripts(func(t *transcript) {
		var kept []showing
		for _, s := range t.shown {
			if !strings.Contains(s.test, "/") {
				kept = append(kept, s)
			}
		}
		t.forgotten += len(t.shown) - len(kept)
		j.shown += weighShown(kept) - weighShown(t.shown)
		t.shown = kept
	})
}

// curtail leaves out all that is in the middle of events, subtests too, but for keep bytes at
// either end. Of a subtest that began there nothing is left. The result has the memory of events.
func curtail(events []test2json.Event, keep int) []test2json.Event {
	head, tail := ends(events, keep)
	if tail == head {
		return events
	}
	begun := make(map[string]bool)
	out := events[:head]
	for _, e := range out {
		begun[e.Test] = true
	}
	first := events[head]
	rest := []test2json.Event{{Time: first.Time, Action: test2json.ActionOutput, Package: first.Package, Test: topLevel(first.Test), Output: leftOut}}
	for _, e := range events[tail:] {
		if begun[e.Test] = begun[e.Test] || e.Action == test2json.ActionRun || e.Test == topLevel(e.Test); begun[e.Test] {
			rest = append(rest, e)
		}
	}
	out = append(out, rest...)
	clear(events[len(out):])
	return out
}

// fitNodes ends the node that has most of what cannot be left out, when all nodes have too much of
// it after a report of n, and reports whether that is n.
func (c *controller) fitNodes(n *node) bool {
	for _, kind := range []struct {
		of   func(*job) int
		most int
		what string
	}{
		{func(j *job) int { return j.strangers }, allStrangers, "tests that its package does not have"},
		{func(j *job) int { return j.open.size }, allOpen, "subtests that have begun and not ended"},
	} {
		if kind.of(n.job) <= nodeSpared {
			continue
		}
		sum, largest := 0, n
		for _, other := range c.nodes {
			if other.job == nil || other.refusal != nil {
				continue
			}
			sum += kind.of(other.job)
			if kind.of(other.job) > kind.of(largest.job) {
				largest = other
			}
		}
		if sum > kind.most {
			c.disbelieve(largest, fmt.Errorf("its tests are too many, or their names too long: it has %d MiB of %s, and all nodes %d",
				kind.of(largest.job)>>20, kind.what, sum>>20))
			return largest == n
		}
	}
	return false
}
