package attempt

import (
	"slices"
	"time"
)

// Rule is a row of the table.
type Rule struct {
	Says string
	when func(*Case, Seen, Facts) bool
	then func(*Case, Seen, Facts) Decision
}

// Rules returns the table, in its order.
func Rules() []Rule { return slices.Clone(rules) }

// rules is the table. The first row that fits an attempt decides.
var rules = []Rule{
	{
		"a data race counts at once",
		ends(Raced), verdict(Fail),
	},
	{
		"the eighth attempt that says something counts as it is",
		func(c *Case, s Seen, _ Facts) bool { return c.heard == most-1 && s.End != CutOff && s.End != Lost },
		func(c *Case, s Seen, _ Facts) Decision { return Decision{Verdict: c.asItIs(s)} },
	},
	{
		"a failure that changed files of its package counts at once: the next attempt would find them",
		func(_ *Case, s Seen, _ Facts) bool { return s.End == Failed && s.Said.Changed && !s.Said.Contends },
		verdict(Fail),
	},
	{
		"who was running when an agent was lost runs alone; it counts if that agent is lost, too",
		func(c *Case, s Seen, _ Facts) bool { return s.End == Lost && c.lost > 0 && s.Before == Bare },
		verdict(Fail),
	},
	{
		"what a lost agent left open runs again",
		ends(Lost),
		func(_ *Case, s Seen, _ Facts) Decision { return next(s.Around, Bare) },
	},
	{
		"what another test cut off beside the rest of its package runs again when that has ended",
		func(_ *Case, s Seen, _ Facts) bool { return s.End == CutOff && s.Around == Package && s.Before > Bare },
		func(_ *Case, s Seen, _ Facts) Decision { return next(Host, s.Before) },
	},
	{
		"what another test cut off runs again",
		ends(CutOff),
		func(_ *Case, s Seen, _ Facts) Decision { return next(s.Around, Bare) },
	},
	{
		"what has run and does not run again counts as it was",
		func(c *Case, s Seen, _ Facts) bool { return s.End == Absent && c.done.has(missed) },
		func(c *Case, _ Seen, _ Facts) Decision { return Decision{Verdict: c.asItWas()} },
	},
	{
		"what has run and is not run by the whole is tried again as it was",
		func(c *Case, s Seen, _ Facts) bool { return s.End == Absent && s.Before == Whole && c.ran() },
		func(c *Case, s Seen, _ Facts) Decision {
			c.done |= missed
			return next(max(s.Around, Host), Bare)
		},
	},
	{
		"what the whole package does not run, and does when it is asked for, is not run",
		func(c *Case, s Seen, _ Facts) bool { return c.done.has(missed) && s.End != CutOff && s.End != Lost },
		verdict(NotRun),
	},
	{
		"a quick package that was split runs whole, and that counts",
		func(_ *Case, s Seen, f Facts) bool { return f.is(Quick) && s.Before != Whole },
		spareNext,
	},
	{
		"what the whole package does not run is not run",
		func(_ *Case, s Seen, _ Facts) bool { return s.End == Absent && s.Before == Whole },
		verdict(NotRun),
	},
	{
		"what its process does not run is tried in the whole",
		ends(Absent),
		wholeNext,
	},
	{
		"a process that fails for no test has its package run whole, which counts",
		func(_ *Case, s Seen, _ Facts) bool { return s.End == Tainted && s.Before != Whole },
		wholeNext,
	},
	{
		"a pass of what was red in the whole counts in the whole",
		func(_ *Case, s Seen, f Facts) bool {
			return (s.End == Passed || s.End == Lacking) && f.is(Red) && s.Before != Whole
		},
		wholeNext,
	},
	{
		"a skip, of subtests too, counts where earlier runs know it, and in the whole if it was there with nothing beside it",
		func(c *Case, s Seen, f Facts) bool {
			alone := s.Met == Nothing && (s.Before == Whole || c.done.has(skipped) && c.skippedIn == Whole)
			return skips(s) && (f.is(Skips) || alone || s.Before == Whole && c.done.has(skipped))
		},
		func(c *Case, s Seen, _ Facts) Decision { return Decision{Verdict: c.asItIs(s)} },
	},
	{
		"a skip that comes again with nothing beside it is tried in the whole, if there is time",
		func(c *Case, s Seen, f Facts) bool { return skips(s) && c.done.has(skipped) && f.is(Spare) },
		func(*Case, Seen, Facts) Decision {
			d := next(Host, Whole)
			d.Spare = true
			return d
		},
	},
	{
		"else it counts when it comes again",
		func(c *Case, s Seen, _ Facts) bool { return skips(s) && c.done.has(skipped) },
		func(c *Case, s Seen, _ Facts) Decision { return Decision{Verdict: c.asItIs(s)} },
	},
	{
		"any other skip is tried again with nothing beside it",
		func(_ *Case, s Seen, _ Facts) bool { return skips(s) },
		func(*Case, Seen, Facts) Decision { return next(Nothing, Bare) },
	},
	{
		"a pass of what skipped in the whole counts in the whole, with nothing beside it",
		func(c *Case, s Seen, _ Facts) bool {
			return s.End == Passed && c.skippedIn == Whole && s.Before != Whole
		},
		func(*Case, Seen, Facts) Decision { return next(Nothing, Whole) },
	},
	{
		"a pass counts among the tests that it had failed among",
		func(c *Case, s Seen, _ Facts) bool {
			return s.End == Passed && s.Before == Bare && c.first.Begun > 1 && c.owed < owedTries
		},
		func(c *Case, s Seen, _ Facts) Decision {
			c.owed++
			return next(max(s.Around, Host), Begun)
		},
	},
	{
		"a pass counts",
		func(_ *Case, s Seen, _ Facts) bool { return s.End == Passed || s.End == Tainted },
		verdict(Pass),
	},
	{
		"a failure with the text that the last run confirmed counts at once",
		func(_ *Case, s Seen, f Facts) bool { return told(s, f.Print) },
		verdict(Fail),
	},
	{
		"in a package that was split before without harm one confirmation with the same text is enough",
		func(c *Case, s Seen, f Facts) bool { return f.is(Proven) && c.failed > 0 && told(s, c.last) },
		verdict(Fail),
	},
	{
		"a failure that may need tests of other processes is tried in the whole, if there is time",
		func(_ *Case, s Seen, f Facts) bool { return s.Before != Whole && f.is(Spare) },
		spareNext,
	},
	{
		"a failure without the tests before it, with another text than it had, is tried among them",
		func(c *Case, s Seen, _ Facts) bool {
			return apart(s) && s.Before == Bare && c.failed > 0 && c.first.Begun > 1 && s.Said.Print != c.first.Said.Print && c.owed < owedTries
		},
		func(c *Case, s Seen, _ Facts) Decision {
			c.owed++
			return next(max(s.Around, Host), Begun)
		},
	},
	{
		"a failure with nothing of its package beside it, and no crowd, counts",
		func(_ *Case, s Seen, _ Facts) bool { return apart(s) },
		verdict(Fail),
	},
	{
		"a failure beside others of its package is tried again there, where that is cheap",
		func(c *Case, s Seen, f Facts) bool {
			tries := c.failed + 1
			cheap := tries <= besideTries && time.Duration(tries)*c.lasted(s) <= besideTime
			return s.Around == Package && s.Met == Package && cheap && !f.is(Brief) && !f.is(Hurry)
		},
		func(_ *Case, _ Seen, _ Facts) Decision { return next(Package, Begun) },
	},
	{
		"a failure on a host with more processes than processors is tried with nothing beside it",
		func(_ *Case, s Seen, _ Facts) bool { return s.Over && s.Met != Package },
		func(c *Case, s Seen, _ Facts) Decision { return next(Nothing, c.among(s)) },
	},
	{
		"any other failure is tried with nothing of its package beside it",
		func(*Case, Seen, Facts) bool { return true },
		func(c *Case, s Seen, _ Facts) Decision { return next(Host, c.among(s)) },
	},
}

