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
	final := map[string]event.Verdict{}
	for _, it := range j.summary.Durations {
		final[it.ID] = it.Verdict
	}
	for _, s := range j.suites {
		last := map[string]int{}
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
			c.outcome, c.message = errored, "no verdict: the run ended before the test did"
			j.end(s, c)
		}
	}
}

// settle takes over an item's verdict, and that it had more attempts. A failed attempt is only
// taken for less than a failure when the account says that the item did not fail.
func (c *testcase) settle(verdict event.Verdict, attempts int) {
	switch {
	case !c.bad():
	case c.attempt < attempts && (verdict == event.Pass || verdict == event.Skip || verdict == event.Flaky):
		c.outcome = skipped
		c.message = fmt.Sprintf("attempt %d of %d failed, the last did not", c.attempt, attempts)
	case c.attempt == attempts && verdict == event.Crash:
		c.outcome = errored
		c.message = c.lastWords()
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
// longer open by it.
func (j *JUnit) settleNotRun() {
	for _, it := range j.summary.NotRun {
		path, test, _ := strings.Cut(it.ID, "::")
		s := j.suite(path)
		for name := range s.open {
			if name == test || strings.HasPrefix(name, test+"/") {
				delete(s.open, name)
			}
		}
		begun := slices.IndexFunc(s.cases, func(c *testcase) bool { return c.name == test && c.outcome == skipped })
		if begun >= 0 {
			s.cases[begun].message = "not run: " + it.Reason
			continue
		}
		s.cases = append(s.cases, &testcase{name: test, outcome: skipped, message: "not run: " + it.Reason})
	}
}
