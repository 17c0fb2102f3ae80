package reporters

import (
	"strings"
	"testing"
	"time"

	"github.com/xdist-go/xdist/scheduler/event"
)

// flakyRun has a test that fails once with a subtest and then passes, and one that fails twice.
func flakyRun() []event.Event {
	attempt := func(n int, action, test, output string) event.Test {
		e := testEvent(action, test, output)
		e.Time = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		e.Attempt, e.Total, e.Again = n, 2, action == "fail" && n == 1
		return e
	}
	run := []event.Event{
		attempt(1, "start", "", ""),
		attempt(1, "run", "TestFlaky", "=== RUN   TestFlaky\n"),
		attempt(1, "run", "TestFlaky/sub", ""),
		attempt(1, "output", "TestFlaky/sub", "    p_test.go:7: port in use\n"),
		attempt(1, "output", "TestFlaky/sub", "    --- FAIL: TestFlaky/sub (0.01s)\n"),
		attempt(1, "fail", "TestFlaky/sub", ""),
		attempt(1, "output", "TestFlaky", "--- FAIL: TestFlaky (0.01s)\n"),
		attempt(1, "fail", "TestFlaky", ""),
	}
	for n := 1; n <= 2; n++ {
		run = append(run, attempt(n, "run", "TestFails", ""), attempt(n, "output", "TestFails", "    p_test.go:12: wrong\n"),
			attempt(n, "output", "TestFails", "--- FAIL: TestFails (0.00s)\n"), attempt(n, "fail", "TestFails", ""))
	}
	run = append(run, attempt(2, "run", "TestFlaky", ""), attempt(2, "run", "TestFlaky/sub", ""), attempt(2, "pass", "TestFlaky/sub", ""),
		attempt(2, "pass", "TestFlaky", ""), attempt(2, "fail", "", ""))
	return append(run, event.RunEnded{Summary: event.Summary{
		Collected: 2, Failed: 1, Counts: map[event.Verdict]int{event.Flaky: 1, event.Fail: 1},
		Durations: []event.ItemSeconds{
			{ID: "example.com/p::TestFails", Gateway: "gw1", Verdict: event.Fail, Failures: 1},
			{ID: "example.com/p::TestFlaky", Gateway: "gw1", Verdict: event.Flaky, Failures: 1},
		},
	}})
}

// A failure that did not count is shown, and is not among those that did.
func TestConsoleFlaky(t *testing.T) {
	stdout, _ := consoleText(t, ConsoleConfig{Format: FormatTestname}, flakyRun())
	golden(t, "console-flaky.txt", stdout)
}

func TestJUnitFlaky(t *testing.T) {
	golden(t, "junit-flaky.xml", junitText(t, JUnitConfig{}, flakyRun()))
}

// The status counts the failures that count.
func TestBoardFlaky(t *testing.T) {
	var p progress
	for _, e := range flakyRun() {
		p.update(e)
	}
	if p.failed != 1 {
		t.Errorf("%d failures", p.failed)
	}
}

func TestSlowTests(t *testing.T) {
	run := []event.Event{event.SlowTest{Gateway: "gw3", Package: "example.com/p", Test: "TestX", Running: 61400 * time.Millisecond}}
	_, stderr := consoleText(t, ConsoleConfig{}, append(run, event.RunEnded{}))
	var b strings.Builder
	if err := NewNotices(&b).Handle(run[0]); err != nil {
		t.Fatal(err)
	}
	for _, got := range []string{stderr, b.String()} {
		if want := "SLOW example.com/p::TestX has been running for 1m1s on gw3\n"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
