package scheduler

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/xdist-go/xdist/history"
	"github.com/xdist-go/xdist/scheduler/event"
)

// recordedUnits are units in short: "p TestA TestB".
func recordedUnits(texts ...string) []history.UnitRun {
	units := []history.UnitRun{} // not nil: that would be no replay
	for _, text := range texts {
		words := strings.Fields(text)
		units = append(units, history.UnitRun{Package: words[0], Tests: words[1:]})
	}
	return units
}

// started are the units that a gateway was given, in the same form.
func (r *record) started(gateway string) []string {
	var texts []string
	for _, e := range r.events {
		if e, ok := e.(event.UnitStarted); ok && (e.Gateway == gateway || gateway == "") {
			texts = append(texts, strings.Join(append([]string{e.Package}, e.Tests...), " "))
		}
	}
	return texts
}

// TestReplay runs again exactly what is recorded, in its order, on the gateway that it is meant
// for.
func TestReplay(t *testing.T) {
	first := []string{"p TestPass_2", "q TestPass_0", "p TestPass_0 TestPass_1", "empty"}
	second := []string{"q TestPass_1"}
	w := newWorld(t, 2, map[string][]string{"p": many("Pass", 4), "q": many("Pass", 2), "empty": nil, "other": many("Fail", 3)})
	w.cfg.Replay = [][]history.UnitRun{recordedUnits(first...), recordedUnits(second...)}
	s, r, err := w.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([][]string{first, second}, [][]string{r.started("gw0"), r.started("gw1")}); diff != "" {
		t.Errorf("units (-want +got):\n%s", diff)
	}
	w.wantCounts(s, map[event.Verdict]int{event.Pass: 5})
	delete(w.packages, "other")
	w.packages["p"] = w.packages["p"][:3]
	w.check(s, r)
	if s.Collected != 5 || w.runs["other::TestFail_0"] != 0 {
		t.Errorf("collected %d, runs %v", s.Collected, w.runs)
	}
}

// TestReplayOfADependence does not doubt a failure: the test runs once more only where the record
// says so, and the worst verdict counts.
func TestReplayOfADependence(t *testing.T) {
	w := newWorld(t, 1, map[string][]string{"p": {"TestAfter_0", "TestPass_1"}, "q": {"TestFirst_0", "TestPass_1"}})
	w.cfg.Replay = [][]history.UnitRun{recordedUnits("p TestAfter_0", "p TestAfter_0 TestPass_1", "q TestFirst_0", "q TestFirst_0 TestPass_1")}
	s, r, err := w.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.check(s, r)
	w.wantCounts(s, map[event.Verdict]int{event.Fail: 2, event.Pass: 2})
	if n := w.runs["p::TestAfter_0"]; n != 2 || len(r.started("")) != 4 {
		t.Errorf("%d runs of TestAfter_0; units %q", n, r.started(""))
	}
	told := slices.ContainsFunc(r.events, func(e event.Event) bool {
		out, ok := e.(event.Test)
		return ok && out.Test == "" && out.Output == "xdist: TestFirst_0 failed in a later unit of the replay:\n"
	})
	if !told || s.Failed != 2 {
		t.Errorf("told: %v; %d packages failed", told, s.Failed)
	}
}

// TestReplayOfParts asks for the same subtests, and for all others of a test.
func TestReplayOfParts(t *testing.T) {
	units := []history.UnitRun{
		{Package: "p", Tests: []string{"TestTree_0/s1", "TestTree_0/s2"}},
		{Package: "p", Tests: []string{"TestTree_0/..."}, Skip: []string{"s1", "s2"}},
	}
	w := newWorld(t, 1, map[string][]string{"p": names("Tree", "Pass")})
	w.cfg.Replay = [][]history.UnitRun{units}
	s, r, err := w.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.wantCounts(s, map[event.Verdict]int{event.Pass: 1})
	var got []history.UnitRun
	ended := map[string]int{}
	for _, e := range r.events {
		switch e := e.(type) {
		case event.UnitStarted:
			got = append(got, history.UnitRun{Package: e.Package, Tests: e.Tests, Skip: e.Skip})
		case event.Test:
			if e.Terminal() {
				ended[e.Test]++
			}
		}
	}
	if diff := cmp.Diff(units, got); diff != "" {
		t.Errorf("units (-want +got):\n%s", diff)
	}
	for test, n := range ended {
		if n != 1 {
			t.Errorf("%s ended %d times", test, n)
		}
	}
	if ended["TestTree_0/s1"] != 1 || ended["TestTree_0/s3"] != 1 {
		t.Errorf("ended: %v", ended)
	}
}

