package html

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/history"
	"github.com/xdist-go/xdist/scheduler/event"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// evil is what a test may print or be called to break a page.
const evil = `</script><script>alert(1)</script>&<b>"'\u2028`

// aRun has n tests on gateways of two hosts, 20 ms each; every tenth is skipped, one fails, one of
// another platform too, and one did not run.
func aRun(t testing.TB, n int) []event.Event {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "p_test.go"), []byte("package p\n\n\tbefore()\n\tt.Error(\"bad <i>\")\n\tafter()\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run := []event.Event{
		event.RunStarted{Time: start, RunID: "run1", Workdir: dir, Hostname: "here", Command: []string{"./..."}, Specs: []string{"popen", "ssh=far"}},
		event.Collected{Time: start.Add(40 * time.Millisecond), Platform: "linux/amd64", Dirs: map[string]string{"m/p": dir}},
		event.GatewayOpening{Time: start, Gateway: "gw10"},
		event.Sending{Time: start.Add(10 * time.Millisecond), Hostname: "far", Bytes: 1e6}, event.Sending{Time: start.Add(60 * time.Millisecond), Hostname: "far", Bytes: 3e6},
		event.Built{Time: start.Add(100 * time.Millisecond), Platform: "linux/amd64", Package: "m/p", Ready: true},
	}
	for _, g := range []string{"gw10", "gw2", "gw1"} {
		run = append(run, event.GatewayUp{Time: start.Add(30 * time.Millisecond), Gateway: g, Hostname: map[string]string{"gw10": "far", "gw2": "near", "gw1": "near"}[g]})
	}
	s := event.Summary{Collected: n, Counts: map[event.Verdict]int{}, Failed: 1}
	for i := range n {
		name, gateway, action, v := fmt.Sprintf("TestNumber%d", i), []string{"gw1", "gw2", "gw10"}[i%3], "pass", event.Pass
		switch {
		case i == 1:
			name, action, v = "TestBad"+strings.ReplaceAll(evil, "/", "|"), "fail", event.Fail
		case i%10 == 9:
			action, v = "skip", event.Skip
		}
		at := start.Add(time.Duration(i/3) * 20 * time.Millisecond)
		tell := func(action, output string) {
			run = append(run, event.Test{Event: test2json.Event{Time: at, Action: action, Package: "m/p", Test: name, Output: output}, Gateway: gateway, Attempt: 1, Platform: "linux/amd64"})
		}
		run = append(run, event.Progress{Time: at, Gateway: gateway, Action: "run", Package: "m/p", Test: name},
			event.Progress{Time: at.Add(20 * time.Millisecond), Gateway: gateway, Action: action, Package: "m/p", Test: name})
		tell("run", "")
		if action == "fail" {
			tell("output", "    p_test.go:4: "+evil+"\n")
		}
		tell(action, "")
		s.Counts[v]++
		s.Durations = append(s.Durations, event.ItemSeconds{ID: "m/p::" + name, Test: "m/p::" + name, Platform: "linux/amd64", Gateway: gateway, Elapsed: 20 * time.Millisecond, Verdict: v})
	}
	s.Durations = append(s.Durations, event.ItemSeconds{ID: "m/p [linux/arm64]::TestNumber0", Test: "m/p::TestNumber0", Platform: "linux/arm64", Verdict: event.Fail})
	s.NotRun = []event.NotRunItem{{ID: "m/q::TestQ", Reason: "its package did not build"}}
	s.Counts[event.NotRun]++
	return append(run, event.RunEnded{Time: start.Add(time.Minute), Elapsed: time.Duration(n/3+1) * 20 * time.Millisecond, Summary: s})
}

// past is what earlier runs saw of two tests, and this run.
func past(platform, pkg, test string) []history.Sight {
	seen := func(verdicts ...history.Verdict) []history.Sight {
		sights := []history.Sight{{Time: start, Elapsed: time.Second, Verdict: history.Crash}}
		for i, v := range verdicts {
			sights = append(sights, history.Sight{Time: start.Add(-time.Duration(i+1) * time.Hour), Elapsed: time.Duration(i+1) * 50 * time.Millisecond, Verdict: v})
		}
		return sights
	}
	switch {
	case platform != "linux/amd64" || pkg != "m/p":
	case test == "TestNumber17":
		return seen(history.Pass, history.Flaky, history.Skip, history.Pass)
	case strings.HasPrefix(test, "TestBad"):
		return seen(history.Fail, history.Pass, history.Crash)
	}
	return nil
}

