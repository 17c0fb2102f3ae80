package html

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/internal/chromium"
	"github.com/xdist-go/xdist/scheduler/event"
)

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

// The page of a history has a column for each run, and for each that saw a test.
func TestHistoryInChromium(t *testing.T) {
	h, _ := aHistory()
	file := filepath.Join(t.TempDir(), "history.html")
	if err := WriteHistory(file, h); err != nil {
		t.Fatal(err)
	}
	if columns := chromium.Open(t, "file://"+file, 1400).Shown("i"); columns != 4+3+2+2 {
		t.Errorf("%d columns are drawn", columns)
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
