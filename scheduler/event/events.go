package event

import (
	"time"

	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/history"
)

// Event is one step of a run. The controller makes them in one linear order and hands each to the
// Reporter from one goroutine. The concrete types are the structs of this file.
type Event interface{ event() }

// RunStarted is the first event of every run.
type RunStarted struct {
	Time     time.Time
	RunID    string   // XDIST_TESTRUNUID
	Dist     string   // load, loadscope, each, no
	Specs    []string // one per gateway, in order
	Command  []string // the packages and go test flags as the user gave them
	Workdir  string
	Hostname string
	Shard    string // "2/3" when others run the rest, or ""

	Version   string // of xdist
	GoVersion string // "go1.26.1", of the go command
	Platform  string // of the controller
}

// Collected says how much there is to do on one platform, under --dist each on one gateway of it.
// Items counts test ids.
type Collected struct {
	Time     time.Time
	Platform string // "linux/amd64"
	Packages int
	Items    int
	Dirs     map[string]string // of the packages that are on this machine, absolute, by import path
}

// Listening says that agents may join the run at Addr, which is known before the first event of a
// gateway.
type Listening struct {
	Spec string
	Addr string // host:port
}

// Built says what has become of a package: its test binary is ready, or there will be none, because
// it does not build, has no tests, or none is for this platform.
type Built struct {
	Time     time.Time
	Platform string
	Package  string // as in UnitStarted
	Ready    bool
}

// GatewayOpening says that a gateway is being connected to, or replaced.
type GatewayOpening struct {
	Time    time.Time
	Gateway string // id: gw0
	Spec    string
}

// BuildStep says what the go command does that builds for a platform: a tool and what it works on,
// "" for nothing that is known. It comes when that changes, once a second at most.
type BuildStep struct {
	Time     time.Time
	Platform string
	Step     string
}

// Sending says how many bytes have been sent to a host so far: of the tree, packed, and of
// binaries. It comes a few times a second while something is sent.
type Sending struct {
	Time     time.Time
	Hostname string
	Bytes    int64
}

// GatewayUp says that a gateway answered and takes work.
type GatewayUp struct {
	Time     time.Time
	Gateway  string // id: gw0
	Spec     string
	Hostname string
	Platform string
	Pid      int
}

// GatewayDown says that a gateway ended before the run did.
type GatewayDown struct {
	Time    time.Time
	Gateway string
	Reason  string
}

// UnitStarted says that a gateway was given a unit.
type UnitStarted struct {
	Time    time.Time
	Gateway string
	Package string
	Items   int      // 0 for a package without tests
	Tests   []string // the tests, or the subtests, that its process runs; a part that is all of a test but some ends in "/..."
	Skip    []string // of such a part: the subtests that it leaves out, by the last element of their names
	Key     string   // digest of the package's binary
}

// UnitEnded says that the unit which this gateway ran is over, in whatever way.
type UnitEnded struct {
	Time    time.Time
	Gateway string
	Package string
}

// Test is one event of the merged `go test -json` stream. Each package has exactly one start and
// one terminal event in it, each attempt of a test one run and one terminal event; a package whose
// build failed has build-output and build-fail events (no Package, an ImportPath) before its start.
//
// With Dist "each" Package carries the gateway, `example.com/m/p [gw1]`, and where gateways are of
// several platforms it carries the platform: `example.com/m/p [linux/arm64]`,
// `example.com/m/p [gw1 linux/arm64]`.
type Test struct {
	test2json.Event
	Gateway string // "" for events that cmd/go or the controller made
	// Platform is what the package was built for: "linux/arm64".
	Platform string
	Attempt  int // 1 for the first run of an item on this run
	// Again says that this fail event does not count, as its item runs again by Config.Reruns.
	// Subtests that were shown before their item had failed do not know.
	Again bool
	Done  int // items that have a verdict so far, this event included
	Total int // items collected
}

// Progress says that a test of a gateway's unit has begun, paused, gone on or ended just now. Test
// tells the same, and what the test printed, when the item that it belongs to has ended.
type Progress struct {
	Gateway string
	Time    time.Time
	Action  string // run, pause, cont, pass, fail, skip
	Package string
	Test    string
	// Expected is how long an item that begins to run will take, as the plan has it; 0 is not
	// known.
	Expected time.Duration
}

// Estimate says how long the run will still last, as far as the plan can tell. The last one counts;
// they come once a second at most, and when a gateway comes.
type Estimate struct {
	Time time.Time
	Left time.Duration
}

// Suspected says that an attempt at a test has failed and that there will be another one, because
// of the rule that Why says.
type Suspected struct {
	Time    time.Time
	Gateway string
	Package string
	Test    string
	Why     string
	// Said is what the attempt has said. It is the controller's: Handle may read it until it
	// returns.
	Said []test2json.Event
}

// SlowTest says that a test has been running for longer than Config.Slow, and comes again each time
// that it has taken twice as long.
type SlowTest struct {
	Time    time.Time
	Gateway string
	Package string
	Test    string
	Running time.Duration
}