// written is the report of a run.
func written(t *testing.T, run []event.Event) (file, text string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "out", "report.html")
	r, err := New(file, nil, past)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range run {
		if err := r.Handle(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	read, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(filepath.Dir(file)); err != nil || len(entries) != 1 {
		t.Errorf("there is more than the report: %v, %v", entries, err)
	}
	return file, string(read)
}

// What failed can be read without JavaScript, nothing of a test is taken for a part of the page,
// and nothing is asked of the network.
func TestPage(t *testing.T) {
	_, text := written(t, aRun(t, 30))
	page, script, _ := strings.Cut(text, "<script>")
	for _, want := range []string{"failed: 1 of 30 tests", "p_test.go:4", "bad &lt;i&gt;", "its package did not build", "m/q::TestQ", `<td class="fail">fail</td>`, "failed in 2 of the 3 runs before, not on " + start.Add(-2*time.Hour).Local().Format(time.DateTime)} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not have %q", want)
		}
	}
	if n := strings.Count(text, "<script>"); n != 1 {
		t.Errorf("there are %d scripts", n)
	}
	if links := regexp.MustCompile(`(?:src|href|url)\s*[=(]`).FindAllString(page, -1); links != nil {
		t.Errorf("the page asks for %q", links)
	}
	if urls := regexp.MustCompile(`https?://[^"']*`).FindAllString(script, -1); len(urls) != 1 || urls[0] != "http://www.w3.org/2000/svg" {
		t.Errorf("addresses in the script: %q", urls)
	}
	var d struct{ Bars, Tests, Steps, Gateways, Past []any }
	line, _, _ := strings.Cut(strings.TrimPrefix(script, "const report = "), ";\n")
	if err := json.Unmarshal([]byte(line), &d); err != nil {
		t.Fatal(err)
	}
	if len(d.Bars) != 30 || len(d.Tests) != 32 || fmt.Sprint(d.Gateways) != "[[build linux/amd64 here] [sent far] [gw10 far] [gw1 near] [gw2 near]]" {
		t.Errorf("%d bars, %d tests, gateways %v", len(d.Bars), len(d.Tests), d.Gateways)
	}
	if want := "[[0 collect the tests of linux/amd64 0 40 1] [1 send 3.0 MB to far 10 50 3] [0 build m/p 40 60 2] [2 connect to gw10 0 30 0]]"; fmt.Sprint(d.Steps) != want {
		t.Errorf("steps %v, want %s", d.Steps, want)
	}
	if want := "[[1 1 50 0 100 4 150] [17 0 50 2 100 3 150 0 200]]"; fmt.Sprint(d.Past) != want {
		t.Errorf("of earlier runs it has %v, want %s", d.Past, want)
	}
}

// A report is small.
func TestSize(t *testing.T) {
	for n, most := range map[int]int{1000: 500 << 10, 100_000: 15 << 20} {
		if _, text := written(t, aRun(t, n)); len(text) > most {
			t.Errorf("%d tests take %d bytes, and may take %d", n, len(text), most)
		}
	}
}

// BenchmarkReport is the cost of a test: keeping it, and its part of the page.
func BenchmarkReport(b *testing.B) {
	run := aRun(b, 100_000)
	for b.Loop() {
		r, err := New(filepath.Join(b.TempDir(), "report.html"), nil, nil)
		if err != nil {
			b.Fatal(err)
		}
		for _, e := range run {
			if err := r.Handle(e); err != nil {
				b.Fatal(err)
			}
		}
		if err := r.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/100_000, "µs/test")
}

// A place where nothing can be written is an error before the run.
func TestNowhere(t *testing.T) {
	if _, err := New(filepath.Join("html.go", "report.html"), nil, nil); err == nil || !strings.Contains(err.Error(), "prepare HTML report") {
		t.Errorf("the error is %v", err)
	}
}

// A run that was stopped, or ran nothing, is not green, and names a failure so that no element of
// the page is meant.
func TestClass(t *testing.T) {
	for want, s := range map[string]event.Summary{
		"good": {Collected: 1}, "bad": {Collected: 1, Failed: 1, Interrupted: true}, "open": {Collected: 1, Interrupted: true},
	} {
		if got := classes[event.RunEnded{Summary: s}.Outcome()]; got != want {
			t.Errorf("%+v is %s, want %s", s, got, want)
		}
	}
	if got := classes[event.RunEnded{}.Outcome()]; got != "open" {
		t.Errorf("a run of nothing is %s", got)
	}
	_, text := written(t, aRun(t, 3))
	if !strings.Contains(text, `<details class="failure" id="t:m/p::TestBad`) {
		t.Error("the id of a failure may be one of the page's own")
	}
}
