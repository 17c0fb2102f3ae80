package attempt

import "time"

// Around is what runs beside an attempt on its host, from most to least.
type Around int

const (
	Package Around = iota // other processes of its package, and other packages
	Host                  // other packages only
	Nothing
)

// Before is which tests of its package an attempt's own process runs, from least to most.
type Before int

const (
	Unit  Before = iota // what the plan put together
	Bare                // the tests in question
	Begun               // those too that had begun where the test failed first
	Whole               // all of the package, as go test runs it
)

// Attempt is how an attempt is made. The zero value is the plan's own.
type Attempt struct {
	Around Around
	Before Before
}

// End is how an attempt ended.
type End int

const (
	Passed End = iota
	Skipped
	Lacking // it passed, and subtests of it were skipped
	Failed  // or died, or hung beyond a limit of xdist's own
	Raced   // with a data race
	Absent  // its process ended in order and had not begun it
	Tainted // it passed, and its process failed for no test that is known
	CutOff  // another test ended its process
	Lost    // its agent was lost
)

// Said is what an attempt that failed told beside that.
type Said struct {
	Print    uint64 // of its text, see Fingerprint; 0 is no text
	Contends bool   // the text speaks of something that another process may have had, see Contends
	Changed  bool   // its process made or changed files of the package that are still there
}

// Seen is what became of one attempt.
type Seen struct {
	Attempt        // how it was made
	Met     Around // the most that ran beside it at any time
	Over    bool   // its host had more processes than processors at some time
	End     End
	Said    Said
	Lasted  time.Duration // of its process, until the test ended
	Begun   int           // tests that had begun in its process, itself included
}

// Facts are of the test, its package and the run, at the time of an attempt's end.
type Facts struct {
	True  Fact   // those that are true
	Print uint64 // of the failure of the test that the last run confirmed, or 0
}

// Fact is a set of facts; each constant is one.
type Fact uint8

const (
	Quick     Fact = 1 << iota // as far as is known all of the package takes no time worth mentioning, and it was split
	Spare                      // there is time for a run of the whole package; what may wait has more than what has failed
	Brief                      // the rest of the package will have ended sooner than another attempt
	Hurry                      // the user waits for the verdict, or two processes of the package cannot run at once
	Proven                     // earlier runs have split the package, and no confirmation has changed a verdict
	Skips                      // in an earlier run the test skipped where nothing was beside it, or all those subtests did
	Red                        // the test failed in the whole when it was last there, and passed elsewhere
	everyFact = 1<<iota - 1
)

// Note adds a fact if it is true.
func (f *Facts) Note(fact Fact, isTrue bool) {
	if isTrue {
		f.True |= fact
	}
}

func (f Facts) is(fact Fact) bool { return f.True&fact != 0 }

// Verdict of a test.
type Verdict int

const (
	Open Verdict = iota // there is a next attempt
	Pass
	Skip
	Fail
	NotRun
)

// Decision is a verdict, or the next attempt while that is Open.
type Decision struct {
	Verdict Verdict
	Next    Attempt
	Spare   bool   // a Whole next that less will do for, should it turn out to take long
	Why     string // the rule that decided
}

const (
	most        = 8                // attempts that say something of a test
	owedTries   = 2                // attempts among the tests that it failed among, after it did otherwise without them
	besideTries = 2                // attempts beside the rest of the package
	besideTime  = 10 * time.Second // that they may take together
	bareTime    = time.Second      // where the tests before took longer, the next attempt is made without them first
)

// Case is one test whose verdict is open. The zero value has seen nothing.
type Case struct {
	heard     int  // attempts that said something
	first     Seen // its first failure
	last      uint64
	failed    int // attempts
	lost      int // attempts
	owed      int // how often it passed, or failed with another text, without tests that it had failed among
	done      done
	skippedIn Before // the process in which it was skipped last
}

// done is what attempts have come to, a set.
type done uint8

const (
	passed  done = 1 << iota
	skipped      // or subtests were
	missed       // the whole did not run it, after an attempt that had
)

func (d done) has(one done) bool { return d&one != 0 }

// Tries is how many attempts have failed.
func (c *Case) Tries() int { return c.failed }

// Apart reports whether an attempt has passed.
func (c *Case) Apart() bool { return c.done.has(passed) }

// Begun is how many tests had begun in the process in which it failed first.
func (c *Case) Begun() int { return c.first.Begun }

// Add takes what became of an attempt and decides.
func (c *Case) Add(s Seen, f Facts) Decision {
	if s.End == Lacking && c.failed > 0 {
		s.End = Passed // whether it fails is what matters
	}
	for i := range rules {
		if r := &rules[i]; r.when(c, s, f) {
			d := r.then(c, s, f)
			d.Why = r.Says
			c.note(s)
			return d
		}
	}
	panic("BUG: attempt: no rule fits")
}

// note keeps what later decisions need to know of an attempt.
func (c *Case) note(s Seen) {
	if s.End != CutOff && s.End != Lost {
		c.heard++
	}
	switch s.End {
	case Failed:
		if c.failed++; c.failed == 1 {
			c.first = s
		}
		c.last = s.Said.Print
	case Passed, Tainted:
		c.done |= passed
	case Skipped, Lacking:
		c.done, c.skippedIn = c.done|skipped, s.Before
	case Lost:
		c.lost++
	}
}
