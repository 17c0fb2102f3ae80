package reporters

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/fatih/color"

	"github.com/xdist-go/xdist/scheduler/event"
)

// closePlatforms names the tests that fail on some platforms and pass on others, in the order of
// the platforms that they fail on: what they have in common is then seen at a glance. A test that
// fails on one gateway of a platform fails on the platform.
func closePlatforms(b *strings.Builder, items []event.ItemSeconds) {
	type outcome struct{ failed, passed map[string]bool } // by platform
	tests := map[string]*outcome{}
	for _, it := range items {
		o := tests[it.Test]
		if o == nil {
			o = &outcome{map[string]bool{}, map[string]bool{}}
			tests[it.Test] = o
		}
		switch it.Verdict {
		case event.Fail, event.Crash:
			o.failed[it.Platform] = true
		case event.Pass, event.Flaky:
			o.passed[it.Platform] = true
		}
	}
	var lines []string
	for name, o := range tests {
		maps.DeleteFunc(o.passed, func(p string, _ bool) bool { return o.failed[p] })
		if len(o.failed) == 0 || len(o.passed) == 0 {
			continue
		}
		where := "on " + sortedNames(o.failed)
		if len(o.failed) == 1 {
			where += " only"
		} else {
			where += ", passes on " + sortedNames(o.passed)
		}
		lines = append(lines, fmt.Sprintf("fails %s: %s", where, name))
	}
	if len(lines) == 0 {
		return
	}
	slices.Sort(lines)
	fmt.Fprintf(b, "\n=== %s\n%s\n", color.RedString("Platforms"), strings.Join(lines, "\n"))
}

func sortedNames(set map[string]bool) string {
	return strings.Join(slices.Sorted(maps.Keys(set)), ", ")
}
