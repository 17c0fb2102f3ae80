package event

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Outcome is a run in a word.
type Outcome int

// The outcomes.
const (
	Passed  Outcome = iota
	NotDone         // nothing has failed, and not all was done that was asked for
	Failed
)

func (o Outcome) String() string {
	switch o {
	case Passed:
		return "passed"
	case NotDone:
		return "not done"
	}
	return "failed"
}

// Outcome is what became of the run, for whoever looks at nothing else.
func (e RunEnded) Outcome() Outcome {
	switch s := &e.Summary; {
	case s.Failed+s.BuildFailed+s.Bad() > 0, s.Unbalanced != "", e.Fatal != nil && !s.Interrupted:
		return Failed
	case s.Interrupted, s.Stopped != "", s.NothingRan != "", s.Collected == 0 && s.Shards == "":
		return NotDone
	}
	return Passed
}

// Bad is how many items failed, crashes included.
func (s Summary) Bad() int { return s.Counts[Fail] + s.Counts[Crash] }

// Sums is how many items did what: "2 of 465 tests, 2 skipped". alone is how many packages failed
// though none of their tests did.
func (s Summary) Sums(alone int) string {
	text := plural(s.Collected, "test")
	if bad := s.Bad(); bad > 0 {
		text = fmt.Sprintf("%d of %s", bad, text)
	}
	for _, p := range []struct {
		n    int
		text string
	}{
		{s.Counts[Crash], fmt.Sprintf("%d of them crashed", s.Counts[Crash])},
		{s.Counts[Skip], fmt.Sprintf("%d skipped", s.Counts[Skip])},
		{s.Counts[Flaky], fmt.Sprintf("%d flaky", s.Counts[Flaky])},
		{s.Counts[NotRun], fmt.Sprintf("%d not run", s.Counts[NotRun])},
		{alone, plural(alone, "package") + " failed though no test did"},
		{s.BuildFailed, plural(s.BuildFailed, "package") + " did not build"},
		{s.LeftOut, fmt.Sprintf("%d left out", s.LeftOut)},
	} {
		if p.n > 0 {
			text += ", " + p.text
		}
	}
	return text
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Reason is why items did not run.
type Reason struct {
	Text string
	IDs  []string
}

// Reasons are why items did not run, in the order in which they came.
func (s Summary) Reasons() []Reason {
	var reasons []Reason
	index := map[string]int{}
	for _, it := range s.NotRun {
		i, ok := index[it.Reason]
		if !ok {
			i = len(reasons)
			index[it.Reason] = i
			reasons = append(reasons, Reason{Text: it.Reason})
		}
		reasons[i].IDs = append(reasons[i].IDs, it.ID)
	}
	return reasons
}

// Incomplete are the packages, as events have them, of which items did not run.
func (s Summary) Incomplete() map[string]bool {
	packages := map[string]bool{}
	for _, it := range s.NotRun {
		pkg, _, _ := strings.Cut(it.ID, "::")
		packages[pkg] = true
	}
	return packages
}

// Slowest are the n items that took longest, of those that took least or more.
func (s Summary) Slowest(n int, least time.Duration) []ItemSeconds {
	items := slices.DeleteFunc(slices.Clone(s.Durations), func(it ItemSeconds) bool { return it.Elapsed < least })
	slices.SortStableFunc(items, func(a, b ItemSeconds) int { return cmp.Compare(b.Elapsed, a.Elapsed) })
	return items[:min(len(items), n)]
}

// Platforms are the platforms on which items ran, sorted.
func (s Summary) Platforms() []string {
	all := map[string]bool{}
	for _, it := range s.Durations {
		all[it.Platform] = true
	}
	return slices.Sorted(maps.Keys(all))
}

// Difference is a test that ran in several places and does not fare alike in them.
type Difference struct {
	Test     string             // importpath::TestName
	Verdicts map[string]Verdict // by platform, or by gateway; a test that it does not have there has none
}

// Differences are those of platforms, sorted by test. A test that fails on one gateway of a
// platform fails there.
func (s Summary) Differences() []Difference {
	if len(s.Platforms()) < 2 {
		return nil
	}
	return s.differences(func(it ItemSeconds) string { return it.Platform })
}

// DifferencesOfGateways are those of gateways of which each runs all tests.
func (s Summary) DifferencesOfGateways() []Difference {
	return s.differences(func(it ItemSeconds) string { return it.Gateway })
}

func (s Summary) differences(place func(ItemSeconds) string) []Difference {
	// Nearly all tests fare alike wherever they run: they have no map of their own.
	first, verdicts := make(map[string]Verdict, len(s.Durations)), map[string]map[string]Verdict{}
	for _, it := range s.Durations {
		if v, ok := first[it.Test]; !ok {
			first[it.Test] = it.Verdict
		} else if v != it.Verdict && it.Test != "" {
			verdicts[it.Test] = map[string]Verdict{}
		}
	}
	for _, it := range s.Durations {
		of := verdicts[it.Test]
		if of == nil {
			continue
		}
		if v := of[place(it)]; v != Fail && v != Crash {
			of[place(it)] = it.Verdict
		}
	}
	var found []Difference
	for test, of := range verdicts {
		seen := map[Verdict]bool{}
		for _, v := range of {
			seen[v] = true
		}
		if len(seen) > 1 {
			found = append(found, Difference{test, of})
		}
	}
	slices.SortFunc(found, func(a, b Difference) int { return strings.Compare(a.Test, b.Test) })
	return found
}

// On are the places in which the test has one of the verdicts, sorted.
func (d Difference) On(verdicts ...Verdict) []string {
	var platforms []string
	for p, v := range d.Verdicts {
		if slices.Contains(verdicts, v) {
			platforms = append(platforms, p)
		}
	}
	slices.Sort(platforms)
	return platforms
}