// TestReplayOfWhatIsGone names tests that do not exist and counts them as not run, and packages
// that are not asked for.
func TestReplayOfWhatIsGone(t *testing.T) {
	w := newWorld(t, 1, map[string][]string{"p": many("Pass", 1), "empty": {"TestPass_9"}})
	w.cfg.Replay = [][]history.UnitRun{recordedUnits("p TestGone TestPass_0", "p TestAway", "gone TestX", "empty TestPass_0", "p TestPass_0")}
	s, r, err := w.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.wantCounts(s, map[event.Verdict]int{event.Pass: 1, event.NotRun: 3})
	reasons := map[string]string{}
	for _, n := range s.NotRun {
		reasons[n.ID] = n.Reason
	}
	gone := "it is to be replayed and does not exist"
	want := map[string]string{"p::TestGone": gone, "p::TestAway": gone, "empty::TestPass_0": gone}
	if diff := cmp.Diff(want, reasons); diff != "" {
		t.Error(diff)
	}
	if got := r.started(""); !slices.Equal(got, []string{"p TestPass_0", "p TestPass_0"}) || s.Failed != 2 {
		t.Errorf("units %q, %d packages failed", got, s.Failed)
	}
	if !slices.Contains(r.events, event.Event(event.Warning{Text: "p: it does not have these tests, which are to be replayed: TestAway, TestGone"})) {
		t.Error("no warning")
	}
	if !slices.Contains(r.events, event.Event(event.Warning{Text: "not replayed, because they are not among the packages of this run: gone"})) {
		t.Error("no warning of the package")
	}
	w.packages = map[string][]string{"p": {"TestPass_0", "TestGone", "TestAway"}, "empty": {"TestPass_0"}}
	w.check(s, r)
}

// TestReplayWithDeaths goes on in place of an agent that died, and runs nothing that the record
// does not have.
func TestReplayWithDeaths(t *testing.T) {
	w := newWorld(t, 1, map[string][]string{"p": {"TestPass_0", "TestKill_1", "TestPass_2", "TestExit_3", "TestPass_4", "TestPass_5", "TestLost_6"}})
	w.cfg.Replay = [][]history.UnitRun{recordedUnits("p TestPass_0 TestKill_1 TestPass_2", "p TestExit_3 TestPass_4 TestPass_5", "p TestPass_5", "p TestLost_6")}
	s, r, err := w.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.check(s, r)
	w.wantCounts(s, map[event.Verdict]int{event.Pass: 3, event.Crash: 2, event.NotRun: 2})
	want := []string{"p TestPass_0 TestKill_1 TestPass_2", "p TestExit_3 TestPass_4 TestPass_5", "p TestPass_5", "p TestLost_6", "p TestLost_6"}
	if diff := cmp.Diff(want, r.started("")); diff != "" {
		t.Error(diff)
	}
}

// TestReplayWithoutReplacement books what a gateway that has died was still to run as not run; the
// others go on.
func TestReplayWithoutReplacement(t *testing.T) {
	w := newWorld(t, 2, map[string][]string{"p": {"TestKill_0", "TestPass_1", "TestPass_2"}})
	w.cfg.MaxWorkerRestart = -1
	w.cfg.Replay = [][]history.UnitRun{recordedUnits("p TestKill_0", "p TestPass_1"), recordedUnits("p TestPass_2")}
	s, r, err := w.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.check(s, r)
	w.wantCounts(s, map[event.Verdict]int{event.Pass: 1, event.Crash: 1, event.NotRun: 1})
}

// TestReplayOfATestOnTwoGateways runs the units that have it one after the other.
func TestReplayOfATestOnTwoGateways(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2, map[string][]string{"p": many("Pass", 1)})
		w.cfg.Replay = [][]history.UnitRun{recordedUnits("p TestPass_0"), recordedUnits("p TestPass_0", "p TestPass_0")}
		hold := make(chan struct{})
		w.holds["TestPass_0"] = hold
		ran := make(chan struct{})
		go func() {
			defer close(ran)
			s, r, err := w.run(t.Context())
			if err != nil {
				t.Error(err)
			}
			w.check(s, r)
			w.wantCounts(s, map[event.Verdict]int{event.Pass: 1})
		}()
		synctest.Wait()
		w.mu.Lock()
		if n := w.running["p"]; n != 1 {
			t.Errorf("%d at once", n)
		}
		w.mu.Unlock()
		close(hold)
		<-ran
		if n := w.runs["p::TestPass_0"]; n != 3 {
			t.Errorf("%d runs", n)
		}
	})
}

// TestReplayStopped books everything that did not run.
func TestReplayStopped(t *testing.T) {
	w := newWorld(t, 2, map[string][]string{"p": {"TestFail_0", "TestPass_1"}, "q": {"TestHang_0", "TestPass_1"}})
	w.cfg.MaxFail = 1
	w.cfg.Replay = [][]history.UnitRun{recordedUnits("p TestFail_0", "p TestPass_1", "q TestPass_1"), recordedUnits("q TestHang_0", "p TestPass_1")}
	s, r, err := w.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.check(s, r)
	if s.Counts[event.Fail] != 1 || s.Collected != 4 || s.Stopped == "" {
		t.Errorf("%+v", s)
	}
}
