package scheduler

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/history"
	"github.com/xdist-go/xdist/scheduler/event"
	"github.com/xdist-go/xdist/scheduler/policy"
	"github.com/xdist-go/xdist/scheduler/wire"
)

// The subtests of a TestTree…: those that the history knows, each a second, and one that is new.
var knownSubtests = []string{"s0", "s1", "s2", "s3", "s4", "s5"}

const newSubtest = "s6"

// tree plays the subtests of a test, or a part of them, and returns what the test does then, ""
// when its agent has ended:
//
//	TestTree_…      passes
//	TestTreeSkip_…  skips itself after its subtests
//	TestTreeFail_…  fails in s3
//	TestTreeExit_…  exits in s3
//	TestTreeHang_…  hangs after its subtests
//	TestTreeKill_…  ends its agent in s3
//	TestTreeOnce_…  ends its agent in s3 the first time that it gets there
//	TestTreeLost_…  loses the connection to its agent the first time that it runs
//	TestTreeNeed_…  fails when not all of its subtests ran in its process
//	TestTreeRest_…  skips itself where its subtests do not run one by one
//	TestTreeShy_…   skips itself when not all of its subtests ran in its process
//	TestTreeLeaf_…  skips s3 when not all of its subtests ran in its process
//	TestTreeMade_…  has s3 only when s2 ran in its process
//	TestTreeLess_…  has no s3 any more
//	TestTreeOdd_…   fails in s3 the first time that it gets there
//	TestTreeRace_…  does that with a data race
//	TestTreeLogs_…  logs more than is held of a divided test, in lines that are alike
//	TestTreeMore_…  logs as much, in lines that are not
func (l *fakeLink) tree(o *wire.Order, name, kind string, first bool) string {
	ran, failed := 0, false
	for _, sub := range append(slices.Clone(knownSubtests), newSubtest) {
		if part := o.Part; part != nil && (part.Only != nil && !slices.Contains(part.Only, sub) || slices.Contains(part.Skip, sub)) {
			continue
		}
		ran++
		if sub == "s3" && (kind == "TreeLess" || kind == "TreeMade" && ran < 4) {
			continue
		}
		l.w.mu.Lock()
		l.w.runs[o.Package+"::"+name+"/"+sub]++
		times := l.w.runs[o.Package+"::"+name+"/"+sub]
		l.w.mu.Unlock()
		l.post(wire.Report{Events: []test2json.Event{{Action: "run", Package: o.Package, Test: name + "/" + sub}}})
		if kind == "TreeLogs" || kind == "TreeMore" && o.Part != nil {
			l.log(o.Package, name+"/"+sub, kind == "TreeMore")
		}
		switch {
		case sub != "s3":
		case kind == "TreeExit":
			return "Exit"
		case kind == "TreeKill", kind == "TreeOnce" && times == 1:
			return ""
		}
		elapsed, action := 0.01, "pass"
		once := (kind == "TreeOdd" || kind == "TreeRace") && sub == "s3" && times == 1
		if kind == "TreeFail" && sub == "s3" || once {
			action = "fail"
		}
		if once && kind == "TreeRace" {
			l.post(wire.Report{Events: []test2json.Event{{Action: "output", Package: o.Package, Test: name + "/" + sub, Output: "    testing.go:1: race detected during execution of test\n"}}})
		}
		failed = failed || once
		if kind == "TreeLeaf" && sub == "s3" && ran < 4 {
			action = "skip"
		}
		l.post(wire.Report{Events: []test2json.Event{{Action: action, Package: o.Package, Test: name + "/" + sub, Elapsed: &elapsed}}})
	}
	switch {
	case kind == "TreeHang":
		return "Hang"
	case failed, kind == "TreeFail" && (o.Part == nil || slices.Contains(o.Part.Only, "s3")), kind == "TreeNeed" && ran <= len(knownSubtests):
		return "Fail"
	case kind == "TreeSkip", kind == "TreeShy" && ran <= len(knownSubtests), kind == "TreeRest" && (o.Part == nil || o.Part.Only == nil):
		return "Skip"
	case kind == "TreeLost" && first:
		l.err = errSilent
		return ""
	}
	return "Pass"
}

