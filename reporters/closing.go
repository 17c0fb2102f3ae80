package reporters

import (
	"fmt"
	"strings"

	"github.com/fatih/color"

	"github.com/xdist-go/xdist/scheduler/event"
)

// notRunListed is how many of the items that did not run for one reason are named: after that many,
// the count and the reason tell more than the names.
const notRunListed = 10

// closing returns the lines after gotestsum's DONE: what gotestsum does not know of the run, and
// the account of it.
func closing(s event.Summary) string {
	var b strings.Builder
	closeCrashes(&b, s.Durations)
	closeFlaky(&b, s.Durations)
	closePlatforms(&b, s.Durations)
	closeNotRun(&b, s.NotRun)
	if s.Interrupted {
		fmt.Fprintf(&b, "%s the run was interrupted\n", color.YellowString("INTERRUPTED"))
	}
	if s.Stopped != "" {
		fmt.Fprintf(&b, "%s %s\n", color.YellowString("STOPPED"), s.Stopped)
	}
	if s.Coverage != "" {
		fmt.Fprintln(&b, strings.TrimRight(s.Coverage, "\n"))
	}
	closeAccount(&b, s)
	if s.Unbalanced != "" {
		fmt.Fprintf(&b, "%s the account of the run does not add up: %s\n", color.RedString("ERROR"), s.Unbalanced)
	}
	return b.String()
}

func closeCrashes(b *strings.Builder, items []event.ItemSeconds) {
	var crashed []string
	for _, it := range items {
		if it.Verdict == event.Crash {
			crashed = append(crashed, fmt.Sprintf("%s (%s)", it.ID, it.Gateway))
		}
	}
	if len(crashed) == 0 {
		return
	}
	fmt.Fprintf(b, "\n=== %s\n", color.RedString("Crashed"))
	for _, c := range crashed {
		fmt.Fprintln(b, c)
	}
}

func closeNotRun(b *strings.Builder, items []event.NotRunItem) {
	if len(items) == 0 {
		return
	}
	var reasons []string
	ids := map[string][]string{}
	for _, it := range items {
		if ids[it.Reason] == nil {
			reasons = append(reasons, it.Reason)
		}
		ids[it.Reason] = append(ids[it.Reason], it.ID)
	}
	fmt.Fprintf(b, "\n=== %s\n", color.YellowString("Not run"))
	for _, reason := range reasons {
		of := ids[reason]
		fmt.Fprintf(b, "%d: %s\n", len(of), reason)
		for _, id := range of[:min(len(of), notRunListed)] {
			fmt.Fprintf(b, "    %s\n", id)
		}
		if more := len(of) - notRunListed; more > 0 {
			fmt.Fprintf(b, "    … and %d more\n", more)
		}
	}
}

// closeAccount writes what became of the items: the verdicts that occurred, in a fixed order.
func closeAccount(b *strings.Builder, s event.Summary) {
	var parts []string
	for _, v := range []event.Verdict{
		event.Pass, event.Fail, event.Flaky, event.Skip, event.Crash, event.NotRun,
	} {
		if n := s.Counts[v]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, v))
		}
	}
	if s.Collected == 0 && len(parts) == 0 {
		return
	}
	fmt.Fprintf(b, "%s: %s", count(s.Collected, "item"), strings.Join(parts, ", "))
	if s.Failed > 0 {
		fmt.Fprintf(b, "; %s failed", count(s.Failed, "package"))
	}
	if s.BuildFailed > 0 {
		fmt.Fprintf(b, "; %s did not build", count(s.BuildFailed, "package"))
	}
	b.WriteByte('\n')
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
