package reporters

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fatih/color"

	"github.com/xdist-go/xdist/reporters/failure"
	"github.com/xdist-go/xdist/scheduler/event"
)

// account is the end of FormatXdist: one sum, what failed with its place, and each thing that
// somebody may want to know once.
//
//	FAIL  2 of 465 tests, 2 skipped   1m55s (build 1m36s, tests 18.7s on 2 gateways)
//	  assert.TestDirExists    assert/assertions_test.go:2673   Should be true
//	  assert.TestNoDirExists  assert/assertions_test.go:2694   Should be false
//	again: xdist --last-failed
type account struct {
	begun    time.Time // of the run
	first    time.Time // when the first unit began
	awaited  string    // what it waited for: build or connect; "" is not known
	gateways map[string]bool
	failures []failure.Finding
	bytes    int // bytes of them
	more     int // failures beyond accountKept or accountBytes
	slow     []event.SlowTest
}

const (
	accountKept  = 10_000  // failures that are kept
	accountBytes = 8 << 20 // of their texts
	accountShown = 40      // that are named: the output above has all of them
	slowShown    = 5
	nameWidth    = 60 // the widest column of names and of places
	longestName  = 500
	// boundedBy is the part of the time of all tests from which one test alone made the run long.
	boundedBy = 0.6
	// boundedFrom is how long the tests must take for that to matter.
	boundedFrom = 2 * time.Second
)

// learn takes what the run says of itself.
func (a *account) learn(e event.Event) {
	switch e := e.(type) {
	case event.RunStarted:
		a.begun = e.Time
	case event.Resumed:
		a.begun = a.begun.Add(e.Stood)
		if !a.first.IsZero() {
			a.first = a.first.Add(e.Stood)
		}
	case event.GatewayUp:
		if a.first.IsZero() && a.awaited == "" {
			a.awaited = "build" // of which nothing was there before the first gateway
		}
	case event.Built:
		if a.first.IsZero() && a.awaited == "" && e.Ready {
			a.awaited = "connect"
		}
	case event.UnitStarted:
		if a.first.IsZero() {
			a.first = e.Time
		}
		if a.gateways == nil {
			a.gateways = map[string]bool{}
		}
		a.gateways[e.Gateway] = true
	case event.SlowTest:
		i := slices.IndexFunc(a.slow, func(s event.SlowTest) bool { return s.Package == e.Package && s.Test == e.Test })
		if i < 0 {
			a.slow = append(a.slow, e)
		}
	}
}

// failed takes what did not pass.
func (a *account) failed(e *failure.Ended) {
	for _, f := range e.Findings {
		size := len(f.Test) + len(f.Place.Message) + len(f.Path)
		if len(a.failures) == accountKept || a.bytes+size > accountBytes {
			a.more++
			continue
		}
		a.bytes += size
		a.failures = append(a.failures, f)
	}
}

// forget leaves out packages that failed only because tests of them were not run: these are listed
// with their reasons.
func (a *account) forget(incomplete map[string]bool) {
	a.failures = slices.DeleteFunc(a.failures, func(f failure.Finding) bool {
		return f.Test == "" && f.Unbuilt == "" && f.Place.Message == "" && incomplete[f.Package]
	})
}

// text is the account of a run.
func (a *account) text(e *event.RunEnded, d *digest) string {
	s, cfg := &e.Summary, d.console.cfg
	a.forget(s.Incomplete())
	var b strings.Builder
	a.sections(&b, s)
	b.WriteByte('\n')
	if s.Coverage != "" {
		fmt.Fprintln(&b, strings.TrimRight(s.Coverage, "\n"))
	}
	fmt.Fprintf(&b, "%s  %s   %s\n", verdictWord(e.Outcome()), s.Sums(failure.Alone(a.failures)), a.times(e))
	a.list(&b, d)
	if slowest := a.bound(e, d); slowest != "" {
		fmt.Fprintln(&b, slowest)
	}
	stopped := s.Stopped
	if e.Fatal != nil && e.Fatal.Error() == stopped {
		stopped = "" // that is said by whoever runs the run
	}
	closeEnded(&b, s.Interrupted, stopped)
	var hints []string
	if cfg.Again != "" && s.Failed+s.BuildFailed+s.Bad() > 0 {
		hints = append(hints, "again: "+cfg.Again)
	}
	if len(cfg.Reports) > 0 {
		hints = append(hints, "report: "+strings.Join(cfg.Reports, " "))
	}
	if len(hints) > 0 {
		fmt.Fprintln(&b, strings.Join(hints, "      "))
	}
	closeUnbalanced(&b, s)
	return b.String()
}

// sections are what stands above the sum: platforms, slow, not run.
func (a *account) sections(b *strings.Builder, s *event.Summary) {
	closePlatforms(b, s)
	a.closeSlow(b, s.Durations)
	if s.Interrupted { // whoever did that knows why, and reads a sum
		rest := *s
		rest.NotRun = slices.DeleteFunc(slices.Clone(s.NotRun), func(it event.NotRunItem) bool { return it.Reason == s.Stopped })
		s = &rest
	}
	closeNotRun(b, s)
}