// log prints for a subtest what seven of them are more of than a division may hold. Lines that are
// not alike cannot be compressed.
func (l *fakeLink) log(pkg, test string, random bool) {
	line := strings.Repeat("a line of a log; ", 1<<9) + "\n"
	noise := rand.NewChaCha8([32]byte{})
	for range allApart / 6 / len(line) {
		if random {
			text := make([]byte, len(line)*3/4)
			noise.Read(text) // never fails
			line = base64.StdEncoding.EncodeToString(text)
		}
		l.post(wire.Report{Events: []test2json.Event{{Action: "output", Package: pkg, Test: test, Output: line}}})
	}
}

// teach has the world's tests known from an earlier run.
func (w *world) teach() {
	run := history.Run{ID: "before", Time: time.Now()}
	for path, names := range w.packages {
		for _, name := range names {
			t := history.TestRun{Platform: "linux/amd64", Package: path, Test: name, Elapsed: time.Millisecond, Verdict: history.Pass}
			if strings.HasPrefix(name, "TestTree") {
				t.Elapsed = time.Duration(len(knownSubtests)) * time.Second
				if strings.HasPrefix(name, "TestTreeSkip") {
					t.Verdict = history.Skip
				}
				for _, sub := range knownSubtests {
					s := t
					s.Test, s.Elapsed, s.Verdict = name+"/"+sub, time.Second, history.Pass
					run.Tests = append(run.Tests, s)
				}
			}
			run.Tests = append(run.Tests, t)
		}
	}
	w.cfg.History = new(history.Book)
	w.cfg.History.Learn(run)
}

// counts are how often each subtest ran.
func (w *world) subtestRuns(id string) []int {
	var n []int
	for _, sub := range append(slices.Clone(knownSubtests), newSubtest) {
		n = append(n, w.runs[id+"/"+sub])
	}
	return n
}

