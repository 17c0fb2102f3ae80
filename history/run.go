package history

import "time"

// Verdict is what became of a test in a run.
type Verdict string

// The verdicts that a Run may have; they are the scheduler's.
const (
	Pass  Verdict = "pass"
	Fail  Verdict = "fail"
	Skip  Verdict = "skip"
	Crash Verdict = "crash"
)

// Flaky is what became of a test that failed and passed in one run; a TestRun says so by Failures.
const Flaky Verdict = "flaky"

// Run is what one run adds to a Book. The zero value of a field says that it is not known.
type Run struct {
	ID       string
	Time     time.Time // of its start
	Elapsed  time.Duration
	Command  []string // packages and go test flags as the user gave them
	Dist     string
	Stopped  string  // why it ended early, or ""
	Foreseen float64 // as in RunSummary
	Partial  bool    // only some subtests were asked for: those that are missing are not gone
	Tests    []TestRun
	Packages []PackageRun
	Hosts    []HostRun
	Lessons  []Lesson
	Units    []UnitRun // in the order in which they began
}

// TestRun is what became of a test.
type TestRun struct {
	Platform, Package string
	Test              string // name, or path of a subtest
	Gateway           string
	Verdict           Verdict
	Elapsed           time.Duration
	Expected          time.Duration // what the plan had for it; 0 is nothing
	Attempts          int
	Failures          int // how many attempts failed; with a Pass the test is flaky
}

// PackageRun is what was seen of a package.
type PackageRun struct {
	Platform, Package string
	Key               string        // digest of its binary
	Process           time.Duration // of one of its processes beyond its tests: start, init, TestMain
}

// HostRun is what was seen of a host.
type HostRun struct {
	Name     string
	Gateways []string      // on it
	Start    time.Duration // until the first of them took work
	Link     float64       // bytes of binaries per second that came there
}

// LessonKind says what a Lesson is about.
type LessonKind string

// The kinds of lessons.
const (
	Serial      LessonKind = "serial"      // processes of the package disturb each other, or tests of it fail when it is split
	Indivisible LessonKind = "indivisible" // the subtests of a test need each other, or what is around them
	Split       LessonKind = "split"       // the package was split, and no further attempt has changed a verdict
	Changed     LessonKind = "changed"     // it was, and one has
	Failed      LessonKind = "failed"      // a test has failed with a text whose fingerprint is Print
	Skipped     LessonKind = "skipped"     // a test or subtest was skipped, with a text whose fingerprint is Print
	Broken      LessonKind = "broken"      // the package failed though no test of it did, or did not build; with Undone it does not any more
	Red         LessonKind = "red"         // a test fails in a process of the whole package, and not apart; with Undone it does not any more
)

// Lesson is what a run found out about splitting.
type Lesson struct {
	Platform, Package string
	Test              string // of Indivisible, Failed, Skipped and Red
	Kind              LessonKind
	Until             string // digest of the package's binary: the lesson holds for this one; "" holds for good
	Print             uint64
	Undone            bool
}

// UnitRun is what one process ran, in its order.
type UnitRun struct {
	Gateway, Platform, Package string
	// Tests are names of top-level tests, or of subtests of one test, "TestX/a". "TestX/..." is all
	// of TestX but the subtests in Skip.
	Tests []string
	Skip  []string // by the last element of their names
}

// RunSummary is a run as a Book keeps it.
type RunSummary struct {
	ID         string
	Time       time.Time
	Elapsed    time.Duration
	Command    []string
	Dist       string
	Stopped    string
	Gateways   int
	Ran        []string      // ids of the gateways that ran something, in the order in which they began; nil in what older versions have recorded
	Tests      int           // top-level
	Failed     int           // of these, crashes included
	Predicted  int           // tests that a duration was expected of
	Expected   time.Duration // sum over these
	Actual     time.Duration // what the same tests took
	Total      time.Duration // what all tests took
	Bound      time.Duration // what the run could have taken by what was expected: the longest test, or an even share of the sum
	Foreseen   float64       // how long processes were to run as the plan had it at half of that time, in relation to how long they did; 0 is not known
	MedianMiss float64       // how far off the expectation of a test was in the middle, as a factor of at least 1; 0 is not known
}
