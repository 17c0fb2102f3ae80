package scheduler

import (
	"context"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/history"
	"github.com/xdist-go/xdist/scheduler/event"
)

// What failed runs again alone and with its whole package. The verdicts stay, and only what splitting caused is a lesson.
func TestVerifyFailures(t *testing.T) {
	t.Run("all", func(t *testing.T) { verifyFailures(t, false) })
	t.Run("a part of the suite", func(t *testing.T) { verifyFailures(t, true) })
}

func verifyFailures(t *testing.T, partial bool) {
	w := newWorld(t, 4, map[string][]string{
		"a": append(many("Pass", 300), "TestAfter_300", "TestFail_301"),
		"b": {"TestFirst_0", "TestPass_1"},
		"c": names("Exit", "Pass"),
	})
	w.cfg.VerifyFailures = 10
	w.partial = partial
	s, r, err := w.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.check(s, r)
	w.wantCounts(s, map[event.Verdict]int{event.Pass: 302, event.Fail: 3, event.Crash: 1})
	var lessons []event.Event
	for _, e := range r.events {
		if e, ok := e.(event.Learned); ok {
			lessons = append(lessons, e)
		}
	}
	if diff := cmp.Diff([]event.Event{event.Learned{Lesson: history.Lesson{Platform: "linux/amd64", Package: "a", Kind: history.Serial, Until: gotest.Ready{}.Digest.Hex()}}}, lessons); diff != "" {
		t.Errorf("lessons (-want +got):\n%s", diff)
	}
	want := map[string]event.Verification{
		"a::TestAfter_300": {Split: true, Batch: event.Fail, Alone: event.Fail, Whole: event.Pass},
		"a::TestFail_301":  {Split: true, Batch: event.Fail, Alone: event.Fail, Whole: event.Fail},
		"b::TestFirst_0":   {Batch: event.Fail, Alone: event.Pass, Whole: event.Fail},
		"c::TestExit_0":    {Batch: event.Crash, Alone: event.Crash, Whole: event.Crash},
	}
	for _, v := range s.Verified {
		id := v.ID
		v.ID, v.Package, v.Test, v.Platform, v.Key = "", "", "", "", ""
		if diff := cmp.Diff(want[id], v); diff != "" {
			t.Errorf("%s (-want +got):\n%s", id, diff)
		}
		delete(want, id)
	}
	if len(want) > 0 {
		t.Errorf("not verified: %v", want)
	}
}

// More failures than asked for are not verified, nor is a run that stopped, and an agent that dies again ends nothing.
func TestVerifyFailuresLimits(t *testing.T) {
	w := newWorld(t, 2, map[string][]string{"a": names("Fail", "Fail")})
	w.cfg.VerifyFailures = 1
	if s, _, err := w.run(t.Context()); err != nil || len(s.Verified) > 0 {
		t.Errorf("verified %v, %v", s.Verified, err)
	}
	w = newWorld(t, 2, map[string][]string{"a": names("Fail", "Pass"), "b": many("Pass", 10)})
	w.cfg.VerifyFailures, w.cfg.MaxFail = -1, 1
	if s, _, err := w.run(t.Context()); err != nil || len(s.Verified) > 0 {
		t.Errorf("verified %v, %v", s.Verified, err)
	}
	w = newWorld(t, 2, map[string][]string{"a": names("Kill", "Pass")})
	w.cfg.VerifyFailures, w.cfg.Dist = -1, DistLoadScope
	s, r, err := w.run(t.Context())
	if err != nil || len(s.Verified) != 1 || s.Verified[0].Alone != event.Crash {
		t.Errorf("verified %v, %v", s.Verified, err)
	}
	w.check(s, r)
}

// An interrupt ends the verification and not the account.
func TestInterruptWhileVerifying(t *testing.T) {
	w := newWorld(t, 2, map[string][]string{"a": {"TestFail_0", "TestPass_1"}})
	w.cfg.VerifyFailures = -1
	ctx, cancel := context.WithCancel(t.Context())
	ended := false
	s, r, err := w.runWith(ctx, func(e event.Event) {
		switch e := e.(type) {
		case event.Test:
			ended = ended || e.Test == "" && e.Terminal()
		case event.UnitStarted:
			if ended {
				cancel()
			}
		}
	})
	if err != nil || !s.Interrupted || s.Counts[event.Fail] != 1 {
		t.Errorf("interrupted %v, %v, %v", s.Interrupted, s.Counts, err)
	}
	w.check(s, r)
	if !slices.ContainsFunc(s.Verified, func(v event.Verification) bool { return v.ID == "a::TestFail_0" }) {
		t.Errorf("verified %v", s.Verified)
	}
}
