package html

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/history"
	"github.com/xdist-go/xdist/internal/chromium"
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

// A reader opens the report of a run with failures and finds one by search, by verdict and by what
// took longest.
func TestSearchInChromium(t *testing.T) {
	file, _ := written(t, aRun(t, 60))
	p := chromium.Open(t, "file://"+file, 1400)
	if bars, listed := p.Count("[data-bar]"), p.Count("[data-test]"); bars != 60 || listed != 62 {
		t.Errorf("%d bars and %d tests in the list, want 60 and 62", bars, listed)
	}
	if p.Shown("#timeline-section") != 1 || p.Shown(".failure[open] .output") != 1 {
		t.Error("the timeline is hidden, or the first failure is not open")
	}

	const names = "#list tbody td:first-child"
	search := func(keys string) {
		t.Helper()
		chromium.Eval[bool](p, `(search => (search.focus(), search.select(), true))(document.getElementById("search"))`)
		p.Do(chromedp.KeyEvent(keys))
	}
	search("number17")
	if got := p.Text(names); got != "m/p::TestNumber17" || p.Text("#count") != "1 of 62" || p.Shown(".failure") != 0 {
		t.Errorf("a search for one test that passed finds %q, %s, and shows %d failures", got, p.Text("#count"), p.Shown(".failure"))
	}
	if told := chromium.Eval[string](p, `document.querySelector("#list [role=img]").ariaLabel`); told != "failed in 1 of 4 runs before: pass 0.20 s, skip 0.15 s, flaky 0.10 s, pass 0.05 s" {
		t.Errorf("of earlier runs it says %q", told)
	}
	if got := chromium.Eval[string](p, "location.hash"); got != "#search=number17" {
		t.Errorf("the search is remembered as %q", got)
	}
	p.Do(chromedp.Reload())
	if got := p.Text(names); got != "m/p::TestNumber17" {
		t.Errorf("a link to the search finds %q", got)
	}
	search("testbad m/p")
	if got := p.Text(names); !strings.HasPrefix(got, "m/p::TestBad") || p.Count("[data-test]") != 1 || p.Shown(".failure") != 1 {
		t.Errorf("a search for the failure finds %q, and shows %d failures", got, p.Shown(".failure"))
	}

	search(kb.Backspace)
	p.Do(chromedp.Focus(chromedp.ID("filter")), chromedp.KeyEvent("failed"))
	if got := p.Count("[data-test]"); got != 2 || p.Count("#list td.fail") != 2 {
		t.Errorf("%d tests have failed", got)
	}
	p.Do(chromedp.Click(chromedp.CSS(`[data-sort="name"]`)))
	if got := p.Text(names); !strings.HasPrefix(got, "m/p [linux/arm64]::TestNumber0") {
		t.Errorf("by name, the failures are %q", got)
	}
	p.Do(chromedp.Click(chromedp.CSS(`[data-sort="name"]`)))
	if got := p.Text(names); !strings.HasPrefix(got, "m/p::TestBad") {
		t.Errorf("by name from the end, the failures are %q", got)
	}
}

// The timeline is looked at by mouse and by keyboard.
func TestTimelineInChromium(t *testing.T) {
	file, _ := written(t, aRun(t, 60))
	p := chromium.Open(t, "file://"+file, 1400)
	// A test of the middle is shown whichever half is.
	const middle = `Array.from(document.querySelectorAll("[data-bar]")).find(b => tests(b).endsWith("TestNumber31"))`
	chromium.Eval[bool](p, `document.getElementById("lanes").scrollIntoView(), window.tests = b => report.tests[report.bars[+b.dataset.bar][1]][1], true`)
	type place struct{ X, Width float64 }
	look := func() place {
		t.Helper()
		return chromium.Eval[place](p, `(r => ({ X: r.x + r.width / 2, Width: r.width }))(`+middle+`.getBoundingClientRect())`)
	}
	y := chromium.Eval[float64](p, `(r => r.y + r.height / 2)(`+middle+`.getBoundingClientRect())`)

	before := look()
	p.Do(chromedp.MouseEvent(chromedp.MouseMoved, before.X, y))
	if tip := p.Text("#tip"); !strings.HasPrefix(tip, "m/p::TestNumber31: passed after 0.02 s on gw2") {
		t.Errorf("of the bar below the mouse it says %q", tip)
	}
	if n := p.Count("[data-step]"); n != 4 {
		t.Errorf("%d steps are drawn, want 4", n)
	}
	build := chromium.Eval[[2]float64](p, `(r => [r.x + r.width / 2, r.y + r.height / 2])(document.querySelector(".s2[data-step]").getBoundingClientRect())`)
	p.Do(chromedp.MouseEvent(chromedp.MouseMoved, build[0], build[1]))
	if tip := p.Text("#tip"); tip != "build m/p: 0.06 s, from 0.04 s" {
		t.Errorf("of the build it says %q", tip)
	}
	p.Do(chromedp.Focus(chromedp.ID("lanes")), chromedp.KeyEvent("+"))
	near := look()
	if near.Width < 1.9*before.Width || p.Count("[data-bar]") >= 60 {
		t.Errorf("+ makes a bar of %.1f pixels %.1f wide, and shows %d bars", before.Width, near.Width, p.Count("[data-bar]"))
	}
	p.Do(chromedp.KeyEvent(kb.ArrowRight))
	if moved := look(); moved.X >= near.X-1 {
		t.Errorf("an arrow moves a bar from %.1f to %.1f", near.X, moved.X)
	}
	p.Do(chromedp.KeyEvent(kb.ArrowLeft))
	drag := func(kind input.DispatchMouseEventType, x float64) chromedp.Action[chromedp.Void] {
		return chromedp.MouseEvent(kind, x, y, func(m *input.DispatchMouseEventParams) { m.Buttons, m.Button = 1, input.MouseButtonLeft })
	}
	p.Do(drag(chromedp.MousePressed, near.X), drag(chromedp.MouseMoved, near.X+100), drag(chromedp.MouseReleased, near.X+100))
	if moved := look(); moved.X < near.X+90 || moved.X > near.X+110 {
		t.Errorf("the mouse drags a bar by 100 pixels from %.1f to %.1f", near.X, moved.X)
	}
	p.Do(chromedp.KeyEvent("0"))
	if again := look(); math.Abs(again.X-before.X) > .1 || math.Abs(again.Width-before.Width) > .1 || p.Count("[data-bar]") != 60 {
		t.Errorf("0 shows %d bars, and the one of the middle as %+v, not as %+v", p.Count("[data-bar]"), again, before)
	}
	p.Do(chromedp.MouseClickXY(before.X, y))
	if got := p.Text("#list tbody td:first-child"); got != "m/p::TestNumber31" {
		t.Errorf("a click on a bar lists %q", got)
	}
	if dim := p.Count("[data-bar].dim"); dim != 59 {
		t.Errorf("%d bars are dim when one test is searched for", dim)
	}
}

