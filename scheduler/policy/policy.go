package policy

import (
	"fmt"
	"time"
)

// Mode is how a package may be spread.
type Mode int

const (
	Load      Mode = iota // a package may run in several units at once, what lasts longest first
	LoadScope             // a package is one unit, on one node
	WorkSteal             // each node has a contiguous share of the collection, and takes half of another's when it has run its own
)

// Config of a Policy. The zero value is load with the documented defaults.
type Config struct {
	Mode Mode
	// MaxBytes bounds the sum of len(name)+1 over the items of a unit that is not the whole
	// package; 0 is 24 KiB, which stays below the 32 KiB command line of Windows and the 128 KiB
	// argument of Linux. A single longer name is a unit of its own.
	MaxBytes int
	// PerHost is how many units a host may have at once, however many nodes it has; 0 is any
	// number.
	PerHost int
	// InOrder has packages that run in one process begin in the order in which they were added,
	// whatever they cost and wherever their binaries are.
	InOrder bool
	// Target is how long a unit should run once durations are known; 0 is 500 ms. Units are shorter
	// at the end of a run, and longer where a process costs much or the run is so long that it
	// makes no difference.
	Target time.Duration
}

// PackageID and NodeID are the caller's; a PackageID is given to AddPackage once.
type (
	PackageID int
	NodeID    string
)

// Package is what AddPackage makes runnable.
type Package struct {
	ID          PackageID
	Items       []Item        // in the binary's order; may be empty: the binary still runs once
	Families    []Demand      // what Item.Family is an index of; empty is one family that demands nothing
	ProcessCost time.Duration // expected of a process beyond its items; 0 is not known
	Size        int64         // bytes of the binary, which is sent to each Store once; 0 costs nothing

	// Spread is how far the package may be spread. One that is not Divisible has one family,
	// whatever its items say; it demands what any of Families does.
	Spread Spread
}

// Spread is how far a package may be spread, from most to least.
type Spread int

const (
	Divisible Spread = iota // several units of it may run at once
	Serial                  // at most one unit in flight; as from Serialize, but from the start
	Whole                   // never split (benchmarks, fuzzing, profiles, shuffle, failfast)
	Alone                   // never split, and nothing else runs on its host meanwhile
)

// Item is one test, or a part of one.
type Item struct {
	Name    string        // for MaxBytes
	Cost    time.Duration // expected on a node of speed 1; 0 is not known (a known cost of nothing is given as 1 ns)
	Dormant bool          // not pending until Wake: the whole of a test that was divided into parts, in case a part fails
	Family  int           // index into Package.Families; items of different families never share a unit
	First   bool          // given out before all else, as what came back from a unit; no difference with WorkSteal
}

// Demand is what running an item takes beyond a node. The zero value is nothing.
type Demand struct {
	Group     string     // all items of a group, of whatever package, run on one node, as long as that node is there
	Exclusive bool       // nothing else runs on its host meanwhile
	Resources []Resource // all of them at once
	Requires  []string   // labels that the node must have
	Weight    int        // how many of its host's nodes it occupies, at most all of them; 0 is 1
}

// Resource is a semaphore across all nodes. Units of it are taken while a unit of work runs, when
// with them at most Limit are taken, or when none was: who needs more than there is runs alone.
// Zero Units and a zero Limit are 1.
type Resource struct {
	Name         string
	Units, Limit int
}

// Node is where units run, one at a time.
type Node struct {
	Host   string   // nodes with the same Host share a machine
	Store  string   // where the binaries that were sent there are kept; "" has all that there are. See SetLink and Hold
	Labels []string // what Demand.Requires asks for
	Speed  float64  // an item of cost c lasts c/Speed; 0 is 1. It is corrected by what is seen of the host
}

// Unit is a piece of work that Next gives out.
type Unit struct {
	Package PackageID
	Items   []int // indices into Package.Items, ascending; empty when the package has no items
	Whole   bool  // Items are all items of the package: run the binary untouched
}

