package reporters

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fatih/color"
	"gotest.tools/gotestsum/testjson"

	"github.com/xdist-go/xdist/scheduler/event"
)

// takeFlaky takes the failures of flaky tests out of those that the summary lists and counts, and
// returns a section with them: the run has not failed by them.
func takeFlaky(exec *testjson.Execution, items []event.ItemSeconds) string {
	flaky := map[string]bool{}
	for _, it := range items {
		if it.Verdict == event.Flaky {
			flaky[it.ID] = true
		}
	}
	if len(flaky) == 0 {
		return ""
	}
	var b strings.Builder
	for _, name := range exec.Packages() {
		p := exec.Package(name)
		p.Failed = slices.DeleteFunc(p.Failed, func(tc testjson.TestCase) bool {
			root, _ := tc.Test.Split()
			if !flaky[name+"::"+root] {
				return false
			}
			writeAttempt(&b, p, tc)
			return true
		})
	}
	return b.String()
}

// writeAttempt writes what a failed attempt printed, as testjson's summary has failures.
func writeAttempt(b *strings.Builder, p *testjson.Package, tc testjson.TestCase) {
	fmt.Fprintf(b, "\n=== %s: %s %s (%.2fs)\n", color.YellowString("FLAKY"), testjson.RelativePackagePath(tc.Package), tc.Test, tc.Elapsed.Seconds())
	for _, line := range p.OutputLines(tc) {
		if leading(strings.TrimLeft(line, " "), "=== RUN ", "=== PAUSE ", "=== CONT ", "--- FAIL: "+tc.Test.Name()+" ") == "" {
			b.WriteString(line)
		}
	}
}

// closeFlaky names the tests that failed at first and did not in the end.
func closeFlaky(b *strings.Builder, items []event.ItemSeconds) {
	header := fmt.Sprintf("\n=== %s\n", color.YellowString("Flaky"))
	for _, it := range items {
		if it.Verdict == event.Flaky {
			fmt.Fprintf(b, "%s%s (failed %s, passed on %s)\n", header, it.ID, times(it.Failures), it.Gateway)
			header = ""
		}
	}
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}