// What bounds a run is marked from its end to its beginning: tests, and what they waited for. On
// paper all failures are open.
func TestCriticalInChromium(t *testing.T) {
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	run := []event.Event{
		event.RunStarted{Time: at(0), Hostname: "here"}, event.Collected{Time: at(300), Platform: "linux/amd64"},
		event.GatewayOpening{Time: at(0), Gateway: "gw1"}, event.GatewayUp{Time: at(200), Gateway: "gw1", Hostname: "here"},
		event.GatewayOpening{Time: at(0), Gateway: "gw2"}, event.GatewayUp{Time: at(100), Gateway: "gw2", Hostname: "here"},
		event.Built{Time: at(1000), Platform: "linux/amd64", Package: "m/p", Ready: true},
	}
	s := event.Summary{Counts: map[event.Verdict]int{event.Pass: 2, event.Fail: 2}, Failed: 1}
	for _, ran := range []struct {
		gateway, test string
		from, to      int
		action        string
	}{
		{"gw1", "TestFirst", 1001, 2000, "pass"}, {"gw2", "TestShort", 1001, 1500, "fail"}, {"gw1", "TestSecond", 2010, 4000, "pass"}, {"gw2", "TestLate", 4010, 5000, "fail"},
	} {
		test := test2json.Event{Time: at(ran.to), Action: ran.action, Package: "m/p", Test: ran.test}
		run = append(run, event.Progress{Time: at(ran.from), Gateway: ran.gateway, Action: "run", Package: "m/p", Test: ran.test},
			event.Progress{Time: at(ran.to), Gateway: ran.gateway, Action: ran.action, Package: "m/p", Test: ran.test}, event.Test{Event: test, Gateway: ran.gateway, Attempt: 1})
		s.Durations = append(s.Durations, event.ItemSeconds{ID: "m/p::" + ran.test, Gateway: ran.gateway, Verdict: event.Verdict(ran.action)})
	}
	file, _ := written(t, append(run, event.RunEnded{Time: at(5000), Elapsed: 5 * time.Second, Summary: s}))
	p := chromium.Open(t, "file://"+file, 1400)
	marked := chromium.Eval[[]string](p, `Array.from(document.querySelectorAll(".critical[data-bar], .critical[data-step]")).map(e =>
		"bar" in e.dataset ? report.tests[report.bars[e.dataset.bar][1]][1] : report.steps[e.dataset.step][1]).sort()`)
	if want := []string{"TestFirst", "TestLate", "TestSecond", "build m/p", "collect the tests of linux/amd64"}; !slices.Equal(marked, want) {
		t.Errorf("the run is bounded by %q, want %q", marked, want)
	}
	if open := p.Count(".failure[open]"); open != 1 || p.Count(".failure") != 2 {
		t.Errorf("%d of %d failures are open", open, p.Count(".failure"))
	}
	chromium.Eval[bool](p, `dispatchEvent(new Event("beforeprint"))`)
	if open := p.Count(".failure[open]"); open != 2 {
		t.Errorf("on paper %d failures are open", open)
	}
}

// axe is where .ci/test.sh has npm install axe-core, at the version of the lock file beside it.
var axe = filepath.Join("testdata", "axe", "node_modules", "axe-core", "axe.min.js")

// People who do not see the page well, or have no mouse, can read it: axe-core finds no serious
// fault, in light, in dark and on a narrow screen, all failures unfolded.
func TestAccessible(t *testing.T) {
	script, err := os.ReadFile(axe)
	if err != nil {
		t.Skip("there is no axe-core: npm ci --prefix reporters/html/testdata/axe installs it")
	}
	file, _ := written(t, aRun(t, 60))
	for _, tt := range []struct {
		name  string
		width int64
		dark  bool
	}{{"light", 1400, false}, {"dark", 1400, true}, {"narrow", 420, false}} {
		t.Run(tt.name, func(t *testing.T) {
			p := chromium.Open(t, "file://"+file, tt.width)
			if tt.dark {
				p.Dark()
			}
			chromium.Eval[bool](p, string(script)+`; document.querySelectorAll("details").forEach(d => d.open = true), true`)
			found := chromium.Eval[[]string](p, `axe.run(document, { resultTypes: ["violations"] }).then(r =>
				r.violations.filter(v => v.impact === "serious" || v.impact === "critical").flatMap(v => v.nodes.map(n => v.id + ": " + v.help + ": " + n.html.slice(0, 200))).concat(r.passes.length > 5 ? [] : ["next to nothing was checked"]))`)
			for _, fault := range found {
				t.Error(fault)
			}
		})
	}
}