// Outcome is what became of a unit.
type Outcome struct {
	Done     []ItemTime    // items that have a verdict
	Requeue  []int         // items that go back to pending
	Retry    []int         // items that go back too, to run together when nothing else of the package is pending but what is parked
	Park     []int         // items that go back too, to run when nothing else of the package is left; the four together are the unit's items
	Ran      []ItemTime    // of items that go back: what they took, where that says what they cost
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
// Calls that cannot happen in a correct caller (an unknown node or package, an Outcome that does
// not match the unit) panic with a text that begins with "BUG: ".
type Policy struct {
	cfg Config
	roster
	shelves
	totals
	announced
	news
	estimates
	sized bool       // some package has a Size
	links linkSpeeds // of the nodes
}

// roster is what there is, by the names that the caller gave.
type roster struct {
	packages map[PackageID]*pkg
	nodes    map[NodeID]*node
	hosts    map[string]*host
	stores   map[string]*store
	groups   map[string]*group
	used     map[string]int // units of resources that are taken
	arrivals int            // packages added so far
	families int64          // so far
}

// shelves are where Next looks for work. placeFamily owns them.
type shelves struct {
	plain   *shelf
	bounden []*shelf // of demands that only some nodes can meet at a time, in the order in which they were first seen
	sharing sharing  // WorkSteal: who owns what
	returns int64    // families put into a queue of batches that came back, so far
}

// totals are sums over the packages and hosts.
type totals struct {
	pending, running int // items
	parked           int // of pending, items that are put aside
	pendingRuns      int // packages whose binary is to run without items
	units            int // in flight
	freeHosts        int // that run nothing and are kept free for nothing
}

// announced is what Expect and NoMore have said.
type announced struct {
	expectItems, expectPackages int
	expectCost                  time.Duration
	noMore                      bool
}

// news tells whether it is worth to ask again for what got nothing: see Stamp and resign.
type news struct {
	changes int // so far, of what may make a store that has resigned want something after all
	ends    int // of units, so far
	round   int // grows when as many have ended as make a store that has resigned look again, by the nodes at that time
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
		cfg: cfg,
		roster: roster{
			packages: map[PackageID]*pkg{},
			nodes:    map[NodeID]*node{},
			hosts:    map[string]*host{},
			stores:   map[string]*store{},
			groups:   map[string]*group{},
			used:     map[string]int{},
		},
		shelves: shelves{plain: &shelf{class: &class{weight: 1}}},
	}
}

// Expect sets how many items and packages are collected but not runnable yet, because they are
// still being built, and what those items cost of which it is known. It makes units larger: there
// is more to come for the other nodes. Wrong numbers cost time, never tests.
func (p *Policy) Expect(items, packages int, cost time.Duration) {
	p.expectItems, p.expectPackages, p.expectCost = items, packages, cost
}

// NoMore says that AddPackage will not be called again. It also sets what is expected to nothing.
func (p *Policy) NoMore() {
	p.noMore = true
	p.Expect(0, 0, 0)
}

// Pending is the number of items that wait for a node.
func (p *Policy) Pending() int { return p.pending }

// Waiting reports whether anything waits for a node, packages without items included, and not for
// the end of what others run. Without, Next has nothing for any node.
func (p *Policy) Waiting() bool { return p.pending > p.parked || p.pendingRuns > 0 }

// Running is the number of items in the units that nodes have now.
func (p *Policy) Running() int { return p.running }

// Idle reports whether nothing is pending and no unit is in flight, packages without items
// included.
func (p *Policy) Idle() bool { return p.pending == 0 && p.pendingRuns == 0 && p.units == 0 }

// Done reports whether the run is over: Idle, and no package will come. A Wake makes it false
// again.
func (p *Policy) Done() bool { return p.noMore && p.Idle() }

func bug(format string, args ...any) {
	panic("BUG: policy: " + fmt.Sprintf(format, args...))
}
