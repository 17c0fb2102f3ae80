package reporters

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/history"
	"github.com/xdist-go/xdist/scheduler/event"
)

const (
	historyPackage  = "example.com/p"
	historyPlatform = "linux/amd64"
)

// story makes the events of one gateway, gw1, whose clock is an hour ahead.
type story struct {
	events []event.Event
	now    time.Time
}

func newStory() *story {
	s := &story{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	s.events = []event.Event{
		event.RunStarted{Time: s.now, RunID: "run1", Dist: "load", Command: []string{"./..."}},
		event.GatewayUp{Time: s.now.Add(2 * time.Millisecond), Gateway: "gw1", Hostname: "h"},
		event.GatewayUp{Time: s.now.Add(9 * time.Millisecond), Gateway: "gw2", Hostname: "h"},
	}
	return s
}

func (s *story) wait(d time.Duration) { s.now = s.now.Add(d) }

func (s *story) unit(begin bool) {
	if begin {
		s.events = append(s.events, event.UnitStarted{Time: s.now, Gateway: "gw1", Package: historyPackage, Key: "k1", Tests: []string{"TestA/..."}, Skip: []string{"other"}})
		return
	}
	s.events = append(s.events, event.UnitEnded{Time: s.now, Gateway: "gw1", Package: historyPackage})
}

func (s *story) test(action, test string, attempt int, seconds float64) {
	far := s.now.Add(time.Hour)
	e := test2json.Event{Time: far, Action: action, Package: historyPackage, Test: test}
	if e.Terminal() {
		e.Elapsed = &seconds
	}
	s.events = append(s.events,
		event.Progress{Gateway: "gw1", Time: far, Action: action, Package: historyPackage, Test: test},
		event.Test{Event: e, Gateway: "gw1", Platform: historyPlatform, Attempt: attempt})
}

func (s *story) end(durations ...event.ItemSeconds) {
	for i := range durations {
		durations[i].Test, durations[i].Platform, durations[i].Gateway = durations[i].ID, historyPlatform, "gw1"
	}
	s.events = append(s.events, event.RunEnded{Elapsed: time.Second, Summary: event.Summary{Durations: durations, Stopped: "interrupted", Links: map[string]float64{"h": 1e6, "away": 1}}})
}

func TestHistoryLearnsARun(t *testing.T) {
	s := newStory()
	s.unit(true)
	s.wait(6 * time.Millisecond)
	s.test("run", "TestA", 1, 0)
	s.test("run", "TestA/sub", 1, 0)
	s.wait(300 * time.Millisecond)
	s.test("pass", "TestA/sub", 1, 0.3)
	s.test("pass", "TestA", 1, 0.3)
	s.test("run", "TestFlaky", 1, 0)
	s.wait(time.Millisecond)
	s.test("fail", "TestFlaky", 1, 0)
	s.test("run", "TestFlaky", 2, 0)
	s.wait(2 * time.Millisecond)
	s.test("pass", "TestFlaky", 2, 0)
	s.test("run", "TestCut", 1, 0)
	s.wait(4 * time.Millisecond)
	s.unit(false)
	s.unit(true)
	s.wait(time.Second) // files were sent
	s.unit(false)
	s.events = append(s.events, event.Learned{Lesson: history.Lesson{Platform: historyPlatform, Package: historyPackage, Kind: history.Serial, Until: "k1"}})
	s.end(
		event.ItemSeconds{ID: historyPackage + "::TestA", Elapsed: 300 * time.Millisecond, Expected: 100 * time.Millisecond, Verdict: event.Pass},
		event.ItemSeconds{ID: historyPackage + "::TestFlaky", Verdict: event.Pass},
	)

	dir := t.TempDir()
	book, err := history.Open(dir, "example.com")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "new", "timings.json")
	h, err := NewHistory(HistoryConfig{Book: book, TimingsFile: file, Warn: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	play(t, h, s.events)

	again, err := history.Open(dir, "example.com")
	if err != nil {
		t.Fatal(err)
	}
	a, _ := again.Test(historyPlatform, historyPackage, "TestA")
	flaky, _ := again.Test(historyPlatform, historyPackage, "TestFlaky")
	if a.Cost != 300*time.Millisecond || a.Flaky || flaky.Cost != 2*time.Millisecond || !flaky.Flaky {
		t.Errorf("TestA %+v, TestFlaky %+v", a, flaky)
	}
	if _, ok := again.Test(historyPlatform, historyPackage, "TestCut"); ok {
		t.Error("a test that did not end is known")
	}
	if h, away := again.Host("h"), again.Host("away"); h.Link != 1e6 || away.Link != 0 {
		t.Errorf("host %+v, one that had no gateway %+v", h, away)
	}
	tree, _ := again.Tree(historyPlatform, historyPackage, "TestA")
	if len(tree.Subtests) != 1 {
		t.Errorf("tree %+v", tree)
	}
	want := history.PackageKnown{ProcessCost: 10 * time.Millisecond, MeanCost: 151 * time.Millisecond, Tests: 2, Serial: true, SerialUntil: "k1"}
	if diff := cmp.Diff(want, again.Package(historyPlatform, historyPackage)); diff != "" {
		t.Error(diff)
	}
	if start := again.Host("h").Start; start != 2*time.Millisecond {
		t.Errorf("the host started in %v", start)
	}
	r := again.Runs()[0]
	if r.ID != "run1" || r.Tests != 2 || r.Expected != 100*time.Millisecond || r.Actual != 300*time.Millisecond || r.Stopped != "interrupted" {
		t.Errorf("run %+v", r)
	}
	units, err := again.Replay("run1", "gw1")
	wantUnits := []history.UnitRun{{Gateway: "gw1", Platform: historyPlatform, Package: historyPackage, Tests: []string{"TestA/..."}, Skip: []string{"other"}}}
	wantUnits = append(wantUnits, wantUnits[0])
	if diff := cmp.Diff(wantUnits, units); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	text, err := os.ReadFile(file)
	if err != nil || !bytes.Contains(text, []byte(`"test":"TestA/sub"`)) {
		t.Errorf("%v: %s", err, text)
	}
}

func TestHistoryOfRounds(t *testing.T) {
	s := newStory()
	for range 4 {
		s.test("run", "TestA", 1, 0)
		s.wait(50 * time.Millisecond)
		s.test("pass", "TestA", 1, 0.05)
	}
	s.end(event.ItemSeconds{ID: historyPackage + "::TestA", Elapsed: 200 * time.Millisecond, Verdict: event.Pass})
	book := &history.Book{}
	h, err := NewHistory(HistoryConfig{Book: book})
	if err != nil {
		t.Fatal(err)
	}
	play(t, h, s.events)
	if k, _ := book.Test(historyPlatform, historyPackage, "TestA"); k.Cost != 50*time.Millisecond || k.Runs != 1 {
		t.Errorf("%+v", k)
	}
}

func TestHistoryOfARecordedRun(t *testing.T) {
	book := &history.Book{}
	h, err := NewHistory(HistoryConfig{Book: book})
	if err != nil {
		t.Fatal(err)
	}
	run := recordedAsRun(t, recordedRun)
	play(t, h, run)
	end := run[len(run)-1].(event.RunEnded)
	if r := book.Runs()[0]; r.Tests != len(end.Summary.Durations) {
		t.Errorf("%d tests, want %d", r.Tests, len(end.Summary.Durations))
	}
}

// TestHistoryThatCannotBeRecorded is a warning; that the timings cannot be written is an error.
func TestHistoryThatCannotBeRecorded(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	book, err := history.Open(file, "example.com")
	if book == nil {
		t.Fatal(err)
	}
	var warned error
	h, err := NewHistory(HistoryConfig{Book: book, Warn: func(err error) { warned = errors.Join(warned, err) }})
	if err != nil {
		t.Fatal(err)
	}
	s := newStory()
	s.end()
	play(t, h, s.events)
	if warned == nil {
		t.Error("no warning")
	}
	if _, err := NewHistory(HistoryConfig{Book: book, TimingsFile: filepath.Join(file, "x")}); err == nil || !strings.Contains(err.Error(), "prepare timings") {
		t.Errorf("timings below a file: %v", err)
	}
}

func TestDurationsExpected(t *testing.T) {
	var out bytes.Buffer
	d := NewDurations(DurationsConfig{Out: &out})
	end := event.RunEnded{Summary: event.Summary{Durations: []event.ItemSeconds{
		{ID: "p::TestA", Gateway: "gw0", Elapsed: 1500 * time.Millisecond, Expected: 12 * time.Second, Verdict: event.Pass},
		{ID: "p::TestB", Gateway: "gw10", Elapsed: time.Second, Verdict: event.Fail},
	}}}
	if err := d.Handle(end); err != nil {
		t.Fatal(err)
	}
	want := `
=== Slowest 2 of 2 items
1.50s  (expected 12.00s)  gw0   p::TestA
1.00s                     gw10  p::TestB (fail)
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

// What a run stood still is no cost of a process, before its tests and in one of them, and no time
// that a gateway took to come.
func TestHistoryWithoutStandstill(t *testing.T) {
	s := &story{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	stand := func(d time.Duration) {
		s.events = append(s.events, event.Suspended{Time: s.now})
		s.wait(d)
		s.events = append(s.events, event.Resumed{Time: s.now, Stood: d})
	}
	s.events = append(s.events, event.RunStarted{Time: s.now, RunID: "run1"})
	stand(time.Minute)
	s.wait(2 * time.Millisecond)
	s.events = append(s.events, event.GatewayUp{Time: s.now, Gateway: "gw1", Hostname: "h"})
	s.unit(true)
	s.wait(6 * time.Millisecond)
	stand(time.Hour)
	s.test("run", "TestA", 1, 0)
	s.wait(100 * time.Millisecond)
	stand(time.Hour)
	s.wait(200 * time.Millisecond)
	s.test("pass", "TestA", 1, 0.3)
	stand(time.Minute)
	s.wait(4 * time.Millisecond)
	s.unit(false)
	s.end(event.ItemSeconds{ID: historyPackage + "::TestA", Elapsed: 300 * time.Millisecond, Verdict: event.Pass})
	dir := t.TempDir()
	book, err := history.Open(dir, "example.com")
	if err != nil {
		t.Fatal(err)
	}
	h, err := NewHistory(HistoryConfig{Book: book, Warn: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	play(t, h, s.events)
	again, err := history.Open(dir, "example.com")
	if err != nil {
		t.Fatal(err)
	}
	a, _ := again.Test(historyPlatform, historyPackage, "TestA")
	if cost := again.Package(historyPlatform, historyPackage).ProcessCost; cost != 10*time.Millisecond || a.Cost != 300*time.Millisecond {
		t.Errorf("the process costs %v and the test %v", cost, a.Cost)
	}
	if start := again.Host("h").Start; start != 2*time.Millisecond {
		t.Errorf("the host takes %v to start", start)
	}
}

// What the plan said at half of the time is kept of a run that came to its end; what it said later
// is not, and nothing of a run that stood still.
func TestHistoryKeepsWhatWasForeseen(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	estimate := func(s, left int) event.Event {
		return event.Estimate{Time: at(s), Left: time.Duration(left) * time.Second}
	}
	unit := event.UnitStarted{Time: at(10), Gateway: "gw1", Package: historyPackage}
	end := event.RunEnded{Time: at(30)}
	stopped := end
	stopped.Summary.Stopped = "--maxfail"
	for name, tt := range map[string]struct {
		events []event.Event
		want   float64
	}{
		"the last one before":      {[]event.Event{unit, estimate(12, 1), estimate(16, 12), estimate(21, 1), end}, 0.9},
		"just then":                {[]event.Event{unit, estimate(20, 14), estimate(21, 1), end}, 1.2},
		"nothing by then":          {[]event.Event{unit, estimate(21, 9), end}, 0},
		"nothing at all":           {[]event.Event{unit, end}, 0},
		"before any process":       {[]event.Event{estimate(5, 9), unit, end}, 0},
		"a run that ended early":   {[]event.Event{unit, estimate(12, 9), stopped}, 0},
		"a run that was suspended": {[]event.Event{unit, estimate(12, 9), event.Suspended{Time: at(13)}, event.Resumed{Time: at(14), Stood: time.Second}, end}, 0},
	} {
		dir := t.TempDir()
		book, err := history.Open(dir, "example.com")
		if err != nil {
			t.Fatal(err)
		}
		h, err := NewHistory(HistoryConfig{Book: book, Warn: func(err error) { t.Error(err) }})
		if err != nil {
			t.Fatal(err)
		}
		play(t, h, append([]event.Event{event.RunStarted{Time: start, RunID: "r"}, event.GatewayUp{Time: at(1), Gateway: "gw1", Hostname: "h"}}, tt.events...))
		again, err := history.Open(dir, "example.com")
		if err != nil {
			t.Fatal(err)
		}
		if got := again.Runs()[0].Foreseen; math.Abs(got-tt.want) > 1e-9 {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}
