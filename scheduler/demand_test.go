package scheduler

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/scheduler/event"
	"github.com/xdist-go/xdist/scheduler/policy"
)

func TestDemands(t *testing.T) {
	db := gotest.Directives{Group: "g", Exclusive: true, Resources: []gotest.Resource{{Name: "db", Units: 1, Limit: 2}}, Requires: []string{"big"}, Weight: 2, Pos: "a"}
	same := db
	same.Pos, same.Retries = "b", 3
	items, families := demands([]gotest.Item{
		{Name: "TestA"}, {Name: "TestB", Directives: &db}, {Name: "TestC", Directives: &gotest.Directives{Retries: 1}}, {Name: "TestD", Directives: &same},
	})
	wantItems := []policy.Item{{Name: "TestA"}, {Name: "TestB", Family: 1}, {Name: "TestC"}, {Name: "TestD", Family: 1}}
	want := []policy.Demand{{}, {Group: "g", Exclusive: true, Resources: []policy.Resource{{Name: "db", Units: 1, Limit: 2}}, Requires: []string{"big"}, Weight: 2}}
	if diff := cmp.Diff(wantItems, items); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(want, families); diff != "" {
		t.Error(diff)
	}
}

// What a test asks for in its own comment goes before what the run says.
func TestDirectivesOfOneTest(t *testing.T) {
	w := newWorld(t, 2, map[string][]string{"a": names("Flaky", "Flaky", "Flaky", "Pass")})
	w.cfg.Reruns.Max = 1
	w.directives = map[string]*gotest.Directives{
		"TestFlaky_0": {Retries: -1},
		"TestFlaky_1": {Retries: 2, Timeout: time.Minute},
	}
	s, r, err := w.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s.Unbalanced != "" || len(r.events) == 0 {
		t.Fatal(s.Unbalanced)
	}
	w.wantCounts(s, map[event.Verdict]int{event.Pass: 1, event.Fail: 1, event.Flaky: 2})
	if got := w.timeouts["TestFlaky_1"]; got != time.Minute || len(w.timeouts) != 1 {
		t.Errorf("timeouts of tests: %v", w.timeouts)
	}
}
