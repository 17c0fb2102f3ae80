package event

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// What all reports say of a run is one thing, made in one place.
func TestOutcome(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  RunEnded
		want Outcome
	}{
		{"all passed", RunEnded{Summary: Summary{Collected: 1}}, Passed},
		{"a test failed", RunEnded{Summary: Summary{Collected: 2, Counts: map[Verdict]int{Fail: 1}}}, Failed},
		{"a test crashed in an interrupted run", RunEnded{Summary: Summary{Collected: 2, Counts: map[Verdict]int{Crash: 1}, Interrupted: true}}, Failed},
		{"a package failed", RunEnded{Summary: Summary{Collected: 1, Failed: 1}}, Failed},
		{"a package did not build", RunEnded{Summary: Summary{Collected: 1, BuildFailed: 1}}, Failed},
		{"the sum is wrong", RunEnded{Summary: Summary{Collected: 1, Unbalanced: "u"}}, Failed},
		{"no gateway", RunEnded{Summary: Summary{Collected: 1}, Fatal: errors.New("f")}, Failed},
		{"interrupted", RunEnded{Summary: Summary{Collected: 1, Interrupted: true}, Fatal: errors.New("f")}, NotDone},
		{"stopped", RunEnded{Summary: Summary{Collected: 1, Stopped: "s"}}, NotDone},
		{"nothing ran", RunEnded{Summary: Summary{Collected: 1, NothingRan: "n"}}, NotDone},
		{"nothing was there", RunEnded{}, NotDone},
		{"a shard with nothing to do", RunEnded{Summary: Summary{Shards: "s"}}, Passed},
	} {
		if got := tt.end.Outcome(); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestSums(t *testing.T) {
	s := Summary{Collected: 465, Counts: map[Verdict]int{Fail: 1, Crash: 1, Skip: 2, Flaky: 1, NotRun: 3}, BuildFailed: 1}
	if got, want := s.Sums(2), "2 of 465 tests, 1 of them crashed, 2 skipped, 1 flaky, 3 not run, 2 packages failed though no test did, 1 package did not build"; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if got := (Summary{Collected: 1}).Sums(0); got != "1 test" {
		t.Errorf("got %s", got)
	}
}

func TestSummaryLists(t *testing.T) {
	item := func(test, platform string, v Verdict, took time.Duration) ItemSeconds {
		return ItemSeconds{ID: "p [" + platform + "]::" + test, Test: "p::" + test, Platform: platform, Verdict: v, Elapsed: took}
	}
	s := Summary{
		NotRun: []NotRunItem{{"p::TestA", "x"}, {"q::TestB", "y"}, {"p::TestC", "x"}},
		Durations: []ItemSeconds{
			item("TestE", "b", Pass, 3), item("TestE", "b", Fail, 1), item("TestE", "b", Pass, 2), item("TestE", "a", Pass, 9), // --dist each
			item("TestOne", "a", Fail, 5), item("TestSame", "a", Skip, 0), item("TestSame", "b", Skip, 0),
		},
	}
	if diff := cmp.Diff([]Reason{{"x", []string{"p::TestA", "p::TestC"}}, {"y", []string{"q::TestB"}}}, s.Reasons()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]bool{"p": true, "q": true}, s.Incomplete()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"a", "b"}, s.Platforms()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]Difference{{"p::TestE", map[string]Verdict{"a": Pass, "b": Fail}}}, s.Differences()); diff != "" {
		t.Error(diff)
	}
	slowest := s.Slowest(2, 4)
	if len(slowest) != 2 || slowest[0].Elapsed != 9 || slowest[1].Elapsed != 5 {
		t.Errorf("the slowest are %+v", slowest)
	}
}
