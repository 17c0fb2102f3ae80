package scheduler

import (
	"context"
	"time"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/gotest/store"
	"github.com/xdist-go/xdist/history"
	"github.com/xdist-go/xdist/scheduler/event"
	"github.com/xdist-go/xdist/scheduler/hosts"
	"github.com/xdist-go/xdist/xspec"
)

// Dist is how tests are spread over the gateways.
type Dist string

// The modes of --dist.
const (
	DistLoad      Dist = "load"      // a package may run on several gateways at once
	DistWorkSteal Dist = "worksteal" // each gateway has a share, and takes half of another's when it has run its own
	DistLoadScope Dist = "loadscope" // a package stays on one gateway, in one process
	DistLoadFile  Dist = "loadfile"  // the tests of one source file stay on one gateway: the Source makes groups of them
	DistLoadGroup Dist = "loadgroup" // load: tests that ask for a group have it under every mode
	DistEach      Dist = "each"      // every gateway runs everything
	DistNo        Dist = "no"        // one gateway, a package in one process
)

// Dists are all modes.
func Dists() []Dist {
	return []Dist{DistLoad, DistWorkSteal, DistLoadScope, DistLoadFile, DistLoadGroup, DistEach, DistNo}
}

// Config of a run. Group, Specs, Source, Command and Reporter must be set; the zero value of every
// other field is its documented default.
type Config struct {
	Group   *gateway.Group // empty; Run opens its gateways and terminates it
	Specs   []xspec.Spec   // one per gateway that runs tests, and one per listener for any number of them
	Proxies []xspec.Spec   // of gateways that others only go through; each has an id
	Source  Source
	Mend    Mender // nil mends nothing
	Command *gotest.Command
	History *history.Book // what earlier runs taught; nil is nothing
	// Circumstances tells apart what tests can see beside their binary: flags and environment. The
	// text of a failure proves nothing where they are others than in the run that confirmed it.
	Circumstances uint64
	Mirror        *hosts.Mirror // for gateways that do not share the controller's files; nil when all do

	Dist Dist // "" is load
	// Replay has the units that each of Specs, none of which is a listener, is to run in its order,
	// and nothing else; nil is no replay. Only with DistLoad.
	Replay           [][]history.UnitRun
	RunID            string
	RunDir           string           // private directory of the run, which the caller removes
	Platform         gotest.Platform  // what the Source builds for the zero Platform: GOOS and GOARCH
	Toolchain        gotest.Toolchain // the controller's own: what hosts with build=remote are to know of it; all or nothing may be set
	TestEnv          []string         // more of the environment of tests: NAME=VALUE
	Live             bool             // pass a test's events on as they come, mixed with those of other tests, and not when it has ended
	MaxFail          int              // stop after so many failures; 0 is never
	Reruns           Reruns           // of failed tests
	TestTimeout      time.Duration    // how long one top-level test may run; 0 is no limit. See unit.Unit
	Slow             time.Duration    // a test that runs for longer is announced by an event, and again when it has run for twice as long, and so on; 0 is never
	FailedFirst      bool             // give tests out first that failed when History saw them last, and packages that failed by themselves; not with DistWorkSteal
	MaxFailWait      bool             // MaxFail lets units that run end, and does not end them at once
	LongTest         time.Duration    // a test that is known to last longer is divided into its subtests; 0 is what the plan says, negative none
	MinNodes         int              // gateways that must be there before the first test runs; 0 is any
	NodesWait        time.Duration    // how long the run waits for them, or with a listener for any when none is left; 0 is 2 min
	AllowMissing     bool             // a gateway that cannot be opened is a warning while there are others
	MaxWorkerRestart int              // how many gateways that died are replaced; 0 is eight per gateway, negative none
	TerminateTimeout time.Duration    // for the gateways to end; 0 is 10 s
	Reporter         event.Reporter
	Requests         <-chan Request   // what somebody wants who watches the run; nil is nobody. The controller takes it until the run is over
	CacheSize        int64            // bytes of binaries, builds and agents that other hosts keep; 0 is as much as a store does, negative no bound
	Warnings         []string         // for the reporter, from before the run
	Started          event.RunStarted // what the first event says; Time and RunID are filled in
}

// Source lists and builds the packages of a run for a platform; it is called once for each,
// concurrently, with the zero one for what the go command does by itself. It calls emit, from one
// goroutine at a time, with one gotest.Listed first and then with what becomes of each package, and
// returns when there is no more to come. Cancelling ctx ends it soon.
type Source func(ctx context.Context, platform gotest.Platform, emit func(gotest.BuildEvent)) error

// Mender looks at the binary of a package that the Source has made, and makes it again when it is
// damaged. It returns the package as it is now, and whether it was made again. It may be called
// concurrently for several packages.
type Mender func(ctx context.Context, platform gotest.Platform, r gotest.Ready) (mended gotest.Ready, made bool, err error)

const (
	restartsPerGateway      = 8
	defaultTerminateTimeout = 10 * time.Second
	defaultNodesWait        = 2 * time.Minute
)

func (c Config) withDefaults() Config {
	if c.Dist == "" {
		c.Dist = DistLoad
	}
	if c.Dist == DistNo {
		c.Specs = c.Specs[:1]
	}
	if c.MaxWorkerRestart == 0 {
		c.MaxWorkerRestart = restartsPerGateway * len(c.Specs)
	}
	if c.CacheSize == 0 {
		c.CacheSize = store.DefaultMaxBytes
	}
	if c.NodesWait == 0 {
		c.NodesWait = defaultNodesWait
	}
	if c.TerminateTimeout == 0 {
		c.TerminateTimeout = defaultTerminateTimeout
	}
	return c
}
