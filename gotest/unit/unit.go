package unit

import (
	"strings"
	"time"

	"github.com/xdist-go/xdist/gotest/test2json"
)

// Unit is what one test process runs: a test binary, and which of its tests. Run does not change
// it.
type Unit struct {
	// Package is the import path, the Package of the events.
	Package string
	// Binary is the absolute path of the test binary on this host. It becomes os.Args[0], and
	// programs look at its last element ("cobra.test"), so it should have the name that `go test`
	// would give it.
	Binary string
	// Args are the arguments that `go test -json` would pass: -test.* flags, then the user's. Run
	// replaces -test.run when Names is set, and -test.gocoverdir and -test.coverprofile as
	// CoverProfile says.
	Args []string
	Exec []string // wrapper command that runs the binary (go test's -exec), or nil
	Dir  string   // working directory: the package's directory on this host, absolute
	Env  []string // the whole environment, "K=V"; later entries win. Run adds PWD, and GOCOVERDIR for a covered binary

	// Names are the top-level tests, fuzz targets and examples to run, in the binary's order. Nil
	// runs the binary with its -test.run untouched, exactly as `go test` would: that is how a
	// package that is not split runs.
	Names []string

	// Part, unless nil, has the unit run only a part of a test, which is the one in Names.
	Part *Part

	// Timeout is `go test`'s -timeout, which it also passes on as -test.timeout; 0 is none. It sets
	// when a process that does not end itself is killed (Timeout + the larger of a minute and the
	// wait delay), and the wait delay: for how long the output may stay open after the process has
	// ended (the larger of 5 s and Timeout/10). With no timeout, and under -test.bench and
	// -test.fuzz, the process is never killed and the output is waited for without end, as in
	// `go test`.
	Timeout time.Duration

	// TestTimeout is how long one top-level test may run, not counting the time that it waits in
	// t.Parallel; 0 is no limit. TestTimeouts has those of single tests. The process of a test that
	// is out of time is ended, on Unix with a dump of its goroutines, which becomes output of the
	// test. Under -test.bench and -test.fuzz there is no such limit.
	TestTimeout  time.Duration
	TestTimeouts map[string]time.Duration

	// Damaged, unless nil, reports whether the binary is not what it was when it was made. It is
	// asked when a process has failed before its first test.
	Damaged func() bool `json:"-"`

	// Control, unless nil, reaches the process while it runs.
	Control *Control `json:"-"`

	CoverProfile bool   // write a text profile and return it in Result.Profile
	CoverMeta    string // directory of -coverpkg's metafiles, and of metafiles.txt, which names them relative to it; or ""

	// Streamed says that the output goes to the user as it comes, as that of `go test` without
	// package arguments does. The exit status of a failure is in the output then.
	Streamed bool
}

// Part is a part of a test: some of its subtests, or all but some. The test's own code runs in each
// of its parts.
type Part struct {
	Path []string // the test whose subtests it is about, from the top-level test down
	Only []string // the subtests of Path to run, by the last element of their names; nil is all but Skip
	Skip []string
}

// patterns are the -test.run and the -test.skip that run the part; skip is "" when nothing is to be
// left out.
func (p *Part) patterns() (run, skip string) {
	var elems []string
	for _, name := range p.Path {
		elems = append(elems, exactly([]string{name}))
	}
	run = strings.Join(elems, "/")
	switch {
	case p.Only != nil:
		run += "/" + exactly(p.Only)
	case len(p.Skip) > 0:
		skip = run + "/" + exactly(p.Skip)
	}
	return run, skip
}

// split reports whether the unit is a part of its package.
func (u Unit) split() bool { return u.Names != nil }

