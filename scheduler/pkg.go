package scheduler

import (
	"crypto/sha256"
	"io"
	"strings"
	"time"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/gotest/unit"
	"github.com/xdist-go/xdist/scheduler/policy"
)

// pkg is the controller's record of one package on one target. The loop owns it.
type pkg struct {
	target *target
	num    policy.PackageID
	path   string // import path
	shown  string // as events name it: with the gateway under --dist each
	names  []string
	index  map[string]int
	ready  *gotest.Ready

	verdicts []Verdict // by item
	attempts []int     // by item: how often it was given out
	open     int       // items without a verdict

	state      pkgState
	running    int  // units in flight
	units      int  // units given out so far
	disturbed  bool // its units disturb each other: one at a time from now on
	unruly     bool // its processes run what they were not asked for
	start      time.Time
	failed     bool
	counted    bool                       // as a failure, for --maxfail
	whole      bool                       // its last unit was all of it
	remnants   map[string]remnant         // by item
	doubts     map[int]*doubt             // failures that were put aside, by item
	setbacks   map[int]*setback           // failures that are followed by another attempt, by item
	unsplit    map[int]bool               // items that failed in a process that ran all of the package
	spent      time.Duration              // by its items that have a verdict
	results    []unit.Result              // of its units, in the order in which they ended
	seenOutput map[[sha256.Size]byte]bool // package-level output of its units: what each process repeats is shown once
}

type pkgState int

const (
	pkgExpected pkgState = iota // collected, no binary yet
	pkgRunnable                 // the policy has it
	pkgClosed                   // its terminal event is out
)

func (p *pkg) id(i int) string { return gotest.ID(p.shown, p.names[i]) }

// settled reports whether nothing of the package is left to run.
func (p *pkg) settled() bool {
	return p.state == pkgRunnable && p.open == 0 && p.running == 0 && p.units > 0
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