// closeSlow lists the tests that were announced as slow, with what they took in the end.
func (a *account) closeSlow(b *strings.Builder, items []event.ItemSeconds) {
	announced := map[string]bool{}
	for _, s := range a.slow {
		announced[s.Package+"::"+s.Test] = true
	}
	var slow []event.ItemSeconds
	for _, it := range items {
		if announced[it.ID] {
			slow = append(slow, it)
		}
	}
	if len(slow) == 0 {
		return
	}
	slices.SortStableFunc(slow, func(x, y event.ItemSeconds) int { return cmp.Compare(y.Elapsed, x.Elapsed) })
	fmt.Fprintf(b, "\n=== %s\n", color.YellowString("Slow"))
	for _, it := range slow[:min(len(slow), slowShown)] {
		fmt.Fprintf(b, "%s  %s  %s\n", took(it.Elapsed.Seconds()), it.ID, it.Gateway)
	}
	if more := len(slow) - slowShown; more > 0 {
		fmt.Fprintf(b, "… and %d more\n", more)
	}
}

// verdictWord is the outcome as people look for it.
func verdictWord(o event.Outcome) string {
	switch o {
	case event.Failed:
		return color.RedString("FAIL")
	case event.NotDone:
		return color.YellowString("NOT DONE")
	}
	return color.GreenString("PASS")
}

// times is how long the run took, and what part of it the tests had.
func (a *account) times(e *event.RunEnded) string {
	text := took(e.Elapsed.Seconds())
	before, ok := a.before(e)
	if !ok {
		return text
	}
	return fmt.Sprintf("%s (%s %s, tests %s on %s)", text, cmp.Or(a.awaited, "build"), took(before.Seconds()), took((e.Elapsed - before).Seconds()), count(len(a.gateways), "gateway"))
}

// before is how long the run took before its first test, where that is known.
func (a *account) before(e *event.RunEnded) (time.Duration, bool) {
	before := a.first.Sub(a.begun)
	return before, !a.first.IsZero() && !a.begun.IsZero() && before >= 0 && before <= e.Elapsed
}

// bound names what made the run long: what came before the tests, or one test; "" when nothing did
// by itself.
func (a *account) bound(e *event.RunEnded, d *digest) string {
	before, ok := a.before(e)
	if !ok {
		return ""
	}
	if before >= boundedFrom && before.Seconds() >= boundedBy*e.Elapsed.Seconds() {
		what := "build"
		if a.awaited == "connect" {
			what = "connections to gateways"
		}
		return fmt.Sprintf("bounded by the %s: %s of %s", what, took(before.Seconds()), took(e.Elapsed.Seconds()))
	}
	if len(e.Summary.Durations) == 0 {
		return ""
	}
	tests := e.Elapsed - before
	longest := slices.MaxFunc(e.Summary.Durations, func(x, y event.ItemSeconds) int { return cmp.Compare(x.Elapsed, y.Elapsed) })
	if tests < boundedFrom || longest.Elapsed.Seconds() < boundedBy*tests.Seconds() {
		return ""
	}
	pkg, test, _ := strings.Cut(longest.ID, "::")
	return fmt.Sprintf("bounded by %s on %s: %s of %s", d.name(pkg, test), longest.Gateway, took(longest.Elapsed.Seconds()), took(tests.Seconds()))
}

// list names what failed, each with its place and the first that it says.
func (a *account) list(b *strings.Builder, d *digest) {
	type row struct{ name, place, message string }
	var rows []row
	names, places := 0, 0
	for _, f := range a.failures[:min(len(a.failures), accountShown)] {
		r := row{name: cut(d.name(f.Package, f.Test), longestName), message: f.Place.Message}
		if f.Unbuilt != "" { // the compiler's text is above, and once
			r.name, r.message = r.name+" ["+f.Unbuilt+"]", ""
		}
		r.place = d.console.sources.Place(f.Package, f.Place)
		names, places = max(names, cells(r.name)), max(places, cells(r.place))
		rows = append(rows, r)
	}
	for _, r := range rows {
		line := "  " + padded(r.name, min(names, nameWidth))
		if places > 0 {
			line += "  " + padded(r.place, min(places, nameWidth))
		}
		line = strings.TrimRight(line+"   "+r.message, " ")
		if width := d.console.cfg.Width; width != nil && !d.console.cfg.Apart {
			line = cut(line, max(width(), nameWidth))
		}
		fmt.Fprintln(b, line)
	}
	if more := len(a.failures) + a.more - len(rows); more > 0 {
		fmt.Fprintf(b, "  … and %d more\n", more)
	}
}

func padded(text string, width int) string {
	return text + strings.Repeat(" ", max(0, width-cells(text)))
}
