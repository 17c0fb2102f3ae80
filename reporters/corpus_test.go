package reporters

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	nethtml "golang.org/x/net/html"

	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/history"
	"github.com/xdist-go/xdist/reporters/ci"
	"github.com/xdist-go/xdist/reporters/html"
	"github.com/xdist-go/xdist/reporters/trace"
	"github.com/xdist-go/xdist/scheduler/event"
)

// The corpus are the events of recorded runs, testdata/corpus/NAME.ndjson, one for each thing that
// can become of a run. Package integration/record makes them anew from testdata/corpus/module, and
// `go test ./reporters -update` the goldens, testdata/golden/corpus/NAME.txt.

// corpus is where the recordings are.
var corpus = filepath.Join("testdata", "corpus")

// recordedModule stands for the place of the module in the recordings.
const recordedModule = "/the/module"

// corpusNames are the names of the recordings.
func corpusNames(t *testing.T) []string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the recorded runs and their goldens have paths of Unix")
	}
	files, err := filepath.Glob(filepath.Join(corpus, "*.ndjson"))
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no recordings: %v", err)
	}
	for i, f := range files {
		files[i] = strings.TrimSuffix(filepath.Base(f), ".ndjson")
	}
	return files
}

// moduleDir is where the module of the recordings is here.
func moduleDir(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join(corpus, "module"))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// recording is the text of one, with the module where it is here.
func recording(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(corpus, name+".ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(text), recordedModule, filepath.ToSlash(moduleDir(t)))
}

// readEvents is what Events has written as the events that it was written of. What the stream does
// not tell of them is left out: the output of a suspected failure is a line with its place, and
// what links carry is not there.
func readEvents(t testing.TB, text string) []event.Event {
	t.Helper()
	var run []event.Event
	var items []event.ItemSeconds
	var notRun []event.NotRunItem
	total, done := 0, 0
	for line := range strings.Lines(text) {
		var h head
		as := func(form any) {
			if err := json.Unmarshal([]byte(line), form); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
		}
		as(&h)
		switch h.Event {
		case "collected":
			var l collectedLine
			as(&l)
			total += l.Tests
			run = append(run, event.Collected{Time: l.Time, Platform: l.Platform, Packages: l.Packages, Items: l.Tests, Dirs: l.Dirs})
		case "test":
			var l testLine
			as(&l)
			e := event.Test{Event: test2json.Event{
				Time: h.Time, Action: l.Action, ImportPath: l.ImportPath, Package: l.Package, Test: l.Test, Elapsed: l.Elapsed, Output: l.Output,
				FailedBuild: l.Build, Key: l.Key, Value: l.Value, Path: l.Path,
			}, Gateway: l.Gateway, Platform: l.Platform, Attempt: l.Attempt, Again: l.Again, Total: total}
			if e.Terminal() && isItem(e.Event) && !e.Again {
				done++
			}
			e.Done = done
			run = append(run, e)
		case "verdict":
			var l verdictLine
			as(&l)
			if l.Reason != "" {
				notRun = append(notRun, event.NotRunItem{ID: l.ID, Reason: l.Reason})
				continue
			}
			pkg, test, _ := strings.Cut(l.ID, "::")
			path, _, _ := history.SplitShown(pkg)
			items = append(items, event.ItemSeconds{
				ID: l.ID, Test: path + "::" + test, Platform: l.Platform, Gateway: l.Gateway, Verdict: event.Verdict(l.Verdict),
				Elapsed: ofSeconds(l.Elapsed), Expected: ofSeconds(l.Expected), Failures: l.Failures,
			})
		case "end":
			var l endLine
			as(&l)
			end := event.RunEnded{Time: h.Time, Elapsed: ofSeconds(l.Elapsed), Summary: event.Summary{
				Collected: l.Tests, Counts: map[event.Verdict]int{}, NotRun: notRun, Failed: l.Failed, BuildFailed: l.Unbuilt, Interrupted: l.Interrupted,
				Stopped: l.Stopped, Coverage: l.Coverage, Unbalanced: l.Unbalanced, NothingRan: l.NothingRan, LeftOut: l.LeftOut, Shards: l.Division, Flags: l.Flags, Durations: items,
			}}
			for v, n := range l.Verdicts {
				end.Summary.Counts[event.Verdict(v)] = n
			}
			if l.Error != "" {
				end.Fatal = errors.New(l.Error)
			}
			run = append(run, end)
		default:
			e := readEvent(h, as)
			if e == nil {
				t.Fatalf("%s: an event that nobody knows", line)
			}
			run = append(run, e)
		}
	}
	return run
}

// readEvent is a line as the event that it was written of; nil where that takes more than the line.
func readEvent(h head, as func(form any)) event.Event {
	switch h.Event {
	case "run":
		var l runLine
		as(&l)
		return event.RunStarted{Time: h.Time, RunID: l.Run, Dist: l.Dist, Specs: l.Specs, Command: l.Command, Workdir: l.Workdir, Hostname: l.Hostname, Shard: l.Shard,
			Version: l.Xdist, GoVersion: l.Go, Platform: l.Platform}
	case "built":
		var l builtLine
		as(&l)
		return event.Built{Time: h.Time, Platform: l.Platform, Package: l.Package, Ready: l.Ready}
	case "listening":
		var l listeningLine
		as(&l)
		return event.Listening{Spec: l.Spec, Addr: l.Address}
	case "gateway-opening", "gateway-up", "gateway-down":
		var l gatewayLine
		as(&l)
		return map[string]event.Event{
			"gateway-opening": event.GatewayOpening{Time: h.Time, Gateway: l.Gateway, Spec: l.Spec},
			"gateway-up":      event.GatewayUp{Time: h.Time, Gateway: l.Gateway, Spec: l.Spec, Hostname: l.Hostname, Platform: l.Platform, Pid: l.Pid},
			"gateway-down":    event.GatewayDown{Time: h.Time, Gateway: l.Gateway, Reason: l.Reason},
		}[h.Event]
	case "unit-started":
		var l unitLine
		as(&l)
		return event.UnitStarted{Time: h.Time, Gateway: l.Gateway, Package: l.Package, Items: len(l.Tests), Tests: l.Tests, Skip: l.Skip, Key: l.Binary}
	case "unit-ended":
		var l unitLine
		as(&l)
		return event.UnitEnded{Time: h.Time, Gateway: l.Gateway, Package: l.Package}
	case "progress":
		var l progressLine
		as(&l)
		return event.Progress{Time: h.Time, Action: l.Action, Gateway: l.Gateway, Package: l.Package, Test: l.Test, Expected: ofSeconds(l.Expected)}
	case "build-step":
		var l buildStepLine
		as(&l)
		return event.BuildStep{Time: h.Time, Platform: l.Platform, Step: l.Step}
	case "running":
		var l runningLine
		as(&l)
		return event.Running{Time: h.Time, Gateways: []event.GatewayRuns{{Gateway: l.Gateway, Package: l.Package, For: ofSeconds(l.Running), More: l.More, Output: l.Output}}}
	case "suspected":
		var l suspicionLine
		as(&l)
		said := l.Message
		if l.Place != "" {
			said = "    " + l.Place[strings.LastIndexByte(l.Place, '/')+1:] + ": " + said
		}
		return event.Suspected{Time: h.Time, Gateway: l.Gateway, Package: l.Package, Test: l.Test, Why: l.Why, Said: []test2json.Event{{Action: "output", Output: said + "\n"}}}
	case "sending":
		var l sendingLine
		as(&l)
		return event.Sending{Time: h.Time, Hostname: l.Hostname, Bytes: l.Bytes}
	case "estimate":
		var l estimateLine
		as(&l)
		return event.Estimate{Time: h.Time, Left: ofSeconds(l.Left)}
	case "suspended":
		return event.Suspended{Time: h.Time}
	case "resumed":
		var l standstillLine
		as(&l)
		return event.Resumed{Time: h.Time, Stood: ofSeconds(l.Stood)}
	case "slow":
		var l slowLine
		as(&l)
		return event.SlowTest{Time: h.Time, Gateway: l.Gateway, Package: l.Package, Test: l.Test, Running: ofSeconds(l.Running)}
	case "stderr", "warning":
		var l textLine
		as(&l)
		return map[string]event.Event{"stderr": event.Stderr{Text: l.Text}, "warning": event.Warning{Text: l.Text}}[h.Event]
	case "learned":
		var l learnedLine
		as(&l)
		return event.Learned{Lesson: history.Lesson{Platform: l.Platform, Package: l.Package, Test: l.Test, Kind: history.LessonKind(l.Lesson), Undone: l.Undone}}
	}
	return nil
}

// Whatever Events writes can be read again: a recording may have all of it.
func TestEveryEventIsRead(t *testing.T) {
	var text bytes.Buffer
	e, err := OpenEvents("-", &text)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range everyEvent() {
		if err := e.Handle(one); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	read := map[string]bool{}
	for _, one := range readEvents(t, text.String()) {
		read[fmt.Sprintf("%T", one)] = true
	}
	for _, one := range everyEvent() {
		if !read[fmt.Sprintf("%T", one)] {
			t.Errorf("no %T was read", one)
		}
	}
}

func ofSeconds(s float64) time.Duration { return time.Duration(math.Round(s * 1e9)) }

// A recording has a line for each event of the schema, and what is read of it is written as it was.
func TestCorpusIsWhatEventsWrites(t *testing.T) {
	valid := eventsSchema(t)
	for _, name := range corpusNames(t) {
		text := recording(t, name)
		for line := range strings.Lines(text) {
			if err := valid(line); err != nil {
				t.Errorf("%s: %s: %v", name, line, err)
			}
		}
		if !strings.Contains(text, `{"event":"end",`) {
			t.Errorf("%s has no end", name)
		}
		again := strings.Join(written(t, readEvents(t, text)), "")
		for n, line := range strings.SplitAfter(text, "\n") {
			if got, _, _ := strings.Cut(again, "\n"); got != strings.TrimSuffix(line, "\n") {
				t.Errorf("%s: line %d is\n%sand was written as\n%s", name, n+1, line, got)
				break
			}
			_, again, _ = strings.Cut(again, "\n")
		}
	}
}

// Lines that are made by hand are those of encoding/json.
func TestLinesByHand(t *testing.T) {
	var e Events
	odd := event.Summary{} // numbers that encoding/json writes with an exponent
	for i, elapsed := range []time.Duration{1, 999, 1000, 1001, 100 * 365 * 24 * time.Hour} {
		odd.Durations = append(odd.Durations, event.ItemSeconds{ID: fmt.Sprint("p::Test", i), Test: fmt.Sprint("p::Test", i), Elapsed: elapsed, Verdict: event.Pass})
	}
	tiny, huge := 1e-9, 1e21
	runs := [][]event.Event{everyEvent(), {
		event.Test{Event: test2json.Event{Action: "pass", Package: "p", Test: "TestX", Elapsed: &tiny}},
		event.Test{Event: test2json.Event{Action: "pass", Package: "p", Test: "TestX", Elapsed: &huge}}, event.RunEnded{Summary: odd},
	}}
	for _, name := range corpusNames(t) {
		runs = append(runs, readEvents(t, recording(t, name)))
	}
	compared := 0
	same := func(form any, got []byte) {
		want, err := json.Marshal(form)
		if err != nil {
			t.Fatal(err)
		}
		if compared++; string(want)+"\n" != string(got) {
			t.Errorf("encoding/json has\n%s\nand by hand it is\n%s", want, got)
		}
	}
	for _, run := range runs {
		for _, ev := range run {
			if got, ok := appendOften(nil, ev); ok {
				for form := range e.lines(ev) {
					same(form, got)
				}
			}
			if end, ok := ev.(event.RunEnded); ok {
				for line := range verdictLines(&end.Summary) {
					same(line, appendVerdict(nil, &line))
				}
			}
		}
	}
	if compared < 500 {
		t.Errorf("only %d lines were compared", compared)
	}
	nan := math.NaN()
	if got, _ := appendOften(nil, event.Test{Event: test2json.Event{Action: "pass", Elapsed: &nan, Time: time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)}}); !json.Valid(got) {
		t.Errorf("what JSON cannot hold is %s", got)
	}
}

// Every reporter makes of every recorded run what its golden says.
func TestCorpus(t *testing.T) {
	for _, name := range corpusNames(t) {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			for _, r := range rendered(t, readEvents(t, recording(t, name))) {
				fmt.Fprintf(&b, "######## %s\n%s\n", r.reporter, visible(strings.ReplaceAll(r.text, filepath.ToSlash(moduleDir(t)), recordedModule)))
			}
			golden(t, filepath.Join("corpus", name+".txt"), b.String())
		})
	}
}

