package reporters

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/reporters/failure"
	"github.com/xdist-go/xdist/scheduler/event"
)

// sourceTree makes a module with one test file and returns its directory, and the event that tells
// of its packages.
func sourceTree(t *testing.T) (string, event.Collected) {
	t.Helper()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "p", "q"), 0o700); err != nil {
		t.Fatal(err)
	}
	text := "package q\n\nfunc TestX(t *testing.T) {\n\tt.Log(\"on the way\")\n\tt.Error(\"there\")\n}\n"
	if err := os.WriteFile(filepath.Join(dir, "p", "q", "q_test.go"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir, event.Collected{Platform: "linux/amd64", Dirs: map[string]string{"m/p/q": filepath.Join(dir, "p", "q"), "m": dir}}
}

// A test that runs again has its attempts in one block, and a flaky one at the end; a build that
// several packages need has its text once; a test that makes the run long is named.
func TestDigest(t *testing.T) {
	dir, collected := sourceTree(t)
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	at := func(e event.Test, attempt int, again bool) event.Test {
		e.Package, e.Gateway, e.Attempt, e.Again, e.Time = "m/p/q", "gw1", attempt, again, start
		return e
	}
	attempt := func(test string, n int, again bool, lines ...string) []event.Event {
		run := []event.Event{at(testEvent("run", test, ""), n, false)}
		for _, l := range lines {
			run = append(run, at(testEvent("output", test, l+"\n"), n, false))
		}
		action := "fail"
		if len(lines) == 0 {
			action = "pass"
		}
		return append(run, at(testEvent(action, test, ""), n, again))
	}
	run := []event.Event{event.RunStarted{Time: start, Workdir: dir}, collected, event.UnitStarted{Time: start.Add(time.Second), Gateway: "gw1"}}
	for _, attempts := range [][]event.Event{
		attempt("TestX", 1, true, "=== RUN   TestX", "    q_test.go:4: on the way", "    q_test.go:5: there", "--- FAIL: TestX (0.00s)"),
		attempt("TestX", 2, true, "    q_test.go:5: otherwise", "--- FAIL: TestX (0.00s)"),
		attempt("TestX", 3, false, "    q_test.go:5: there", "--- FAIL: TestX (0.00s)"),
		attempt("TestFlaky", 1, true, "    q_test.go:5: at first"),
		attempt("TestFlaky", 2, false),
	} {
		run = append(run, attempts...)
	}
	build := func(e test2json.Event) event.Test { return event.Test{Event: e} }
	run = append(run, at(testEvent("fail", "", ""), 0, false),
		build(test2json.Event{Action: "build-output", ImportPath: "b", Output: "# b\nb/b.go:1:2: undefined: x\n"}),
		build(test2json.Event{Action: "build-fail", ImportPath: "b"}),
		build(test2json.Event{Action: "fail", Package: "m/c", FailedBuild: "b"}),
		build(test2json.Event{Action: "fail", Package: "m/d", FailedBuild: "b"}),
		event.RunEnded{Time: start.Add(11 * time.Second), Elapsed: 11 * time.Second, Summary: event.Summary{
			Collected: 2, Counts: map[event.Verdict]int{event.Fail: 1, event.Flaky: 1}, Failed: 1, BuildFailed: 2,
			Durations: []event.ItemSeconds{
				{ID: "m/p/q::TestX", Gateway: "gw1", Verdict: event.Fail, Elapsed: 9 * time.Second},
				{ID: "m/p/q::TestFlaky", Gateway: "gw1", Verdict: event.Flaky, Failures: 1},
			},
		}})
	stdout, _ := consoleText(t, ConsoleConfig{Again: "xdist --last-failed ./...", Reports: []string{"report.xml"}}, run)
	place := filepath.Join("p", "q", "q_test.go")
	want := `AGAIN p/q.TestX  gw1  attempt 1: ` + place + `:5: there
AGAIN p/q.TestX  gw1  attempt 2: ` + place + `:5: otherwise
FAIL  p/q.TestX (0s)  gw1  attempt 3
    attempt 1 on gw1 failed alike
    attempt 2 on gw1:
    q_test.go:5: otherwise
    attempt 3:
    q_test.go:5: there
AGAIN p/q.TestFlaky  gw1  attempt 1: ` + place + `:5: at first
✖  p/q (0s)  1 of 2 tests failed
FAIL  m/c [build failed]
# b
b/b.go:1:2: undefined: x
FAIL  m/d [build failed]

=== Flaky
p/q.TestFlaky (failed once, passed on gw1)
    attempt 1 on gw1:
    q_test.go:5: at first

FAIL  1 of 2 tests, 1 flaky, 2 packages did not build   11s (build 1s, tests 10s on 1 gateway)
  p/q.TestX           ` + place + `:5   there
  m/c [build failed]  b/b.go:1
  m/d [build failed]  b/b.go:1
bounded by p/q.TestX on gw1: 9s of 10s
again: xdist --last-failed ./...      report: report.xml
`
	if stdout != want {
		t.Errorf("got:\n%s\nwant:\n%s", stdout, want)
	}
	if strings.Contains(stdout, "\x1b") {
		t.Error("there are colours")
	}
}

// The account keeps no more of what failed than its bounds, and counts the rest.
func TestAccountIsBounded(t *testing.T) {
	var a account
	name := strings.Repeat("x", 1<<20)
	for range 20 {
		a.failed(&failure.Ended{Findings: []failure.Finding{{Package: "p", Test: name}, {Package: "p", Test: "y"}}})
	}
	kept := 0
	for _, f := range a.failures {
		kept += len(f.Test)
	}
	if kept > accountBytes || kept < accountBytes/2 || len(a.failures)+a.more != 40 {
		t.Errorf("%d bytes of %d failures are kept, and %d are counted", kept, len(a.failures), a.more)
	}
}
