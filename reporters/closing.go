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
	closePlatforms(&b, &s)
	closeNotRun(&b, &s)
	closeEnded(&b, s.Interrupted, s.Stopped)
	if s.Coverage != "" {
		fmt.Fprintln(&b, strings.TrimRight(s.Coverage, "\n"))
	}
	closeAccount(&b, s)
	closeUnbalanced(&b, &s)
	return b.String()
}

// closeEnded says what ended the run before its time, closeUnbalanced that an account of it cannot
// be believed.
func closeEnded(b *strings.Builder, interrupted bool, stopped string) {
	if interrupted {
		fmt.Fprintf(b, "%s the run was interrupted\n", color.YellowString("INTERRUPTED"))
	}
	if stopped != "" && stopped != "interrupted" {
		fmt.Fprintf(b, "%s %s\n", color.YellowString("STOPPED"), stopped)
	}
}

func closeUnbalanced(b *strings.Builder, s *event.Summary) {
	if s.Unbalanced != "" {
		fmt.Fprintf(b, "%s the account of the run does not add up: %s\n", color.RedString("ERROR"), s.Unbalanced)
	}
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

func closeNotRun(b *strings.Builder, s *event.Summary) {
	if len(s.NotRun) == 0 {
		return
	}
	fmt.Fprintf(b, "\n=== %s\n", color.YellowString("Not run"))
	for _, r := range s.Reasons() {
		fmt.Fprintf(b, "%d: %s\n", len(r.IDs), r.Text)
		for _, id := range r.IDs[:min(len(r.IDs), notRunListed)] {
			fmt.Fprintf(b, "    %s\n", id)
		}
		if more := len(r.IDs) - notRunListed; more > 0 {
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
	if s.LeftOut > 0 {
		fmt.Fprintf(b, "; %d left out", s.LeftOut)
	}
	b.WriteByte('\n')
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