// A run of 10,000 tests is not kept: its goldens are the sizes and digests of what reporters make
// of it.
func TestCorpusOfManyTests(t *testing.T) {
	var b strings.Builder
	for _, r := range rendered(t, manyTests(10_000)) {
		fmt.Fprintf(&b, "%-24s %8d bytes %6d lines %.6x\n", r.reporter, len(r.text), strings.Count(r.text, "\n"), sha256.Sum256([]byte(r.text)))
	}
	golden(t, filepath.Join("corpus", "10000.txt"), b.String())
}

// rendering is what a reporter has made of a run.
type rendering struct{ reporter, text string }

// rendered is a run as all reporters show it.
func rendered(t *testing.T, run []event.Event) []rendering {
	t.Helper()
	var all []rendering
	add := func(reporter, text string) { all = append(all, rendering{reporter, text}) }
	for _, format := range []Format{FormatXdist, FormatPkgname, FormatTestname, FormatGitHubActions, FormatStandardVerbose} {
		stdout, stderr := consoleText(t, ConsoleConfig{Format: format, Again: "xdist --last-failed"}, run)
		if stderr != "" {
			stdout += "######## on standard error\n" + stderr
		}
		add("console "+string(format), stdout)
	}
	var out bytes.Buffer
	j, err := NewJSON(JSONConfig{Out: &out})
	if err != nil {
		t.Fatal(err)
	}
	play(t, j, run)
	add("json", out.String())
	add("junit", junitText(t, JUnitConfig{SystemOut: EveryTest}, run))
	add("junit jenkins", junitText(t, JUnitConfig{Schema: JUnitJenkins}, run))
	for _, service := range []ci.Service{ci.GitHub, ci.GitLab, ci.Buildkite, ci.TeamCity, ci.Azure, ci.Jenkins} {
		add("ci "+string(service), ciText(t, service, run))
	}
	file := filepath.Join(t.TempDir(), "report")
	page, err := html.New(file, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	play(t, page, run)
	add("html", pageText(t, read(t, file)))
	lanes, err := trace.New(file)
	if err != nil {
		t.Fatal(err)
	}
	play(t, lanes, run)
	add("trace", strings.ReplaceAll(read(t, file), "},{", "},\n{"))
	return all
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// ciText is what a service is told: its log, with the console as the service folds it, and the
// summary of the job where it shows one.
func ciText(t *testing.T, service ci.Service, run []event.Event) string {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("PATH", "") // where there is no buildkite-agent
	env := map[string]string{"GITHUB_STEP_SUMMARY": filepath.Join(dir, "summary.md"), "AGENT_TEMPDIRECTORY": dir}
	for _, root := range []string{"GITHUB_WORKSPACE", "BUILDKITE_BUILD_CHECKOUT_PATH", "BUILD_SOURCESDIRECTORY"} {
		env[root] = moduleDir(t)
	}
	var out bytes.Buffer
	console := newConsole(t, ConsoleConfig{Out: &out, Err: &out, Text: service.Text, Fold: func(title, text string) string {
		return service.Fold(title, text, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	}})
	all := []event.Reporter{console}
	if service.Tests() {
		all = append(all, ci.New(ci.Config{Service: service, Out: &out, Getenv: func(key string) string { return env[key] }}))
	}
	play(t, Multi(all...), run)
	text := strings.ReplaceAll(out.String(), dir, "/the/work")
	for _, m := range regexp.MustCompile(`(?m)^::stop-commands::(.*)$`).FindAllStringSubmatch(text, -1) {
		text = strings.ReplaceAll(text, m[1], "TOKEN")
	}
	summaries, err := filepath.Glob(filepath.Join(dir, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range summaries {
		text += "######## summary\n" + read(t, file)
	}
	return text
}

// pageText is what can be read of a page, and the data of its script, a row a line.
func pageText(t *testing.T, page string) string {
	t.Helper()
	doc, err := nethtml.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	var walk func(*nethtml.Node)
	walk = func(n *nethtml.Node) {
		switch {
		case n.Type == nethtml.TextNode && n.Parent.Data == "script":
			data, _, _ := strings.Cut(n.Data, ";\n")
			b.WriteString(strings.ReplaceAll(data, "],[", "],\n["))
		case n.Type == nethtml.TextNode && n.Parent.Data == "pre", n.Type == nethtml.TextNode && strings.TrimSpace(n.Data) != "" && n.Parent.Data != "style":
			b.WriteString(n.Data)
			b.WriteByte('\n')
		}
		for c := range n.ChildNodes() {
			walk(c)
		}
	}
	walk(doc)
	return b.String()
}

// visible writes what cannot be seen, and bytes that are not UTF-8, as a Go string has it.
func visible(text string) string {
	var b strings.Builder
	for i, r := range text {
		switch {
		case r == '\n', r == '\t', unicode.IsPrint(r) && r != unicode.ReplacementChar:
			b.WriteRune(r)
		case r < 0x80 || r == unicode.ReplacementChar && !strings.HasPrefix(text[i:], "\ufffd"):
			fmt.Fprintf(&b, `\x%02x`, text[i])
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// manyTests is a run of n tests in packages of 100, on four gateways of two hosts: 99 of 100 pass,
// the others fail, skip or are flaky in turn.
func manyTests(n int) (run []event.Event) {
	tellMany(n, func(e event.Event) { run = append(run, e) })
	return run
}

// tellMany tells the run of manyTests event by event.
func tellMany(n int, tell func(event.Event)) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	elapsed := 0.01
	start := at
	for _, e := range []event.Event{
		event.RunStarted{Time: at, RunID: "many", Dist: "load", Specs: []string{"2*popen", "2*ssh=far"}, Command: []string{"./..."}, Workdir: "/nowhere", Hostname: "here"},
		event.Collected{Platform: "linux/amd64", Packages: n / 100, Items: n},
	} {
		tell(e)
	}
	for i, host := range []string{"here", "here", "far", "far"} {
		tell(event.GatewayUp{Time: at, Gateway: fmt.Sprintf("gw%d", i), Spec: "popen", Hostname: host, Platform: "linux/amd64", Pid: i})
	}
	s := event.Summary{Collected: n, Counts: map[event.Verdict]int{}}
	for p := range (n + 99) / 100 {
		pkg, gateway, failed := fmt.Sprintf("example.com/many/p%d", p), fmt.Sprintf("gw%d", p%4), false
		say := func(test, action, output string, attempt int, again bool) {
			e := event.Test{Event: test2json.Event{Time: at, Action: action, Package: pkg, Test: test, Output: output}, Platform: "linux/amd64", Done: len(s.Durations), Total: n}
			if test != "" {
				e.Gateway, e.Attempt, e.Again = gateway, attempt, again
			}
			if e.Terminal() {
				e.Elapsed = &elapsed
			}
			tell(e)
		}
		say("", "start", "", 0, false)
		tell(event.UnitStarted{Time: at, Gateway: gateway, Package: pkg, Items: 100, Key: "k"})
		for i := p * 100; i < min(n, p*100+100); i++ {
			test, verdict := fmt.Sprintf("TestNumber%d", i), event.Pass
			if i%100 == 50 {
				verdict = []event.Verdict{event.Fail, event.Skip, event.Flaky}[p%3]
			}
			attempt := func(number int, action string, again bool) {
				tell(event.Progress{Time: at, Gateway: gateway, Action: "run", Package: pkg, Test: test})
				at = at.Add(10 * time.Millisecond)
				tell(event.Progress{Time: at, Gateway: gateway, Action: action, Package: pkg, Test: test})
				say(test, "run", "", number, false)
				say(test, "output", "=== RUN   "+test+"\n", number, false)
				if action == "fail" {
					say(test, "output", fmt.Sprintf("    many_test.go:%d: number %d is wrong\n", i%100, i), number, false)
				}
				say(test, "output", fmt.Sprintf("--- %s: %s (0.01s)\n", strings.ToUpper(action), test), number, false)
				say(test, action, "", number, again)
			}
			item := event.ItemSeconds{ID: pkg + "::" + test, Test: pkg + "::" + test, Platform: "linux/amd64", Gateway: gateway, Elapsed: 10 * time.Millisecond, Expected: 9 * time.Millisecond, Verdict: verdict}
			switch verdict {
			case event.Flaky:
				attempt(1, "fail", true)
				attempt(2, "pass", false)
				item.Failures = 1
			default:
				attempt(1, string(verdict), false)
			}
			s.Counts[verdict]++
			s.Durations = append(s.Durations, item)
			failed = failed || verdict == event.Fail
		}
		tell(event.UnitEnded{Time: at, Gateway: gateway, Package: pkg})
		if failed {
			s.Failed++
			say("", "output", "FAIL\n", 0, false)
			say("", "fail", "", 0, false)
		} else {
			say("", "output", "PASS\n", 0, false)
			say("", "pass", "", 0, false)
		}
	}
	tell(event.RunEnded{Time: at, Elapsed: at.Sub(start), Summary: s})
}

// The run of many tests is as long as it says.
func TestManyTests(t *testing.T) {
	for _, n := range []int{100, 250} {
		run := manyTests(n)
		items := 0
		for _, e := range run {
			if te, ok := e.(event.Test); ok && te.Terminal() && isItem(te.Event) && !te.Again {
				items++
			}
		}
		end := run[len(run)-1].(event.RunEnded)
		if items != n || len(end.Summary.Durations) != n || !slices.ContainsFunc(end.Summary.Durations, func(it event.ItemSeconds) bool { return it.Verdict != event.Pass }) {
			t.Errorf("%d items end and %d are in the account, want %d", items, len(end.Summary.Durations), n)
		}
	}
}
