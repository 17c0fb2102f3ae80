// Package timeline keeps what ran where and when: a bar for each process that a gateway ran, and
// for each top-level test in it, failed attempts included; and the steps around that (steps.go).
// Pages and traces are drawn from it.
//
// Time in which the run stood still counts for nothing, as in its reports.
//
// # Goroutines, limits
//
// None. Bars beyond the limit of a Timeline are counted and left out. A bar takes 56 bytes. Of each
// kind of step the first stepsKept are kept.
package timeline

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/scheduler/event"
)

// Outcome is how a bar ended.
type Outcome uint8

// The outcomes.
const (
	Process Outcome = iota // it is no test
	Passed
	Failed
	Skipped
	Ended // not by itself: its process was ended
)

var outcomes = [...]string{"", test2json.ActionPass, test2json.ActionFail, test2json.ActionSkip, "ended"}

// String is the action that ended a test, "ended" for Ended and "" for Process.
func (o Outcome) String() string { return outcomes[o] }

// Bar is a test, or a process, as one gateway ran it.
type Bar struct {
	Package  string        // as events have it
	Test     string        // "" is the process
	From, To time.Duration // since the run began; clocks of hosts may be off, but nothing is before the run
	Gateway  int32         // index into Timeline.Gateways
	Attempt  uint16        // at this test, from 1; of a process 0
	Outcome  Outcome
}

// ID is the test id of a bar, or the package of a process.
func (b Bar) ID() string {
	if b.Test == "" {
		return b.Package
	}
	return gotest.ID(b.Package, b.Test)
}

// Gateway is what ran bars.
type Gateway struct{ ID, Host string }

// Timeline collects the bars of a run. Its methods are called from one goroutine.
type Timeline struct {
	Limit int // bars that are kept

	Bars     []Bar // in the order in which they ended
	Lost     int   // bars that are left out
	Gateways []Gateway
	Steps    []Step // in the order in which they ended

	began   time.Time
	stood   []event.Resumed
	lanes   map[string]*lane // by id of the gateway
	again   map[test]uint16  // how often it has not passed
	stepper stepper
}

// lane is what a gateway runs.
type lane struct {
	gateway int32
	running bool
	unit    Bar // when it is running
	tests   map[test]Bar
}

type test struct{ pkg, name string }

// Add takes the next event of the run.
func (t *Timeline) Add(e event.Event) {
	switch e := e.(type) {
	case event.RunStarted:
		t.began = e.Time
		t.stepper.controller = e.Hostname
	case event.GatewayUp:
		t.up(e)
		t.step(e)
	case event.UnitStarted:
		if l := t.lanes[e.Gateway]; l != nil {
			l.running, l.unit = true, Bar{Gateway: l.gateway, Package: e.Package, From: t.Since(e.Time)}
		}
	case event.Progress:
		t.progress(e)
	case event.UnitEnded:
		t.unitEnded(e)
	case event.Resumed:
		t.stood = append(t.stood, e)
	default:
		t.step(e)
	}
}

// Since is how long the run had run at a time, without what it stood still. Nothing is before the
// run.
func (t *Timeline) Since(at time.Time) time.Duration {
	ran := at.Sub(t.began)
	for _, e := range t.stood {
		ran -= min(e.Stood, max(0, at.Sub(e.Time.Add(-e.Stood))))
	}
	return max(0, ran)
}

// up takes a gateway, which may be one that was there before, on another host.
func (t *Timeline) up(e event.GatewayUp) {
	if t.lanes == nil {
		t.lanes = map[string]*lane{}
	}
	l := t.lanes[e.Gateway]
	if l == nil {
		l = &lane{gateway: int32(len(t.Gateways)), tests: map[test]Bar{}}
		t.lanes[e.Gateway] = l
		t.Gateways = append(t.Gateways, Gateway{ID: e.Gateway})
	}
	t.Gateways[l.gateway].Host = e.Hostname
}

func (t *Timeline) progress(e event.Progress) {
	l := t.lanes[e.Gateway]
	if l == nil || strings.Contains(e.Test, "/") {
		return
	}
	k := test{e.Package, e.Test}
	outcome := Passed
	switch e.Action {
	case test2json.ActionRun:
		l.tests[k] = Bar{Gateway: l.gateway, Package: e.Package, Test: e.Test, From: t.Since(e.Time), Attempt: t.again[k] + 1}
		return
	case test2json.ActionPass:
	case test2json.ActionFail:
		outcome = Failed
	case test2json.ActionSkip:
		outcome = Skipped
	default:
		return
	}
	if b, ok := l.tests[k]; ok {
		t.end(b, e.Time, outcome)
		delete(l.tests, k)
	}
}

// unitEnded ends a process, and what it left open.
func (t *Timeline) unitEnded(e event.UnitEnded) {
	l := t.lanes[e.Gateway]
	if l == nil {
		return
	}
	open := slices.SortedFunc(maps.Values(l.tests), func(a, b Bar) int {
		return cmp.Or(cmp.Compare(a.From, b.From), strings.Compare(a.Test, b.Test))
	})
	for _, b := range open {
		t.end(b, e.Time, Ended)
	}
	clear(l.tests)
	if l.running {
		t.end(l.unit, e.Time, Process)
	}
	l.running = false
}

// end keeps a bar that has ended.
func (t *Timeline) end(b Bar, at time.Time, outcome Outcome) {
	if outcome == Failed || outcome == Ended {
		if t.again == nil {
			t.again = map[test]uint16{}
		}
		t.again[test{b.Package, b.Test}]++
	}
	if len(t.Bars) == t.Limit {
		t.Lost++
		return
	}
	b.To, b.Outcome = t.Since(at), outcome
	t.Bars = append(t.Bars, b)
}
