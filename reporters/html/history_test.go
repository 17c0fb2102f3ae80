package html

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/xdist-go/xdist/history"
)

// aHistory has four runs, a flaky test and one that is newly slow; at is the time of the runs.
func aHistory() (h History, at func(n int) time.Time) {
	at = func(n int) time.Time { return start.Add(time.Duration(n) * time.Hour) }
	saw := func(took time.Duration, verdicts ...history.Verdict) (seen []history.Sight) {
		for i, v := range verdicts {
			seen = append(seen, history.Sight{Time: at(3 - i), Elapsed: took / time.Duration(i+1), Verdict: v})
		}
		return seen
	}
	flaky := history.TestSummary{Package: "m/p", Test: "TestFlaky" + evil, Failures: 1, Recent: 3, Seen: saw(time.Second, history.Pass, history.Fail, history.Flaky)}
	slow := history.TestSummary{Package: "m/p", Platform: "linux/arm64", Test: "TestSlow", Before: time.Second, Latest: 4 * time.Second, Since: at(3), Seen: saw(4*time.Second, history.Pass, history.Pass)}
	h = History{Module: "m", Several: true, Flaky: []history.TestSummary{flaky}, Slower: []history.TestSummary{slow}, Slowest: []history.TestSummary{slow}}
	for n := range 4 {
		h.Runs = append(h.Runs, history.RunSummary{ID: strings.Repeat(string(rune('a'+n)), 12), Time: at(3 - n), Elapsed: time.Duration(n+1) * time.Second, Tests: 9, Failed: n % 2, Command: []string{"./..."}})
	}
	return h, at
}

// The page of a history has what each run saw of a flaky test, oldest first, and leads from a test
// that is newly slow to the run that began it. It has no script and asks for nothing.
func TestHistory(t *testing.T) {
	h, at := aHistory()
	file := filepath.Join(t.TempDir(), "out", "history.html")
	if err := WriteHistory(file, h); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	for _, want := range []string{
		"4 runs, 1 flaky tests, 1 newly slow", "m/p::TestSlow [linux/arm64]", `run <a href="#aaaaaaaa">aaaaaaaa</a>`, `<tr id="aaaaaaaa">`, "1 of 3</td>",
		date(at(2)) + "</td>", `<i class="fail" style="height: 50%"`, `class="flaky" style="height: 33%"`, "TestFlaky&lt;/script&gt;",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not have %q", want)
		}
	}
	if strings.Contains(page, "<script") || strings.Contains(page, "http:") || strings.Index(page, `class="flaky" style`) > strings.Index(page, `class="pass" style="height: 100%"`) {
		t.Error("the page has a script or an address, or the newest run is not on the right")
	}
	if err := WriteHistory(t.TempDir(), h); err == nil {
		t.Error("a directory was written to")
	}
}