func ends(end End) func(*Case, Seen, Facts) bool {
	return func(_ *Case, s Seen, _ Facts) bool { return s.End == end }
}

// skips reports whether a test was skipped, or subtests of it.
func skips(s Seen) bool { return s.End == Skipped || s.End == Lacking }

func verdict(v Verdict) func(*Case, Seen, Facts) Decision {
	return func(*Case, Seen, Facts) Decision { return Decision{Verdict: v} }
}

func next(around Around, before Before) Decision { return Decision{Next: Attempt{around, before}} }

// asItIs is the verdict of an attempt of which nothing is doubted.
func (c *Case) asItIs(s Seen) Verdict {
	switch s.End {
	case Passed, Lacking, Tainted:
		if c.failed > 0 && s.Before != Whole {
			return Fail
		}
		return Pass
	case Skipped:
		return Skip
	case Absent:
		return NotRun
	}
	return Fail
}

// ran reports whether an attempt has run the test to its end.
func (c *Case) ran() bool { return c.done.has(passed) || c.failed > 0 || c.done.has(skipped) }

// asItWas is the verdict of what the attempts before have said.
func (c *Case) asItWas() Verdict {
	switch {
	case c.failed > 0:
		return Fail
	case c.done.has(passed):
		return Pass
	}
	return Skip
}

// apart reports whether an attempt had nothing beside it that could have made it fail.
func apart(s Seen) bool { return s.Met != Package && (!s.Over || s.Met == Nothing) }

// told reports whether an attempt failed with a text that proves something, and it is this one.
func told(s Seen, print uint64) bool {
	return print != 0 && s.Said.Print == print && !s.Said.Contends
}

// lasted is how long the first failure took, which may be this one.
func (c *Case) lasted(s Seen) time.Duration {
	if c.failed == 0 {
		return s.Lasted
	}
	return c.first.Lasted
}

// among is which tests the process of an attempt after a failure runs.
func (c *Case) among(s Seen) Before {
	switch {
	case s.Before == Whole:
		return Whole
	case c.lasted(s) > bareTime && c.owed == 0:
		return Bare
	}
	return Begun
}

// wholeNext is an attempt in a process of the whole package, with no more beside it than before.
func wholeNext(_ *Case, s Seen, _ Facts) Decision { return next(max(s.Around, Host), Whole) }

// spareNext is wholeNext where less will do if the whole takes long.
func spareNext(c *Case, s Seen, f Facts) Decision {
	d := wholeNext(c, s, f)
	d.Spare = true
	return d
}
