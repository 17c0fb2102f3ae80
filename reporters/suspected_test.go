package reporters

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/scheduler/event"
)

const suspectedLine = "suspected failure: m/p::TestA on gw1, confirming: any other failure is tried alone\n    a_test.go:7: got 1, want 2"

// suspectedRun has a test that fails, is tried again and passes.
func suspectedRun() []event.Event {
	return []event.Event{
		event.Collected{Items: 2},
		on(testEvent("start", "", ""), "gw0", "m/p", 0, 0, 2),
		event.Suspected{Gateway: "gw1", Package: "m/p", Test: "TestA", Why: "any other failure is tried alone", Said: []test2json.Event{
			{Action: "run", Package: "m/p", Test: "TestA"},
			{Action: "output", Package: "m/p", Test: "TestA", Output: "=== RUN   TestA\n"},
			{Action: "output", Package: "m/p", Test: "TestA", Output: "    a_test.go:7: got 1, want 2\n"},
			{Action: "output", Package: "m/p", Test: "TestA", Output: "--- FAIL: TestA (0.00s)\n"},
		}},
		on(testEvent("run", "TestA", ""), "gw0", "m/p", 1, 0, 2),
		on(testEvent("pass", "TestA", ""), "gw0", "m/p", 1, 1, 2),
		on(testEvent("pass", "", ""), "gw0", "m/p", 2, 2, 2),
	}
}

// A failure that is to be confirmed has a line where tests are named or somebody looks on, on
// standard error. Without that event the reports are the same.
func TestSuspectedLine(t *testing.T) {
	run := append(suspectedRun(), event.RunEnded{})
	without := append(suspectedRun()[:2], run[3:]...)
	for _, format := range append(Formats(), FormatDebug) {
		for _, live := range []bool{false, true} {
			var width func() int
			if live {
				width = func() int { return 0 }
			}
			stdout, stderr := consoleText(t, ConsoleConfig{Format: format, Width: width}, run)
			want := ""
			switch format {
			case FormatXdist, FormatTestname, FormatTestdox, FormatGitHubActions, FormatStandardVerbose, FormatDebug:
				want = suspectedLine + "\n"
			case FormatPkgname, FormatPkgnameFails:
				if live {
					want = suspectedLine + "\n"
				}
			}
			if stderr != want {
				t.Errorf("%s, live %v: %q, want %q", format, live, stderr, want)
			}
			if strings.Contains(stderr, "FAIL") {
				t.Errorf("%s: taken for a verdict: %q", format, stderr)
			}
			if plain, _ := consoleText(t, ConsoleConfig{Format: format, Width: width}, without); stdout != plain {
				t.Errorf("%s, live %v: standard output is %q, and %q without", format, live, stdout, plain)
			}
		}
	}
}

func TestSuspectedIsInNoOtherReport(t *testing.T) {
	run := append(suspectedRun(), event.RunEnded{})
	without := append(suspectedRun()[:2], run[3:]...)
	reports := func(run []event.Event) string {
		var b bytes.Buffer
		j, err := NewJSON(JSONConfig{Out: &b})
		if err != nil {
			t.Fatal(err)
		}
		play(t, Multi(j, NewNotices(&b)), run)
		return b.String() + junitText(t, JUnitConfig{}, run)
	}
	if got, want := reports(run), reports(without); got != want {
		t.Errorf("%s\nwithout it:\n%s", got, want)
	}
}

func TestSuspectedOnStatusLine(t *testing.T) {
	l := newLiveConsole(t, FormatPkgname, 100)
	run := suspectedRun()
	l.handle(run[:3]...)
	l.clock.advance(time.Second)
	l.shows(suspectedLine, "0/2 0% · 1 suspected")
	l.handle(run[3:5]...)
	l.clock.advance(time.Second)
	l.shows(suspectedLine, "1/2 50%")

	var b progress
	b.update(run[2])
	b.update(on(testEvent("fail", "", ""), "gw0", "m/other", 2, 1, 2))
	if len(b.suspects) != 1 {
		t.Error("forgotten with another package")
	}
	b.update(run[5]) // the test itself did not run in the end
	if len(b.suspects) != 0 {
		t.Error("not forgotten with its package")
	}
}
