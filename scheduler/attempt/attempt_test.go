package attempt

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

const sec = time.Second

// step is what became of an attempt that was made as the step before it decided.
type step struct {
	met  Around
	end  End
	with func(*Seen) // more of it, or nil
	want Decision    // without Why
}

var (
	over  = func(s *Seen) { s.Over = true }
	whole = func(s *Seen) { s.Before = Whole }
	long  = func(s *Seen) { s.Lasted = 20 * sec }
	says1 = func(s *Seen) { s.Said.Print = 1 }
	again = func(a Around, b Before) Decision { return Decision{Next: Attempt{a, b}} }
	is    = func(v Verdict) Decision { return Decision{Verdict: v} }
)

// stories are told of every row of the table.
var stories = []struct {
	name  string
	facts Facts
	steps []step
}{
	{"a pass is one", Facts{}, []step{{Package, Passed, nil, is(Pass)}}},
	{"a race counts beside others", Facts{}, []step{{Package, Raced, over, is(Fail)}}},
	{"a golden file is made by the failure", Facts{True: Quick | Spare}, []step{
		{Package, Failed, func(s *Seen) { s.Said.Changed = true }, is(Fail)},
	}},
	{"a lock file is left by a test that met another", Facts{}, []step{
		{Package, Failed, func(s *Seen) { s.Said = Said{Changed: true, Contends: true} }, again(Package, Begun)},
		{Package, Passed, nil, is(Pass)},
	}},
	{"an agent is lost with a test, twice", Facts{}, []step{
		{Package, Lost, nil, again(Package, Bare)}, {Package, Lost, nil, is(Fail)},
	}},
	{"an agent is lost with a test, once", Facts{}, []step{
		{Host, Lost, nil, again(Package, Bare)}, {Host, Passed, nil, is(Pass)},
	}},
	{"a neighbour ends the process", Facts{}, []step{
		{Package, CutOff, nil, again(Package, Bare)}, {Package, Passed, nil, is(Pass)},
	}},
	{"the company ends the process of a retry", Facts{}, []step{
		{Package, Failed, nil, again(Package, Begun)}, {Package, CutOff, nil, again(Host, Begun)},
		{Host, CutOff, nil, again(Host, Bare)}, {Host, Passed, nil, again(Host, Begun)},
		{Host, Passed, nil, is(Pass)},
	}},
	{"a quick package is shown whole: passes", Facts{True: Quick}, []step{
		{Package, Passed, nil, again(Host, Whole)}, {Host, Failed, nil, is(Fail)},
	}},
	{"a quick package is shown whole: skips", Facts{True: Quick}, []step{
		{Package, Skipped, nil, again(Host, Whole)}, {Host, Passed, nil, is(Pass)},
	}},
	{"no process runs it", Facts{}, []step{
		{Host, Absent, nil, again(Host, Whole)}, {Host, Absent, nil, is(NotRun)},
	}},
	{"its processes do nothing once one has run", Facts{True: Quick}, []step{
		{Package, Passed, nil, again(Host, Whole)}, {Host, Absent, nil, again(Host, Bare)}, {Host, Absent, nil, is(Pass)},
	}},
	{"its processes do nothing once one has run, and it failed there", Facts{True: Quick}, []step{
		{Package, Failed, nil, again(Host, Whole)}, {Host, Absent, nil, again(Host, Bare)}, {Host, Absent, nil, is(Fail)},
	}},
	{"its processes do nothing once one has run, and it skipped there", Facts{True: Quick}, []step{
		{Package, Skipped, nil, again(Host, Whole)}, {Host, Absent, nil, again(Host, Bare)}, {Host, Absent, nil, is(Skip)},
	}},
	{"it runs on request only", Facts{True: Quick}, []step{
		{Package, Passed, nil, again(Host, Whole)}, {Host, Absent, nil, again(Host, Bare)}, {Host, Passed, nil, is(NotRun)},
	}},
	{"only the whole runs it", Facts{}, []step{
		{Host, Absent, nil, again(Host, Whole)}, {Host, Passed, nil, is(Pass)},
	}},
	{"a check after all tests sees only some", Facts{}, []step{
		{Package, Tainted, nil, again(Host, Whole)}, {Host, Tainted, nil, is(Pass)},
	}},
	{"it skips because its neighbour has the port", Facts{}, []step{
		{Package, Skipped, nil, again(Nothing, Bare)}, {Nothing, Passed, nil, is(Pass)},
	}},
	{"it skips always", Facts{}, []step{
		{Package, Skipped, nil, again(Nothing, Bare)}, {Nothing, Skipped, nil, is(Skip)},
	}},
	{"it skips for want of a test before it", Facts{True: Spare}, []step{
		{Package, Skipped, nil, again(Nothing, Bare)}, {Nothing, Skipped, nil, again(Host, Whole)}, {Host, Passed, nil, is(Pass)},
	}},
	{"it skips always, and there is time", Facts{True: Spare}, []step{
		{Package, Skipped, nil, again(Nothing, Bare)}, {Nothing, Skipped, nil, again(Host, Whole)}, {Host, Skipped, nil, is(Skip)},
	}},
	{"subtests skip because its neighbour has the port", Facts{}, []step{
		{Package, Lacking, nil, again(Nothing, Bare)}, {Nothing, Passed, nil, is(Pass)},
	}},
	{"subtests skip always", Facts{}, []step{
		{Package, Lacking, nil, again(Nothing, Bare)}, {Nothing, Lacking, nil, is(Pass)},
	}},
	{"subtests skip for want of a test before it", Facts{True: Spare}, []step{
		{Package, Lacking, nil, again(Nothing, Bare)}, {Nothing, Lacking, nil, again(Host, Whole)}, {Host, Failed, nil, is(Fail)},
	}},
	{"subtests skip as ever", Facts{True: Skips}, []step{{Package, Lacking, nil, is(Pass)}}},
	{"subtests skip as ever, of a test that was red in the whole", Facts{True: Skips | Red}, []step{
		{Package, Lacking, nil, again(Host, Whole)}, {Host, Lacking, nil, is(Pass)},
	}},
	{"subtests skip of a test that has failed", Facts{}, []step{
		{Package, Failed, long, again(Host, Bare)}, {Host, Lacking, nil, again(Host, Begun)}, {Host, Lacking, nil, is(Pass)},
	}},
	{"it skips as ever", Facts{True: Skips}, []step{{Package, Skipped, nil, is(Skip)}}},
	{"it skips in a package by itself", Facts{}, []step{{Nothing, Skipped, whole, is(Skip)}}},
	{"it skips in the whole, and not alone", Facts{}, []step{
		{Host, Skipped, whole, again(Nothing, Bare)}, {Nothing, Passed, nil, again(Nothing, Whole)},
		{Nothing, Skipped, nil, is(Skip)},
	}},
	{"an order-dependent test passes apart", Facts{True: Red}, []step{
		{Package, Passed, nil, again(Host, Whole)}, {Host, Failed, nil, is(Fail)},
	}},
	{"an order-dependent test was mended", Facts{True: Red}, []step{
		{Package, Passed, nil, again(Host, Whole)}, {Host, Passed, nil, is(Pass)},
	}},
	{"a long company: bare first, and only then among what ran before it", Facts{}, []step{
		{Package, Failed, long, again(Host, Bare)}, {Host, Passed, nil, again(Host, Begun)},
		{Host, Failed, long, is(Fail)},
	}},
	{"a long company: alone it fails alike", Facts{}, []step{
		{Package, Failed, func(s *Seen) { long(s); says1(s) }, again(Host, Bare)}, {Host, Failed, says1, is(Fail)},
	}},
	{"a long company: alone it fails for want of what ran before it", Facts{}, []step{
		{Package, Failed, func(s *Seen) { long(s); says1(s) }, again(Host, Bare)},
		{Host, Failed, func(s *Seen) { s.Said.Print = 2 }, again(Host, Begun)}, {Host, Passed, nil, is(Pass)},
	}},
	{"it failed so in the last run", Facts{Print: 1}, []step{{Package, Failed, says1, is(Fail)}}},
	{"the last run's failure was one of contention", Facts{Print: 1}, []step{
		{Package, Failed, func(s *Seen) { s.Said = Said{Print: 1, Contends: true} }, again(Package, Begun)},
		{Package, Passed, nil, is(Pass)},
	}},
	{"one confirmation is enough in a package that was split before", Facts{True: Proven}, []step{
		{Package, Failed, says1, again(Package, Begun)}, {Package, Failed, says1, is(Fail)},
	}},
	{"a whole package fails", Facts{True: Spare}, []step{{Host, Failed, whole, is(Fail)}}},
	{"a whole package fails in a crowd", Facts{True: Spare}, []step{
		{Host, Failed, func(s *Seen) { whole(s); over(s) }, again(Nothing, Whole)}, {Nothing, Failed, nil, is(Fail)},
	}},
	{"it needs a test that ran elsewhere, and there is time", Facts{True: Spare}, []step{
		{Package, Failed, nil, again(Host, Whole)}, {Host, Passed, nil, is(Pass)},
	}},
	{"it fails by itself in a slow package", Facts{}, []step{{Host, Failed, nil, is(Fail)}}},
	{"twice beside the others, then apart", Facts{}, []step{
		{Package, Failed, nil, again(Package, Begun)}, {Package, Failed, nil, again(Package, Begun)},
		{Package, Failed, nil, again(Host, Begun)}, {Host, Failed, nil, is(Fail)},
	}},
	{"the others have nearly ended", Facts{True: Brief}, []step{
		{Package, Failed, nil, again(Host, Begun)}, {Host, Failed, nil, is(Fail)},
	}},
	{"the user waits", Facts{True: Hurry}, []step{
		{Package, Failed, nil, again(Host, Begun)}, {Host, Passed, nil, is(Pass)},
	}},
	{"it never does the same twice", Facts{}, []step{
		{Package, Failed, nil, again(Package, Begun)}, {Package, Failed, nil, again(Package, Begun)}, {Package, Failed, nil, again(Host, Begun)},
		{Host, Skipped, nil, again(Nothing, Bare)}, {Nothing, Passed, nil, again(Nothing, Begun)}, {Nothing, Absent, nil, again(Nothing, Whole)},
		{Nothing, CutOff, nil, again(Nothing, Bare)}, {Nothing, Passed, nil, again(Nothing, Begun)}, {Nothing, Absent, nil, is(NotRun)},
	}},
	{"a whole package fails that met less than it was to", Facts{}, []step{
		{Package, Absent, nil, again(Host, Whole)}, {Host, Failed, over, again(Nothing, Whole)}, {Nothing, Failed, nil, is(Fail)},
	}},
	{"the whole fails for want of what was there before", Facts{True: Spare | Hurry}, []step{
		{Package, Failed, nil, again(Host, Whole)}, {Host, Failed, nil, is(Fail)},
	}},
	{"a crowd: in the end nothing else runs on its host", Facts{}, []step{
		{Host, Failed, over, again(Nothing, Begun)}, {Nothing, Passed, nil, is(Pass)},
	}},
}

