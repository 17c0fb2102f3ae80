package reporters

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/xdist-go/xdist/scheduler/event"
)

// settle brings the testcases in line with the account of the run, which knows more than the stream
// of events: crashes, later attempts that passed, and items that did not run.
func (j *JUnit) settle() {
	final := j.verdicts()
	for _, s := range j.suites {
		if !s.doubtful() {
			continue
		}
		last := map[string]int32{}
		for _, c := range s.cases {
			last[c.root()] = max(last[c.root()], c.attempt)
		}
		s.joinAttempts(last, final)
		s.dropMade(final)
		for _, c := range s.cases {
			c.settle(final[s.name+"::"+c.root()], last[c.root()])
		}
	}
	j.settleNotRun()
	for _, s := range j.suites {
		for _, name := range slices.Sorted(maps.Keys(s.open)) {
			c := s.open[name]
			c.outcome = errored
			c.remark().message = "no verdict: the run ended before the test did"
			j.end(s, c)
		}
	}
}

// doubtful reports whether the account may know more of the suite than the events: nothing is to be
// settled where all tests have passed in their only attempt.
func (s *suite) doubtful() bool {
	return slices.ContainsFunc(s.cases, func(c *testcase) bool { return c.bad() || c.attempt > 1 })
}

// verdicts are those of the account, by id, of the packages where they matter.
func (j *JUnit) verdicts() map[string]event.Verdict {
	doubtful := map[string]bool{}
	for _, s := range j.suites {
		if s.doubtful() {
			doubtful[s.name] = true
		}
	}
	final := map[string]event.Verdict{}
	for _, it := range j.summary.Durations {
		if pkg, _, _ := strings.Cut(it.ID, "::"); doubtful[pkg] {
			final[it.ID] = it.Verdict
		}
	}
	return final
}

// settle takes over an item's verdict, and that it had more attempts. A failed attempt is only
// taken for less than a failure when the account says that the item did not fail.
func (c *testcase) settle(verdict event.Verdict, attempts int32) {
	switch {
	case !c.bad():
	case c.attempt < attempts && (verdict == event.Pass || verdict == event.Skip || verdict == event.Flaky):
		c.outcome = skipped
		c.remark().message = fmt.Sprintf("attempt %d of %d failed, the last did not", c.attempt, attempts)
	case c.attempt == attempts && verdict == event.Crash:
		c.outcome = errored
		c.remark().message = c.lastWords()
	}
}

// lastWords is how xdist put the end of an item that could not say it itself.
func (c *testcase) lastWords() string {
	words := "crashed while running"
	if c.gateway != "" {
		words += " on " + c.gateway
	}
	for line := range strings.Lines(c.out.String()) {
		if text, ok := strings.CutPrefix(line, "xdist: "+c.name+" "); ok {
			words = strings.TrimSuffix(text, "\n")
		}
	}
	return words
}

// settleNotRun makes a skipped testcase of each item that did not run. One that had begun is no
// longer open by it, nor an error for the end of its package.
func (j *JUnit) settleNotRun() {
	for _, it := range j.summary.NotRun {
		path, test, _ := strings.Cut(it.ID, "::")
		s := j.suite(path)
		below := func(name string) bool { return strings.HasPrefix(name, test+"/") }
		for name := range s.open {
			if name == test || below(name) {
				delete(s.open, name)
			}
		}
		s.cases = slices.DeleteFunc(s.cases, func(c *testcase) bool { return c.message == packageEnded && below(c.name) })
		begun := slices.IndexFunc(s.cases, func(c *testcase) bool {
			return c.name == test && (c.outcome == skipped || c.message == packageEnded)
		})
		if begun < 0 {
			s.cases = append(s.cases, &testcase{name: test, outcome: skipped, remarks: &remarks{message: "not run: " + it.Reason}})
			continue
		}
		blamed := s.cases[begun].outcome == errored
		s.cases[begun].outcome = skipped
		s.cases[begun].remark().message = "not run: " + it.Reason
		if blamed {
			j.standIn(s) // it may have been all that told of the package's failure
		}
	}
}
