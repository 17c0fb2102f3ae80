package scheduler

import (
	"fmt"
	"slices"
	"time"

	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/scheduler/event"
)

// startPackage makes the start event of a package, once.
func (c *controller) startPackage(p *pkg) {
	if !p.start.IsZero() {
		return
	}
	p.start = time.Now()
	c.emit(c.packageEvent(p, test2json.Event{Time: p.start, Action: test2json.ActionStart, Package: p.shown}))
}

// close makes the last events of a package that ran, as `go test` and the binary would have made
// them had it run in one process: PASS or FAIL, the coverage, the ok or FAIL line, and the terminal
// event.
func (c *controller) close(p *pkg) {
	p.leaveBuild(pkgClosed)
	// Only a process of the whole that passed with it may think nothing of a failure.
	p.failed = p.failed || p.hasFailure() && !p.lenient
	if c.stopped != "" && !p.failed && (p.units == 0 || p.cutShort()) {
		c.closeStopped(p)
		return
	}
	c.startPackage(p)
	p.failed = p.failed || len(p.results) == 0
	if c.stopped == "" && p.vouched == vouchedEmpty && p.cutShort() && p.hasRun() {
		p.failed, p.unity = true, unityNeeded
		c.packageOutput(p, "xdist: no process of this package does anything once one has run, and that had only some of its tests; --dist loadscope runs all in one\n")
	}
	if p.failed {
		c.failed++
		if c.stopped == "" && !p.hasFailure() {
			c.failures++ // of none of its tests
		}
	}
	coverage := c.coverage(p)
	for _, line := range p.closingLines(coverage) {
		c.packageOutput(p, line)
	}
	elapsed := time.Since(p.start)
	if p.ranWhole() {
		elapsed = p.results[0].Wall
	}
	action := test2json.ActionPass
	if p.failed {
		action = test2json.ActionFail
		c.packageOutput(p, fmt.Sprintf("FAIL\t%s\t%.3fs\n", p.shown, elapsed.Seconds()))
	} else {
		c.packageOutput(p, fmt.Sprintf("ok  \t%s\t%.3fs%s%s\n", p.shown, elapsed.Seconds(), tabbed(coverage), p.suffix()))
	}
	seconds := elapsed.Round(time.Millisecond).Seconds()
	c.emit(c.packageEvent(p, test2json.Event{Time: time.Now(), Action: action, Package: p.shown, Elapsed: &seconds}))
	c.tell(p)
	p.forget(&c.account)
}

// closeStopped ends a package that the end of the run has cut short, which is no failure of its
// own. Of one that had not begun nothing is said, as by go test.
func (c *controller) closeStopped(p *pkg) {
	if !p.start.IsZero() {
		c.packageOutput(p, fmt.Sprintf("xdist: %s was not run to its end: %s\n", p.shown, c.stopped))
		seconds := time.Since(p.start).Round(time.Millisecond).Seconds()
		c.emit(c.packageEvent(p, test2json.Event{Time: time.Now(), Action: test2json.ActionSkip, Package: p.shown, Elapsed: &seconds}))
	}
	p.forget(&c.account)
}

// hasRun reports whether an item of the package has run to its end.
func (p *pkg) hasRun() bool {
	return slices.ContainsFunc(p.verdicts, func(v event.Verdict) bool { return v == event.Pass || v == event.Fail || v == event.Skip })
}

// cutShort reports whether an item of the package has not run.
func (p *pkg) cutShort() bool { return slices.Contains(p.verdicts, event.NotRun) }

// forget gives up what a closed package has no use for.
func (p *pkg) forget(a *account) {
	p.dropResults()
	for _, t := range p.trials {
		t.drop()
	}
	for _, d := range p.divisions {
		d.forget(a)
	}
	p.seenOutput, p.trials, p.setbacks, p.remnants = nil, nil, nil, nil
	if p.counts == nil {
		p.ready = nil
	}
}

// ranWhole reports whether one process ran all of the package: it has printed its closing lines
// itself.
func (p *pkg) ranWhole() bool { return len(p.results) == 1 && p.results[0].all }

// hasFailure reports whether a test of the package counts as a failure.
func (p *pkg) hasFailure() bool {
	return slices.Contains(p.verdicts, event.Fail) || slices.Contains(p.verdicts, event.Crash)
}

// closingLines are the lines that a binary ends with and that the processes of a split package have
// held back.
func (p *pkg) closingLines(coverage string) []string {
	if p.ranWhole() || len(p.results) == 0 {
		return nil
	}
	var lines []string
	verdict := ""
	for _, r := range p.results {
		if r.Failed && r.Verdict == "" {
			verdict = "" // it died, and so would the one process of go test have
			break
		}
		if verdict != "FAIL" {
			verdict = r.Verdict
		}
	}
	if verdict != "" {
		lines = append(lines, verdict+"\n")
	}
	if coverage != "" {
		lines = append(lines, coverage+"\n")
	}
	return lines
}

// suffix is what the ok line ends with: of several processes, what all of them say.
func (p *pkg) suffix() string {
	suffix := p.results[0].Suffix
	for _, r := range p.results[1:] {
		if r.Suffix != suffix {
			return ""
		}
	}
	return suffix
}

func tabbed(s string) string {
	if s == "" {
		return ""
	}
	return "\t" + s
}
