package scheduler

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/scheduler/event"
	"github.com/xdist-go/xdist/xspec"
)

// With MaxFailWait the units that run when the last failure comes go on to their end, and nothing
// else begins.
func TestMaxFailWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2, map[string][]string{"a": names("Fail"), "b": many("Pass", 20), "c": names("Pass")})
		w.cfg.MaxFail, w.cfg.MaxFailWait, w.cfg.Dist = 1, true, DistLoadScope
		hold, rest := make(chan struct{}), make(chan struct{})
		w.holds["TestFail_0"], w.holds["TestPass_19"] = hold, rest
		s, r, err := w.runWith(t.Context(), func(e event.Event) {
			switch e := e.(type) {
			case event.UnitStarted:
				if e.Package == "b" {
					close(hold)
				}
			case event.Test:
				if e.Package == "a" && e.Test == "" && e.Action == test2json.ActionFail {
					time.AfterFunc(10*defaultTerminateTimeout, func() { close(rest) })
				}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		w.check(s, r)
		if s.Counts[event.Fail] != 1 || s.Counts[event.Pass] != 20 || s.Counts[event.NotRun] != 1 || len(s.NotRun) != 1 || s.Stopped == "" {
			t.Errorf("counts %v, stopped %q", s.Counts, s.Stopped)
		}
	})
}

// An interrupt ends what --maxfail N:wait waits for.
func TestInterruptWhileWaiting(t *testing.T) {
	w := newWorld(t, 2, map[string][]string{"a": names("Fail"), "b": names("Hang")})
	w.cfg.MaxFail, w.cfg.MaxFailWait, w.cfg.Dist = 1, true, DistLoadScope
	hold := make(chan struct{})
	w.holds["TestFail_0"] = hold
	ctx, cancel := context.WithCancel(t.Context())
	s, r, err := w.runWith(ctx, func(e event.Event) {
		switch e := e.(type) {
		case event.Progress:
			if e.Test == "TestHang_0" && e.Action == test2json.ActionRun {
				close(hold)
			}
		case event.Test:
			if e.Package == "a" && e.Test == "" && e.Action == test2json.ActionFail {
				cancel()
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	w.check(s, r)
	if !s.Interrupted || s.Counts[event.Fail] != 1 || s.Counts[event.NotRun] != 1 {
		t.Errorf("interrupted %t, counts %v", s.Interrupted, s.Counts)
	}
}

// Agents that are killed before they are ready are replaced as others are, but not for ever: the
// run ends with the reason.
func TestAgentsThatAreKilledAtTheStart(t *testing.T) {
	killed := &gateway.StartError{Status: "signal: killed", Cause: errors.New("end of file")}
	for _, tt := range []struct {
		name             string
		gateways, starts int // that are killed
		restarts         int // Config.MaxWorkerRestart
		agents           int // that were started
		err              string
	}{
		{"once", 1, 1, 0, 2, ""},
		{"each time, with the default", 1, 1000, 0, 1 + restartsPerGateway, "no gateway is left to run the tests (8 gateways were replaced, and --max-worker-restart allows no more): the last one, gw8, ended: "},
		{"each time, with many gateways", 8, 1000, 0, 0, "signal: killed"},
		{"with no restarts", 1, 1, -1, 1, "signal: killed"},
	} {
		w := newWorld(t, tt.gateways, map[string][]string{"a": names("Pass")})
		w.cfg.MaxWorkerRestart = tt.restarts
		left := tt.starts
		var mu sync.Mutex
		w.refuse = func(xspec.Spec) error {
			mu.Lock()
			defer mu.Unlock()
			if left--; left >= 0 {
				return killed
			}
			return nil
		}
		s, r, err := w.run(t.Context())
		w.check(s, r)
		if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err) || !strings.Contains(err.Error(), "signal: killed")) {
			t.Errorf("%s: err = %v, want %q", tt.name, err, tt.err)
		}
		if tt.agents > 0 && w.agents != tt.agents || w.agents > tt.gateways*(1+restartsPerGateway) {
			t.Errorf("%s: %d agents were started, want %d", tt.name, w.agents, tt.agents)
		}
		if s.Counts[event.Pass] != 1 && tt.err == "" || s.Counts[event.NotRun] != 1 && tt.err != "" {
			t.Errorf("%s: counts %v", tt.name, s.Counts)
		}
	}
}

// Gateways that tests kill are replaced eight times each by default; then the run ends, says why,
// and counts what it did not come to.
func TestRestartsAreLimited(t *testing.T) {
	w := newWorld(t, 2, map[string][]string{"a": many("Kill", 40), "b": many("Pass", 10)})
	s, r, err := w.run(t.Context())
	w.check(s, r)
	if err == nil || !strings.Contains(err.Error(), "16 gateways were replaced, and --max-worker-restart allows no more") || !strings.Contains(err.Error(), "signal: killed") {
		t.Errorf("err = %v, want the limit and the reason", err)
	}
	if w.agents != 2*(1+restartsPerGateway) || s.Counts[event.Crash] == 0 || s.Counts[event.NotRun] == 0 {
		t.Errorf("%d agents, counts %v", w.agents, s.Counts)
	}
}

// What the end of a run does to a build is no error of the build's.
func TestInterruptedBuildSaysNothing(t *testing.T) {
	for stopped, want := range map[string]int{"": 1, "stopped after 1 failure": 0} {
		r := new(record)
		c := newController(Config{Reporter: r})
		c.stopped = stopped
		s := &supply{pools: []*pool{{}}}
		c.handleSource(s, gotest.BuildOutput{Event: test2json.Event{Action: test2json.ActionBuildOutput, ImportPath: "m/p", Output: "link: signal: interrupt\n"}})
		if len(r.events) != want {
			t.Errorf("with %q: events %v, want %d", stopped, r.events, want)
		}
	}
}

// What follows the loop ends by an interrupt that the loop has not heard, and by no other: the
// second one is the caller's.
func TestUntilInterrupted(t *testing.T) {
	for name, tt := range map[string]struct {
		heard, before, after bool // the interrupt was heard by the loop, has come before, or comes afterwards
		ends                 bool
	}{
		"none":                          {},
		"meanwhile":                     {after: true, ends: true},
		"between":                       {before: true, ends: true},
		"before":                        {heard: true, before: true},
		"meanwhile, after a quit":       {heard: true, after: true, ends: true},
		"before, and once more by then": {heard: true, before: true, after: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, interrupt := context.WithCancel(t.Context())
				c := &controller{closure: closure{interrupted: tt.heard}}
				if tt.before {
					interrupt()
				}
				ending, cancel := c.untilInterrupted(ctx)
				if tt.after {
					interrupt()
				}
				synctest.Wait()
				if ended := ending.Err() != nil; ended != tt.ends || ended && context.Cause(ending) != errInterrupted {
					t.Errorf("ended: %v, %v", ended, context.Cause(ending))
				}
				cancel()
				interrupt()
			})
		})
	}
}