// play tells a story and returns what went otherwise, or "".
func play(facts Facts, steps []step) string {
	var c Case
	var made Attempt
	for i, st := range steps {
		s := Seen{Attempt: made, Met: st.met, End: st.end, Lasted: sec, Begun: 3}
		if st.with != nil {
			st.with(&s)
		}
		got := c.Add(s, facts)
		why := got.Why
		if got.Why, got.Spare = "", false; got != st.want {
			return time.Duration(i + 1).String()[:1] + ": " + why
		}
		made = got.Next
	}
	return ""
}

func TestStories(t *testing.T) {
	for _, st := range stories {
		if wrong := play(st.facts, st.steps); wrong != "" {
			t.Errorf("%s: after attempt %s", st.name, wrong)
		}
	}
}

// Each row of the table decides in a story that would end otherwise without it.
func TestEveryRowCounts(t *testing.T) {
	all := rules
	defer func() { rules = all }()
	for i, r := range all {
		rules = slices.Delete(slices.Clone(all), i, i+1)
		if i == len(all)-1 {
			rules = append(rules, Rule{"", func(*Case, Seen, Facts) bool { return true }, verdict(Fail)})
		}
		if !slices.ContainsFunc(stories, func(st struct {
			name  string
			facts Facts
			steps []step
		}) bool {
			return play(st.facts, st.steps) != ""
		}) {
			t.Errorf("no story needs the row %q", r.Says)
		}
	}
}

