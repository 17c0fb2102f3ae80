package reporters

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/fatih/color"

	"github.com/xdist-go/xdist/scheduler/event"
)

// differencesListed is how many tests that do not fare alike are named.
const differencesListed = 40

// closePlatforms is a table of the tests that fail on some platforms and pass on others, in the
// order of the platforms that they fail on: what they have in common is then seen at a glance. A
// test that fails on one gateway of a platform fails on the platform. Where all gateways are of one
// platform, and each runs all tests, the columns are gateways.
func closePlatforms(b *strings.Builder, s *event.Summary) {
	all, title := s.Differences(), "Platforms"
	if len(s.Platforms()) < 2 {
		all, title = s.DifferencesOfGateways(), "Gateways"
	}
	var found []event.Difference
	skips := 0
	columns := map[string]bool{}
	for _, d := range all {
		switch failed, passed := d.On(event.Fail, event.Crash), d.On(event.Pass, event.Flaky); {
		case len(failed) > 0 && len(passed) > 0:
			found = append(found, d)
			for place := range d.Verdicts {
				columns[place] = true
			}
		case len(failed) == 0 && len(passed) > 0 && len(d.On(event.Skip)) > 0:
			skips++
		}
	}
	if len(found) == 0 {
		return
	}
	slices.SortStableFunc(found, func(x, y event.Difference) int {
		return slices.Compare(x.On(event.Fail, event.Crash), y.On(event.Fail, event.Crash))
	})
	fmt.Fprintf(b, "\n=== %s\n", color.RedString(title))
	writeDifferences(b, found[:min(len(found), differencesListed)], slices.SortedFunc(maps.Keys(columns), byName))
	if more := len(found) - differencesListed; more > 0 {
		fmt.Fprintf(b, "… and %d more\n", more)
	}
	if skips > 0 {
		fmt.Fprintf(b, "%s skipped on some only\n", count(skips, "more test"))
	}
}

// byName puts gw2 before gw10.
func byName(x, y string) int {
	if strings.HasPrefix(x, "gw") && strings.HasPrefix(y, "gw") {
		return cmp.Or(cmp.Compare(len(x), len(y)), cmp.Compare(x, y))
	}
	return cmp.Compare(x, y)
}

// writeDifferences writes a line for each test with a column for each place.
func writeDifferences(b *strings.Builder, found []event.Difference, places []string) {
	width := 0
	for _, d := range found {
		width = max(width, cells(cut(printable(d.Test), longestName)))
	}
	head := strings.Repeat(" ", width)
	for _, place := range places {
		head += "  " + padded(place, len(event.Crash))
	}
	fmt.Fprintln(b, strings.TrimRight(head, " "))
	for _, d := range found {
		line := padded(cut(printable(d.Test), longestName), width)
		for i, place := range places {
			text := cmp.Or(string(d.Verdicts[place]), "-")
			space := strings.Repeat(" ", max(0, max(cells(place), len(event.Crash))-len(text)))
			if i == len(places)-1 {
				space = ""
			}
			if v := d.Verdicts[place]; v == event.Fail || v == event.Crash {
				text = color.RedString(text)
			}
			line += "  " + text + space
		}
		fmt.Fprintln(b, line)
	}
}
