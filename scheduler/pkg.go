package scheduler

import (
	"crypto/sha256"
	"io"
	"strings"
	"time"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/gotest/unit"
	"github.com/xdist-go/xdist/history"
	"github.com/xdist-go/xdist/scheduler/attempt"
	"github.com/xdist-go/xdist/scheduler/event"
	"github.com/xdist-go/xdist/scheduler/policy"
)

// pkg is the controller's record of one package on one pool. The loop owns it.
type pkg struct {
	pool   *pool
	num    policy.PackageID
	path   string  // import path
	shown  string  // as events name it: with the gateway under --dist each
	replay *replay // nil when there is none
	state  pkgState
	ready  *gotest.Ready
	key    string // digest of its binary, in hex, when it is ready
	start  time.Time
	jobs   []*job // in flight

	contents
	standing
	splitting
	suspicion
	wholes
	conclusion
}

// contents is what a package has to run.
type contents struct {
	items   []gotest.Item // with what they ask for
	names   []string      // of items
	copies  []int         // by item: how many tests have its name
	index   map[string]int
	missing int  // the item from which on they do not exist, but for the replay; all do when it is their number
	entire  bool // the items are all that the package has
	partial bool // its binary has tests that are none of this run's
}

// standing is how far the items have come.
type standing struct {
	units    int             // given out so far
	attempts []int           // by item, those of divisions included: how often it was given out
	verdicts []event.Verdict // by item
	open     int             // items without a verdict
	crashes  int             // items with that verdict: they would end any process of the whole
	expected []time.Duration // by item; 0 is not known
	took     []time.Duration // by item: its first attempt
	ran      int             // items that have run
	spent    time.Duration   // by the items that have run
	vouched  voucher
	first    bool // it has a test that failed when it ran last, and is to run before those that have none
}

// voucher is what a process of the whole has shown that passed: what it left out was its TestMain's
// choice.
type voucher int

const (
	vouchedNot   voucher = iota // there was none
	vouchedTests                // it ran tests
	vouchedEmpty                // it ran none
)

// splitting is how a package may be cut into processes.
type splitting struct {
	serial    bool   // its tests need each other: one process at a time
	undivided string // why all of it has to run in one process, or ""
	families  int    // policy.Package.Families
	stage     stage
	proven    bool // earlier runs have split it without harm
	divisions []*division
}

// suspicion is what is in doubt of a package while it runs, and what was found out.
type suspicion struct {
	trials    map[int]*trial            // by item
	setbacks  map[int]*setback          // failures that are followed by another attempt, by item
	remnants  map[string]remnant        // by item
	prints    map[string]history.Lesson // what tests said that failed or were skipped, by name
	reds      map[int]bool              // items that failed in the whole and not apart, and that did not any more
	lost      int                       // units that ended with their agents
	disturbed bool                      // its units disturb each other: one at a time from now on
	healing   []heldResult              // of processes whose binary is damaged, until it is mended
	heals     int                       // how often that was done
	mended    time.Time                 // when it was done last
	isolated  bool                      // what is left of it has its host for itself
}

// wholes are the runs of all of a package in one process, for want of a verdict.
type wholes struct {
	runs    int  // so far
	owed    bool // one more has to be before the package can be closed
	lenient bool // one passed though a test of it failed: its TestMain will have it so
	unity   unity
}

// unity is how much of a package the process of the whole is.
type unity int

const (
	unityUnknown unity = iota
	unityDoubted       // a process of a part of it failed for no test
	unityNeeded        // the whole did otherwise than its parts
)

// conclusion is what a package has come to.
type conclusion struct {
	covering
	results    []processEnd // of its units, in the order in which they ended
	failed     bool
	counts     *counts                    // of its processes, when it is closed and its idle run is to come
	seenOutput map[[sha256.Size]byte]bool // package-level output of its units: what each process repeats is shown once
	unruly     bool                       // its processes run what they were not asked for
}

// processEnd is how a process of a package ended.
type processEnd struct {
	unit.Result
	covered *profile
	all     bool // it was all of the package, and has printed its closing lines
}

type pkgState int

const (
	pkgExpected pkgState = iota // collected, no binary yet
	pkgBuilt                    // it has its binary, and waits for its turn
	pkgRunnable                 // the policy has it
	pkgClosed                   // its terminal event is out
)

func (p *pkg) id(i int) string { return gotest.ID(p.shown, p.names[i]) }

// settled reports whether nothing of the package is left to run.
func (p *pkg) settled() bool {
	return p.state == pkgRunnable && p.open == 0 && len(p.jobs) == 0 && p.units > 0 && !p.pool.policy.Owed(p.num) && !p.replay.owes(p.path)
}

// leaveBuild changes the state of a package that may be one of those that are being built.
func (p *pkg) leaveBuild(next pkgState) {
	if p.state == pkgExpected {
		p.pool.await(p, -1)
	}
	p.state = next
}

// holds reports whether what an earlier run found out of a binary is true of this one.
func (p *pkg) holds(until string) bool { return until == "" || until == p.key }

// note keeps what an item took when it ran first.
func (p *pkg) note(i int, it *itemRun) {
	if p.took[i] == 0 {
		// Package testing does not count the time in which a test waits for its parallel subtests.
		took := max(it.elapsed, it.watch.spent)
		p.took[i] = max(took, 1)
		p.ran++
		p.spent += took
	}
}

func (p *pkg) noteCrash(v event.Verdict) {
	if v == event.Crash {
		p.crashes++
	}
}

// noteFailure keeps what a failure that counts has said. What counts because the last run has
// confirmed it is to be confirmed by the next one.
func (p *pkg) noteFailure(i int, text string, j *job, confirmed bool) {
	if j.made == attempt.Whole {
		p.red(i, true)
	}
	print := attempt.Fingerprint(text)
	switch {
	case attempt.Contends(text):
		print = 0
	case !confirmed:
		print &^= 1 // no text has that
	}
	p.notePrint(p.names[i], history.Lesson{Kind: history.Failed, Print: print})
}

// noteSkip keeps what a test said that was skipped.
func (p *pkg) noteSkip(test, text string) {
	if print := attempt.SkipPrint(text); print != 0 {
		p.notePrint(test, history.Lesson{Kind: history.Skipped, Print: print})
	}
}

func (p *pkg) notePrint(test string, l history.Lesson) {
	if p.prints == nil {
		p.prints = make(map[string]history.Lesson)
	}
	if len(p.prints) < mostPrints {
		l.Test = test
		p.prints[test] = l
	}
}

// mostPrints bounds of how many tests and subtests of a package it is remembered what they said.
const mostPrints = 10_000

// red keeps whether an item fails in the whole: its next pass apart is not believed.
func (p *pkg) red(i int, red bool) {
	if p.reds == nil {
		p.reds = make(map[int]bool)
	}
	p.reds[i] = red
}

// firstSeen reports whether no unit of the package has printed this package-level output before.
func (p *pkg) firstSeen(events []test2json.Event) bool {
	hash := sha256.New()
	for _, e := range events {
		io.WriteString(hash, e.Output) // a hash.Hash returns no error
	}
	sum := [sha256.Size]byte(hash.Sum(nil))
	if p.seenOutput[sum] {
		return false
	}
	if p.seenOutput == nil {
		p.seenOutput = make(map[[sha256.Size]byte]bool)
	}
	p.seenOutput[sum] = true
	return true
}

// topLevel is the item that an event's test belongs to: the name before the first slash.
func topLevel(test string) string {
	top, _, _ := strings.Cut(test, "/")
	return top
}
