package policy

import (
	"fmt"
	"time"
)

// Mode is how a package may be spread.
type Mode int

const (
	Load      Mode = iota // a package may run in several units at once
	LoadScope             // a package is one unit, on one node
)

// Config of a Policy. The zero value is load with the documented defaults.
type Config struct {
	Mode Mode
	// MaxBytes bounds the sum of len(name)+1 over the items of a unit that is not the whole package; 0 is 24 KiB, which stays
	// below the 32 KiB command line of Windows and the 128 KiB argument of Linux. A single longer name is a unit of its own.
	MaxBytes int
	// Target is how long a unit should run once durations are known; 0 is 500 ms. Units are shorter at the end of a
	// run, and longer where a process costs much or the run is so long that it makes no difference.
	Target time.Duration
}

// PackageID and NodeID are the caller's; a PackageID is given to AddPackage once.
type (
	PackageID int
	NodeID    string
)

// Package is what AddPackage makes runnable.
type Package struct {
	ID    PackageID
	Names []string // item names in the binary's order; may be empty: the binary still runs once
	Whole bool     // never split (benchmarks, fuzzing, profiles, shuffle, failfast)
	Alone bool     // nothing else runs on its host meanwhile; implies Whole
}

// Unit is a piece of work that Next gives out.
type Unit struct {
	Package PackageID
	Items   []int // indices into Package.Names, ascending; empty when the package has no items
	Whole   bool  // Items are all items of the package: run the binary untouched
}

// Outcome is what became of a unit.
type Outcome struct {
	Done     []ItemTime    // items that have a verdict
	Requeue  []int         // items that go back to pending
	Doubt    []int         // items that go back too, to run when nothing else of the package is left; the three together are the unit's items
	Overhead time.Duration // wall time of the process beyond its items: init, TestMain, start
}

// ItemTime is how long one item of a unit ran.
type ItemTime struct {
	Item    int
	Elapsed time.Duration
}

// Withdrawn are items of one package that left the run without having been given out.
type Withdrawn struct {
	Package PackageID
	Items   []int // ascending; empty for a package without items whose run was withdrawn
}

// Policy is the state of one run. Use it from one goroutine. Its methods never block.
//
// Calls that cannot happen in a correct caller (an unknown node or package, an Outcome that does not match the unit) panic with a text that
// begins with "BUG: ".
type Policy struct {
	cfg      Config
	packages map[PackageID]*pkg
	nodes    map[NodeID]*node
	hosts    map[string]*host
	arrivals int // packages added so far

	// Where Next looks for work; place decides which queue a package is in.
	alone queue // packages that need a host of their own, most items first
	again queue // packages with batches that came back, first come first served
	fresh queue // packages no unit of which was given out, most items first
	open  queue // started packages with more to give, most work per node first

	pending, running int   // items
	pendingRuns      int   // packages without items that have not run
	units            int   // in flight
	returns          int64 // packages put into again so far

	expectItems, expectPackages int
	noMore                      bool

	// What size estimates from.
	seen       sample        // of all packages
	freshItems int           // in packages that were not started
	left       time.Duration // estimate of what is pending in started packages
}

// New returns a Policy without packages and nodes.
func New(cfg Config) *Policy {
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = 24 << 10
	}
	if cfg.Target == 0 {
		cfg.Target = defaultTarget
	}
	return &Policy{
		cfg:      cfg,
		packages: map[PackageID]*pkg{},
		nodes:    map[NodeID]*node{},
		hosts:    map[string]*host{},
	}
}

// Expect sets how many items and packages are collected but not runnable yet, because they are still being built. It
// makes units larger: there is more to come for the other nodes. Wrong numbers cost time, never tests.
func (p *Policy) Expect(items, packages int) {
	p.expectItems, p.expectPackages = items, packages
}

// NoMore says that AddPackage will not be called again. It also sets what is expected to nothing.
func (p *Policy) NoMore() {
	p.noMore = true
	p.Expect(0, 0)
}

// Pending is the number of items that wait for a node.
func (p *Policy) Pending() int { return p.pending }

// Running is the number of items in the units that nodes have now.
func (p *Policy) Running() int { return p.running }

// Idle reports whether nothing is pending and no unit is in flight, packages without items included.
func (p *Policy) Idle() bool { return p.pending == 0 && p.pendingRuns == 0 && p.units == 0 }

// Done reports whether the run is over: Idle, and no package will come.
func (p *Policy) Done() bool { return p.noMore && p.Idle() }

func bug(format string, args ...any) {
	panic("BUG: policy: " + fmt.Sprintf(format, args...))
}
