package scheduler

import (
	"context"
	"testing"

	"github.com/xdist-go/xdist/gotest/test2json"
)

// With MaxFailWait the units that run when the last failure comes go on to their end, and nothing else begins.
func TestMaxFailWait(t *testing.T) {
	w := newWorld(t, 2, map[string][]string{"a": names("Fail"), "b": many("Pass", 20), "c": names("Pass")})
	w.cfg.MaxFail, w.cfg.MaxFailWait, w.cfg.Dist = 1, true, DistLoadScope
	hold, rest := make(chan struct{}), make(chan struct{})
	w.holds["TestFail_0"], w.holds["TestPass_19"] = hold, rest
	s, r, err := w.runWith(t.Context(), func(e Event) {
		switch e := e.(type) {
		case UnitStarted:
			if e.Package == "b" {
				close(hold)
			}
		case Test:
			if e.Package == "a" && e.Test == "" && e.Action == test2json.ActionFail {
				close(rest)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	w.check(s, r)
	if s.Counts[Fail] != 1 || s.Counts[Pass] != 20 || s.Counts[NotRun] != 1 || len(s.NotRun) != 1 || s.Stopped == "" {
		t.Errorf("counts %v, stopped %q", s.Counts, s.Stopped)
	}
}

// An interrupt ends what --maxfail N:wait waits for.
func TestInterruptWhileWaiting(t *testing.T) {
	w := newWorld(t, 2, map[string][]string{"a": names("Fail"), "b": names("Hang")})
	w.cfg.MaxFail, w.cfg.MaxFailWait, w.cfg.Dist = 1, true, DistLoadScope
	hold := make(chan struct{})
	w.holds["TestFail_0"] = hold
	ctx, cancel := context.WithCancel(t.Context())
	s, r, err := w.runWith(ctx, func(e Event) {
		switch e := e.(type) {
		case Progress:
			if e.Test == "TestHang_0" && e.Action == test2json.ActionRun {
				close(hold)
			}
		case Test:
			if e.Package == "a" && e.Test == "" && e.Action == test2json.ActionFail {
				cancel()
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	w.check(s, r)
	if !s.Interrupted || s.Counts[Fail] != 1 || s.Counts[NotRun] != 1 {
		t.Errorf("interrupted %t, counts %v", s.Interrupted, s.Counts)
	}
}
