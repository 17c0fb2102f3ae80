package scheduler

import (
	"fmt"
	"time"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/gotest/unit"
	"github.com/xdist-go/xdist/scheduler/event"
)

// ledger is the account of a run: every collected item gets exactly one verdict. The controller's
// loop owns it.
type ledger struct {
	collected int
	settled   int // items that have a verdict
	counts    map[event.Verdict]int
	notRun    []event.NotRunItem
	durations []event.ItemSeconds
	faults    []string // what does not add up
}

func newLedger() *ledger { return &ledger{counts: make(map[event.Verdict]int)} }

// collect adds the items of a package to what has to be accounted for.
func (l *ledger) collect(n int) { l.collected += n }

// settle books a verdict for item i of p. A second verdict for one item is a fault: it is kept and
// reported, because a run whose sum is wrong must not end green.
func (l *ledger) settle(p *pkg, i int, v event.Verdict, elapsed time.Duration, gateway, reason string) {
	id := p.id(i)
	if had := p.verdicts[i]; had != "" {
		l.faults = append(l.faults, fmt.Sprintf("%s has two verdicts, %s and %s", id, had, v))
		return
	}
	p.verdicts[i] = v
	p.open--
	p.noteCrash(v)
	if t := p.trials[i]; t != nil {
		t.drop()
	}
	l.settled++
	l.counts[v]++
	if v == event.NotRun {
		l.notRun = append(l.notRun, event.NotRunItem{ID: id, Reason: reason})
		return
	}
	l.durations = append(l.durations, event.ItemSeconds{ID: id, Test: gotest.ID(p.path, p.names[i]), Platform: p.pool.supply.name, Gateway: gateway, Elapsed: elapsed, Expected: p.expected[i], Verdict: v, Failures: p.failuresOf(i)})
}

// replace changes the verdict of an item that has run.
func (l *ledger) replace(p *pkg, i int, v event.Verdict) {
	l.counts[p.verdicts[i]]--
	l.counts[v]++
	p.verdicts[i] = v
	p.noteCrash(v)
	for k := range l.durations {
		if l.durations[k].ID == p.id(i) {
			l.durations[k].Verdict = v
		}
	}
}

// vouch takes note of a process that has passed with all tests of its package to run. ran says
// whether it ran any, as far as is known.
func (p *pkg) vouch(r unit.Result, whole, ran bool) {
	switch {
	case !whole || !r.Started || r.Failed:
	case ran:
		p.vouched = max(p.vouched, vouchedTests)
	default:
		p.vouched = vouchedEmpty
	}
}

// nothingRan is why a run is no pass in which no test ran, or "". One where a process of a whole
// package has passed without its tests is: its TestMain will have it so.
func (l *ledger) nothingRan(pkgs []*pkg) string {
	if l.counts[event.NotRun] == 0 || l.counts[event.NotRun] != l.collected {
		return ""
	}
	for _, p := range pkgs {
		if p.vouched != vouchedNot && len(p.names) > 0 {
			return ""
		}
	}
	return fmt.Sprintf("none of %d tests was run; %s: %s", l.collected, l.notRun[0].ID, l.notRun[0].Reason)
}

// check compares the books with the packages themselves and returns what does not add up, or "".
func (l *ledger) check(pkgs []*pkg) string {
	open := 0
	for _, p := range pkgs {
		for i, v := range p.verdicts {
			if v == "" {
				open++
				l.faults = append(l.faults, p.id(i)+" has no verdict")
			}
			if (v == event.Fail || v == event.Crash) && !p.failed && !p.lenient {
				l.faults = append(l.faults, p.id(i)+" has failed, and its package has not")
			}
		}
	}
	sum := 0
	for _, n := range l.counts {
		sum += n
	}
	if sum+open != l.collected || sum != l.settled {
		l.faults = append(l.faults, fmt.Sprintf("%d items collected, %d verdicts", l.collected, sum))
	}
	if len(l.faults) == 0 {
		return ""
	}
	const shown = 10
	text := l.faults[0]
	for i, f := range l.faults[1:] {
		if i == shown {
			text += fmt.Sprintf("; and %d more", len(l.faults)-1-shown)
			break
		}
		text += "; " + f
	}
	return text
}
