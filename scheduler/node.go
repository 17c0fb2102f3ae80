package scheduler

import (
	"context"
	"slices"
	"time"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/gotest/cover"
	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/scheduler/attempt"
	"github.com/xdist-go/xdist/scheduler/hostbuild"
	"github.com/xdist-go/xdist/scheduler/policy"
	"github.com/xdist-go/xdist/xspec"
)

// node is the controller's record of one worker. The loop owns it, and shares orders with the
// node's goroutine.
type node struct {
	id       string        // of the gateway
	replaces string        // id of the node in whose place it is, or ""
	pause    time.Duration // before it is opened; 0 is at once
	spec     xspec.Spec
	gw       *gateway.Gateway   // of an agent that has come by itself; nil is for one to be opened
	count    int                // gateways of the run so far
	placed   bool               // its platform is known, and pool is set or about to be
	pool     *pool              // nil while it is not placed
	ready    bool               // the worker answered
	info     gateway.Info       // when it is ready
	builder  hostbuild.Remote   // when it is ready: nil for one that cannot build
	job      *job               // the unit it runs, or nil
	refused  uint64             // its policy's stamp when there was nothing for it, or 0
	finish   context.CancelFunc // ends the node's goroutine and so its gateway

	orders *orders // shared with its goroutine
	conduct
}

// job is a unit that a node runs.
type job struct {
	pkg     *pkg
	unit    policy.Unit
	errand  errand
	started time.Time

	setting
	company
	heard
	testimony
	curbs
	clock
}

// setting is how the process of a job is made.
type setting struct {
	around    attempt.Around // what was to run beside it
	made      attempt.Before // what it runs
	first     bool           // of its package, as the plan has it: what it prints is shown as it comes
	untouched bool           // it runs the binary as go test does
}

// heard is what has come of a job.
type heard struct {
	items   map[string]*itemRun // by top-level test, items that have begun
	begun   []int               // items of the unit, as they began
	others  map[int]*itemRun    // items of the package that are not the unit's, in a process of the whole
	latest  string              // the item that began last and is not parked
	output  []test2json.Event   // package-level output that is not shown
	profile *cover.Intake       // in so far as it has come; nil is nothing
	doomed  bool                // an item has begun to print a panic, or what looks like one
	excused bool                // a test failed that is none of the unit's, and ran for the others' sake
}

// curbs are what ends a job before it ends by itself.
type curbs struct {
	limits    map[string]bool // tests that have one of losePatience
	overdue   time.Duration   // the limit that its culprit had, or 0
	told      telling         // to end, or nothing
	stood     bool            // the run stood still while it ran
	signalled bool            // its process has died of a signal, and its agent may follow
}

// telling is what a job was told while it ran, each more than the one before.
type telling int

const (
	toldNothing telling = iota
	toldQuit            // to show its goroutines, which ends it
	toldStop            // to end
)

func (j *job) stopped() bool { return j.told == toldStop }

// company is what ran beside a job.
type company struct {
	met  attempt.Around // the most at any time
	host *crowd         // it is part of, or nil where that does not matter
}

// has reports whether item i of the package is in the unit.
func (j *job) has(i int) bool {
	_, ok := slices.BinarySearch(j.unit.Items, i)
	return ok
}

// confirms reports whether the job is there to show tests that are on trial.
func (j *job) confirms() bool { return j.made != attempt.Unit && !j.first }

// division is what the job's unit are parts of, nil for tests.
func (j *job) division() *division {
	if d, ok := j.errand.(parts); ok {
		return d.division
	}
	return nil
}