// TestEverySequence plays every sequence of ends up to the bound: each comes to a verdict in at
// most ten attempts, no failure counts that met more than it has to, and no pass that met more
// than the failure before it did.
func TestEverySequence(t *testing.T) {
	longest, played := 0, 0
	for set := range Fact(everyFact + 1) { // every combination of facts
		f := Facts{True: set}
		for _, lasted := range []time.Duration{sec, 20 * sec} {
			var trail []string
			var walk func(c Case, made Attempt, n, luck int)
			type state struct {
				c    Case
				made Attempt
				luck int
			}
			seen := make(map[state]bool)
			walk = func(c Case, made Attempt, n, luck int) {
				if at := (state{c, made, luck}); seen[at] {
					return
				} else {
					seen[at] = true
				}
				if longest = max(longest, n); n > 10 {
					t.Fatalf("%+v: no verdict after ten attempts: %q", f, trail)
				}
				for met := made.Around; met <= Nothing; met++ {
					for crowd := range 2 {
						for told := range 2 * int(Lost+1) {
							end, print := End(told/2), uint64(told%2+1)
							if end != Failed && print == 2 {
								continue
							}
							unlucky := end == CutOff || end == Lost
							if crowd == 1 && met == Nothing || unlucky && luck == 2 || end == Lost && luck == 1 {
								continue
							}
							played++
							s := Seen{Attempt: made, Met: met, Over: crowd == 1, End: end, Lasted: lasted, Begun: 3, Said: Said{Print: print}}
							after, more := c, luck
							if unlucky {
								more++
							}
							d := after.Add(s, f)
							whole := made.Before == Whole
							switch {
							case d.Verdict == Open:
								trail = append(trail, fmt.Sprintf("%+v: %s", s, d.Why))
								walk(after, d.Next, n+1, more)
								trail = trail[:len(trail)-1]
							case c.heard == most-1:
							case d.Verdict == Fail && end == Failed && !f.is(Proven) && !apart(s):
								t.Errorf("%+v: %+v counts: %s", f, s, d.Why)
							case d.Verdict == Pass && end == Passed && c.failed > 0 && c.owed < owedTries && made.Before == Bare:
								t.Errorf("%+v: cleared by passing alone: %s %+v", f, d.Why, c)
							case d.Verdict == Pass && end == Passed && f.is(Red) && !whole:
								t.Errorf("%+v: cleared apart though it was red in the whole", f)
							case (end == Skipped || end == Lacking) && f.is(Spare) && !f.is(Skips) && !whole && c.skippedIn != Whole && c.failed == 0 && !c.done.has(missed):
								t.Errorf("%+v: a skip is believed that nobody has seen in the whole: %s", f, d.Why)
							case d.Verdict != Fail && f.is(Quick) && !whole && !c.done.has(missed):
								t.Errorf("%+v: %d counts in a part of a quick package", f, d.Verdict)
							}
						}
					}
				}
			}
			walk(Case{}, Attempt{}, 1, 0)
			if !f.is(Quick) { // the plan's own unit is the whole package
				walk(Case{}, Attempt{Before: Whole}, 1, 0)
			}
		}
	}
	t.Logf("%d attempts at most, %d ends played", longest, played)
}