// Running is what the gateways run, as somebody has asked who watches the run.
type Running struct {
	Time     time.Time
	Gateways []GatewayRuns // that are up, gw2 before gw10
}

// GatewayRuns is what one gateway runs.
type GatewayRuns struct {
	Gateway string
	Package string        // "" when it is idle
	For     time.Duration // that its process has run
	Tests   []TestRuns    // that have begun and not ended, at most MostRunning: those that have run longest first
	More    int           // tests beyond that
	Output  string        // the last lines of a process none of whose tests runs
}

// TestRuns is a test that has begun and not ended.
type TestRuns struct {
	Test     string // with the subtest that began last and has not ended
	For      time.Duration
	Expected time.Duration // what the plan had for it; 0 is nothing
	Waits    bool          // in t.Parallel
	Output   string        // the last lines that it has printed
}

// MostRunning is how many tests of a gateway a Running names.
const MostRunning = 8

// Suspended says that the run stands still until Resumed: its process is about to be stopped, as by
// Ctrl-Z.
type Suspended struct{ Time time.Time }

// Resumed says that the run goes on. Elapsed of RunEnded, and the times of tests, are without
// Stood.
type Resumed struct {
	Time  time.Time
	Stood time.Duration
}

// Stderr is text for the user's standard error that belongs to no package: what the go command
// wrote there.
type Stderr struct{ Text string }

// Warning is something the user should know and that changes no verdict, one line without a
// newline.
type Warning struct{ Text string }

// Learned is what the run has found out about splitting, for later ones.
type Learned struct{ history.Lesson }

// RunEnded is the last event of every run.
type RunEnded struct {
	Time    time.Time
	Elapsed time.Duration
	Summary Summary
	Fatal   error // what kept the run from coming to its end, or nil
}

func (RunStarted) event()     {}
func (Estimate) event()       {}
func (BuildStep) event()      {}
func (Sending) event()        {}
func (Collected) event()      {}
func (Listening) event()      {}
func (Built) event()          {}
func (GatewayOpening) event() {}
func (GatewayUp) event()      {}
func (GatewayDown) event()    {}
func (UnitStarted) event()    {}
func (UnitEnded) event()      {}
func (Test) event()           {}
func (Progress) event()       {}
func (Suspected) event()      {}
func (SlowTest) event()       {}
func (Running) event()        {}
func (Suspended) event()      {}
func (Resumed) event()        {}
func (Stderr) event()         {}
func (Warning) event()        {}
func (Learned) event()        {}
func (RunEnded) event()       {}

// Verdict is what became of one collected item.
type Verdict string

// The verdicts. Every collected item has exactly one at the end of a run.
const (
	Pass   Verdict = "pass"
	Fail   Verdict = "fail"
	Flaky  Verdict = "flaky" // failed at first, and did not in a later attempt of Config.Reruns
	Skip   Verdict = "skip"
	Crash  Verdict = "crash"   // its process or its agent died while it ran
	NotRun Verdict = "not-run" // with a reason in Summary.NotRun
)

// Summary is the account of a run.
type Summary struct {
	Collected   int
	Counts      map[Verdict]int
	NotRun      []NotRunItem  // every item without a run, with its reason
	Failed      int           // packages that failed, build failures excluded
	BuildFailed int           // packages that did not build, vet failures and setup failures included
	Interrupted bool          // by a signal
	Stopped     string        // why the run ended early (--maxfail …), or ""
	Coverage    string        // total coverage line, or ""
	Shards      string        // gotest.Listed.Shards, of all platforms
	Flags       string        // gotest.Command.RunFlags
	LeftOut     int           // tests that were asked to be left out of what the packages have: --last-failed, --stepwise
	Unbalanced  string        // what does not add up, or "": the accounting is broken
	NothingRan  string        // why a run in which no test ran is no pass, or ""
	Durations   []ItemSeconds // every item that ran, in the order of completion
	// Links are how many bytes per second of binaries came to hosts, by their names, as far as
	// enough was sent to tell. Binaries are compressed on the way: these are bytes of the files.
	Links map[string]float64
}

// NotRunItem is an item without a verdict of its own.
type NotRunItem struct {
	ID     string // importpath::TestName, with what Package carries in the events
	Reason string
}

// ItemSeconds is how long one item took.
type ItemSeconds struct {
	ID       string // as NotRunItem has it
	Test     string // importpath::TestName, whatever Package carries in the events
	Platform string
	Gateway  string
	Elapsed  time.Duration // of the last attempt
	Expected time.Duration // what the plan had for it; 0 is nothing
	Verdict  Verdict
	Failures int // attempts that failed and were followed by another one
}

// Reporter receives the events of a run, all from one goroutine. An error from Handle stops
// nothing: the controller keeps the first one and returns it at the end of the run, because a
// report that could not be written must not pass for a green one.
type Reporter interface {
	Handle(Event) error
	// Close is called once, after RunEnded. A run that cannot begin calls neither Handle nor Close.
	Close() error
}