// Result is how a unit ended.
type Result struct {
	// Items says what happened to each top-level item that produced a run event or was asked for in
	// Names.
	Items map[string]Item

	ExitCode int    // of the process; -1 when it was ended by a signal or never started
	Signal   string // name of the signal that ended it ("killed"), or ""

	// Err says what went wrong beyond a bad exit status, or is "": the process could not be started
	// or waited for, its profile could not be read, or ctx ended it.
	Err string

	Started  bool // the process was started
	TimedOut bool // -test.timeout or the kill timer ended it
	// TestTimeout is what Culprit had when the process was ended because it took longer, or 0.
	// TimedOut is set too.
	TestTimeout time.Duration
	Incomplete  bool // a child kept the output open after the process had exited ("Test I/O incomplete")
	Interrupted bool // ctx ended it: items without an Action are nobody's fault
	// Damaged is what Unit.Damaged has said of a process that failed before its first test. The
	// lines about its end are not in the stream.
	Damaged bool
	Failed  bool // the package fails by this process, as `go test` has it

	// Culprit is the item to blame when the process died inside of a test, or "" when it did not
	// die, or died outside of tests (init, TestMain), or was interrupted. When
	// Items[Culprit].Action is "fail" the binary has reported it by itself; else the stream has no
	// terminal event for it, and the one who reports the run must make one.
	Culprit string

	// Panic is what the runtime printed last when the process died of a panic or a fatal error: the
	// text from "panic: " or "fatal error: " to the end of the output, at most 64 KiB of it. The
	// events have it as output of the test that printed last, which need not be Culprit.
	Panic string

	// Unfinished is the item in whose middle the process exited 0, or "". `go test` calls that a
	// pass, though it can be the end of a process that never came to its other tests; a test that
	// closes its standard output looks the same.
	Unfinished string

	// Changed names files, relative to the package's directory, that were made or changed while a
	// process ran that failed, and are still there: below the directory, and what tests may compare
	// with elsewhere in the module. It names a few of many.
	Changed []string

	// Wall is from before the start to the end of the output. It is without the time in which
	// Control has held the process, and so are the times of Items and of events.
	Wall    time.Duration
	Profile []byte // text cover profile, or nil

	// Verdict is the binary's closing line, "PASS" or "FAIL", or "" when it did not get that far.
	Verdict string
	// Coverage is the process's "coverage: 12.3% of statements" line without its newline, or ""
	// when the binary is not covered or did not print it. `go test` puts it on the ok line, after a
	// tab.
	Coverage string
	// Shuffle is the "-test.shuffle N" line without its newline, or "".
	Shuffle string
	// NoTests says that the binary printed "testing: warning: no tests to run".
	NoTests bool
	// Suffix is what `go test` appends to the ok line, such as " [no tests to run]".
	Suffix string
}

// Item is what one top-level test, fuzz target, example or benchmark came to in a process.
//
// Under -count and -cpu an item has several rounds. One that fails makes Action fail. Skip means
// that every round was skipped. Anything else is a pass, if all rounds ended: the action of an item
// whose last round did not end, or which has had fewer rounds than were asked for when the process
// died, is "".
type Item struct {
	Action  string        // pass, fail, skip; "" when there is no verdict. Benchmarks have none
	Started bool          // it has a run event
	Elapsed time.Duration // as the binary measured it, summed over the rounds
}

// Emit receives the events of a process in order, in batches, on one goroutine at a time. The slice
// is the callee's to keep. A slow Emit is back-pressure: the process blocks on its output. It must
// return when the ctx of Run ends.
//
// The events are those of `go test -json` for the package, without its start event, its last output
// (the ok or FAIL line) and its terminal event, which belong to the package as a whole and are made
// by the caller. The lines that `go test` itself writes before the FAIL line ("*** Test killed…",
// "exit status 2", "signal: killed", a newline that was missing) are in the stream.
//
// When the unit is a part of its package (Names is set) these lines of the binary, where they
// belong to no test, are held back and found in Result, so that the package can have each of them
// once: PASS and FAIL, "coverage: …", "-test.shuffle N" and "testing: warning: no tests to run".
// What init and TestMain print stays in the stream.
type Emit func([]test2json.Event)