func TestFingerprint(t *testing.T) {
	same := []string{
		"x_test.go:12: got 0xc000123 after 1.25s on 127.0.0.1:34567\n",
		"x_test.go:14: got 0xdeadbeef after 300ms on 127.0.0.2:1\n",
	}
	if Fingerprint(same[0]) != Fingerprint(same[1]) {
		t.Error("numbers, addresses and times make a difference")
	}
	order := []string{
		"=== RUN   TestX/a\n=== PAUSE TestX/a\n=== CONT  TestX/a\n    x_test.go:1: a\n    --- FAIL: TestX/a (0.01s)\n    --- FAIL: TestX/b (0.00s)\n    x_test.go:2: b\n",
		"=== CONT  TestX/b\n    x_test.go:2: b\n    x_test.go:1: a\n    x_test.go:1: a\n    --- FAIL: TestX/b (0.03s)\n    --- FAIL: TestX/a (0.02s)\n",
	}
	if Fingerprint(order[0]) != Fingerprint(order[1]) {
		t.Error("the order in which parallel subtests fail makes a difference")
	}
	if Fingerprint(order[0]) == Fingerprint(order[0]+"    x_test.go:9: one more\n") {
		t.Error("another line makes no difference")
	}
	if Fingerprint(same[0]) == Fingerprint("want A, got B") || Fingerprint(" \n") != 0 || Fingerprint("=== RUN   TestX\n") != 0 {
		t.Error("texts are not told apart")
	}
}

func TestContends(t *testing.T) {
	for text, want := range map[string]bool{
		"listen tcp 127.0.0.1:80: bind: address already in use": true,
		"context deadline exceeded":                             true,
		"read tcp: i/o timeout":                                 true,
		"device or resource busy":                               true,
		"got 3, want 4":                                         false,
		"golden file made: run again":                           false,
	} {
		if Contends(text) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
}