// A test that is known to be long runs in parts, each subtest in one of them, one that nobody has
// seen included, and is one test in the account and in the events.
func TestDivision(t *testing.T) {
	for _, tt := range []struct {
		kind    string
		want    event.Verdict
		whole   int // how often each subtest runs beyond once
		learned bool
	}{
		{"Tree", event.Pass, 0, false},
		{"TreeSkip", event.Skip, 0, false},
		{"TreeNeed", event.Pass, 1, true},
		{"TreeRest", event.Skip, 1, true},
		{"TreeShy", event.Pass, 1, true},
		{"TreeLeaf", event.Pass, 1, true},
		{"TreeMade", event.Pass, 1, true},
		{"TreeLess", event.Pass, 1, false},
		{"TreeLogs", event.Pass, 0, false},
		{"TreeMore", event.Pass, 1, true},
	} {
		t.Run(tt.kind, func(t *testing.T) {
			w := newWorld(t, 4, map[string][]string{"a": names(tt.kind, "Pass", "Fail", "Pass")})
			w.teach()
			var c *controller
			w.adjust = func(made *controller) { c = made }
			s, r, err := w.runWith(t.Context(), func(event.Event) {
				for _, n := range c.nodes {
					if n.job == nil || n.job.division() == nil || n.job.division().undone == "" {
						continue
					}
					if it := n.job.items[w.packages["a"][0]]; it != nil && it.said.size > 0 {
						t.Fatalf("%d bytes are held of a part that counts for nothing", it.said.size)
					}
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			w.check(s, r)
			want := map[event.Verdict]int{event.Pass: 2, event.Fail: 1}
			want[tt.want]++
			w.wantCounts(s, want)
			id := "a::" + w.packages["a"][0]
			if w.runs[id] < 3 {
				t.Fatalf("%s ran in %d processes: it was not divided", id, w.runs[id])
			}
			if tt.whole == 0 {
				if got, want := w.subtestRuns(id), slices.Repeat([]int{1}, len(knownSubtests)+1); !slices.Equal(got, want) {
					t.Errorf("subtests ran %v times, want %v", got, want)
				}
			}
			checkDivided(t, r, id)
			if got := slices.ContainsFunc(r.events, func(e event.Event) bool {
				l, ok := e.(event.Learned)
				return ok && l.Kind == history.Indivisible && l.Test == w.packages["a"][0]
			}); got != tt.learned {
				t.Errorf("learned that it is indivisible: %v, want %v", got, tt.learned)
			}
		})
	}
}

// checkDivided asserts that the events of a divided test are those of one run: each of its tests
// begins once and ends once, a subtest within the test, and the test last.
func checkDivided(t *testing.T, r *record, id string) {
	t.Helper()
	begun, ended := map[string]int{}, map[string]int{}
	last := ""
	for _, e := range r.events {
		ev, ok := e.(event.Test)
		if !ok || ev.Test == "" || topLevel(ev.Test) != id[len("a::"):] {
			continue
		}
		last = ev.Test + " " + ev.Action
		if ev.Action == "run" {
			begun[ev.Test]++
			if parent := topLevel(ev.Test); begun[parent] != 1 || ended[parent] != 0 {
				t.Errorf("%s begins outside of %s", ev.Test, parent)
			}
		} else if ev.Terminal() {
			ended[ev.Test]++
		}
	}
	want := len(knownSubtests) + 2
	if strings.HasPrefix(id, "a::TestTreeLess") {
		want--
	}
	if len(begun) != want {
		t.Errorf("%d tests began: %v", len(begun), begun)
	}
	for test, n := range begun {
		if n != 1 || ended[test] != 1 {
			t.Errorf("%s began %d times and ended %d times", test, n, ended[test])
		}
	}
	if test, _, _ := strings.Cut(last, " "); test != id[len("a::"):] {
		t.Errorf("the last event is %q", last)
	}
}

// When a part fails, dies, or takes its agent along, the test runs whole, and that is what counts.
func TestDivisionThatFails(t *testing.T) {
	for kind, want := range map[string]map[event.Verdict]int{
		"TreeFail": {event.Pass: 2, event.Fail: 1},
		"TreeExit": {event.Pass: 2, event.Crash: 1},
		"TreeKill": {event.Pass: 2, event.Crash: 1},
		"TreeLost": {event.Pass: 3},
		"TreeOnce": {event.Pass: 3},
	} {
		t.Run(kind, func(t *testing.T) {
			w := newWorld(t, 4, map[string][]string{"a": names(kind, "Pass", "Pass")})
			w.teach()
			s, r, err := w.run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			w.check(s, r)
			w.wantCounts(s, want)
			if failed := s.Failed > 0; failed != (want[event.Pass] < 3) {
				t.Errorf("the package failed: %v", failed)
			}
			if hasWarning(r, "will not be divided") {
				t.Error("it is taken for one that must stay whole")
			}
		})
	}
}

// A part that fails beside others runs once more without them, and the test not at all as a whole.
// After a data race, and where the user waits for the first failure, it runs whole at once.
func TestDivisionThatFailsOnce(t *testing.T) {
	for _, tt := range []struct {
		kind    string
		maxFail int
		whole   bool
	}{{"TreeOdd", 0, false}, {"TreeOdd", 1, true}, {"TreeRace", 0, true}} {
		t.Run(fmt.Sprint(tt.kind, tt.maxFail), func(t *testing.T) {
			w := newWorld(t, 4, map[string][]string{"a": names(tt.kind, "Pass", "Pass")})
			w.cfg.MaxFail = tt.maxFail
			w.teach()
			s, r, err := w.run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			w.check(s, r)
			w.wantCounts(s, map[event.Verdict]int{event.Pass: 3})
			id := "a::" + w.packages["a"][0]
			again := 0
			for _, n := range w.subtestRuns(id) {
				again += n - 1
			}
			if !tt.whole && (again < 1 || again > 2) {
				t.Errorf("subtests ran %v times; only those of one part should have run again", w.subtestRuns(id))
			}
			if hasWarning(r, "passed when they ran again without them") == tt.whole {
				t.Error("the warning that a part has failed is there, or missing")
			}
			checkDivided(t, r, id)
		})
	}
}

// Patterns that choose whole tests keep none of them from being divided.
func TestDivisionOfChosenTests(t *testing.T) {
	for _, choose := range []func(*gotest.Command){
		func(cmd *gotest.Command) { cmd.Run = "Tree|Pass" },
		func(cmd *gotest.Command) { cmd.Skip = "Other" },
	} {
		w := newWorld(t, 4, map[string][]string{"a": names("Tree", "Pass", "Pass")})
		w.teach()
		choose(w.cfg.Command)
		s, r, err := w.run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		w.check(s, r)
		if id := "a::" + w.packages["a"][0]; w.runs[id] < 3 {
			t.Errorf("-run %q -skip %q: %s ran in %d processes: it was not divided", w.cfg.Command.Run, w.cfg.Command.Skip, id, w.runs[id])
		}
	}
}

// Flags that give a test's parts another meaning keep it whole, and so does a history that says so.
func TestNoDivision(t *testing.T) {
	for i, change := range []func(*world){
		func(w *world) { w.cfg.Dist = DistLoadScope },
		func(w *world) { w.cfg.Command.Run = "Tree/s1" },
		func(w *world) { w.cfg.Command.Skip = "Tree/s1" },
		func(w *world) { w.cfg.Command.Count = 2 },
		func(w *world) { w.cfg.LongTest = -1 },
		func(w *world) { w.cfg.LongTest = time.Minute },
		func(w *world) {
			w.cfg.History.Learn(history.Run{ID: "later", Time: time.Now(), Lessons: []history.Lesson{
				{Platform: "linux/amd64", Package: "a", Test: w.packages["a"][0], Kind: history.Indivisible},
			}})
		},
		func(w *world) {
			w.cfg.History.Learn(history.Run{ID: "later", Time: time.Now().Add(time.Minute), Tests: []history.TestRun{
				{Platform: "linux/amd64", Package: "a", Test: w.packages["a"][0], Elapsed: 6 * time.Second, Verdict: history.Fail},
			}})
		},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			w := newWorld(t, 4, map[string][]string{"a": names("Tree", "Pass", "Pass")})
			w.teach()
			change(w)
			if _, _, err := w.run(t.Context()); err != nil {
				t.Fatal(err)
			}
			if id := "a::" + w.packages["a"][0]; w.runs[id] != 1 {
				t.Errorf("%s ran in %d processes", id, w.runs[id])
			}
		})
	}
}

// Subtests with slashes in their names are divided from slash to slash, as -test.run is.
func TestPlanned(t *testing.T) {
	leaf := func(name string) history.Tree { return history.Tree{Name: name, Cost: time.Second} }
	got := planned(history.Tree{Name: "TestA", Cost: 9 * time.Second, Subtests: []history.Tree{
		leaf("/x"), {Name: "a", Cost: 3 * time.Second, Subtests: []history.Tree{leaf("b/c")}}, leaf("d/e"), leaf("d/f/g"), leaf("d/f/h"), leaf("i/"),
	}})
	one := func(name string, subs ...policy.Tree) policy.Tree {
		return policy.Tree{Name: name, Cost: max(1, time.Duration(len(subs))) * time.Second, Subtests: subs}
	}
	group := one("d", one("e"), one("f", one("g"), one("h")))
	group.Cost = 3 * time.Second
	want := policy.Tree{Name: "TestA", Cost: 9 * time.Second, Subtests: []policy.Tree{
		one("", one("x")), {Name: "a", Cost: 3 * time.Second, Subtests: []policy.Tree{one("b", one("c"))}}, group, one("i", one("")),
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
