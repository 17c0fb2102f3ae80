package reporters

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/xdist-go/xdist/scheduler/event"
)

// DurationsConfig says what Durations writes. The zero value lists every item on standard output.
type DurationsConfig struct {
	Out   io.Writer // nil: os.Stdout
	Count int       // how many items; 0: all of them, negative: none
}

// Durations lists the slowest items when the run has ended, slowest first, each with its gateway
// and, where it did not pass, its verdict. Where the plan expected a duration of any of them, that
// stands beside the actual one.
type Durations struct {
	cfg DurationsConfig
}

// NewDurations returns a Durations for cfg. The writer stays the caller's.
func NewDurations(cfg DurationsConfig) *Durations {
	if cfg.Out == nil {
		cfg.Out = os.Stdout
	}
	return &Durations{cfg: cfg}
}

// Handle writes the list on RunEnded. Items that took equally long come in the order of their ids,
// so that two runs compare.
func (d *Durations) Handle(e event.Event) error {
	end, ok := e.(event.RunEnded)
	if !ok || d.cfg.Count < 0 || len(end.Summary.Durations) == 0 {
		return nil
	}
	items := slices.Clone(end.Summary.Durations)
	slices.SortStableFunc(items, func(a, b event.ItemSeconds) int {
		return cmp.Or(cmp.Compare(b.Elapsed, a.Elapsed), cmp.Compare(a.ID, b.ID))
	})
	if d.cfg.Count > 0 && d.cfg.Count < len(items) {
		items = items[:d.cfg.Count]
	}
	return d.write(items, len(end.Summary.Durations))
}

// Close does nothing.
func (d *Durations) Close() error { return nil }

func (d *Durations) write(items []event.ItemSeconds, all int) error {
	gateways, seconds, expected := 0, 0, 0
	for _, it := range items {
		gateways = max(gateways, len(it.Gateway))
		seconds = max(seconds, len(secondsText(it.Elapsed)))
		expected = max(expected, len(expectedText(it)))
	}
	w := bufio.NewWriter(d.cfg.Out)
	fmt.Fprintf(w, "\n=== Slowest %d of %d items\n", len(items), all)
	for _, it := range items {
		fmt.Fprintf(w, "%*s  ", seconds, secondsText(it.Elapsed))
		if expected > 0 {
			fmt.Fprintf(w, "%-*s  ", expected, expectedText(it))
		}
		fmt.Fprintf(w, "%-*s  %s", gateways, it.Gateway, it.ID)
		if it.Verdict != event.Pass {
			fmt.Fprintf(w, " (%s)", it.Verdict)
		}
		fmt.Fprintln(w)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("write list of durations: %w", err)
	}
	return nil
}

func secondsText(d time.Duration) string { return fmt.Sprintf("%.2fs", d.Seconds()) }

// expectedText is "" when nothing was expected.
func expectedText(it event.ItemSeconds) string {
	if it.Expected <= 0 {
		return ""
	}
	return "(expected " + secondsText(it.Expected) + ")"
}
