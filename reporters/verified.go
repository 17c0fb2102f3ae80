package reporters

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/fatih/color"

	"github.com/xdist-go/xdist/scheduler/event"
)

// closeVerified says of each failure that ran again in which of the three ways it fails.
func closeVerified(b *strings.Builder, all []event.Verification) {
	if len(all) == 0 {
		return
	}
	fmt.Fprintf(b, "\n=== %s\n", color.YellowString("Failures verified"))
	for _, v := range all {
		batch := "with its whole package"
		if v.Split {
			batch = "in its batch"
		}
		fmt.Fprintf(b, "%s: %s %s; again alone: %s; again with its whole package: %s%s\n",
			v.ID, v.Batch, batch, outcomeText(v.Alone), outcomeText(v.Whole), conclusion(v))
	}
}

func outcomeText(v event.Verdict) string { return cmp.Or(string(v), "unknown") }

// conclusion is what the three outcomes mean, or "" where they speak for themselves.
func conclusion(v event.Verification) string {
	fails := func(v event.Verdict) bool { return v == event.Fail || v == event.Crash }
	passes := func(v event.Verdict) bool { return v == event.Pass || v == event.Skip }
	switch {
	case v.SplitOnly() && fails(v.Alone):
		return " (it fails only when its package is split: it needs tests before it; --dist loadscope keeps packages whole)"
	case v.SplitOnly():
		return " (it fails only when its package is split; --dist loadscope keeps packages whole)"
	case fails(v.Whole) && passes(v.Alone):
		return " (other tests of its package make it fail)"
	case passes(v.Whole) && passes(v.Alone):
		return " (it did not fail again)"
	case fails(v.Alone) && passes(v.Whole):
		return " (it needs tests before it)"
	}
	return ""
}
