package reporters

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/fatih/color"
	"github.com/google/go-cmp/cmp"

	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/scheduler/event"
)

func newConsole(t *testing.T, cfg ConsoleConfig) *Console {
	t.Helper()
	c, err := NewConsole(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// consoleText returns what a run looks like without a terminal.
func consoleText(t *testing.T, cfg ConsoleConfig, run []event.Event) (stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	cfg.Out, cfg.Err = &out, &errs
	play(t, newConsole(t, cfg), run)
	return out.String(), errs.String()
}

func TestConsoleFormats(t *testing.T) {
	run := recordedAsRun(t, recordedRun)
	for _, format := range append(Formats(), FormatDebug) {
		t.Run(string(format), func(t *testing.T) {
			stdout, stderr := consoleText(t, ConsoleConfig{Format: format}, run)
			golden(t, "console-"+string(format)+".txt", stdout)
			if format == FormatXdist { // the compiler's text is in the block of the package
				if stderr != "" {
					t.Errorf("standard error is %q", stderr)
				}
				return
			}
			golden(t, "console.stderr.txt", stderr) // the same for all
		})
	}
}

func TestConsoleOptions(t *testing.T) {
	run := recordedAsRun(t, recordedRun)
	stdout, _ := consoleText(t, ConsoleConfig{Format: FormatPkgname, EmptyPackages: HideEmpty, Icons: "text"}, run)
	golden(t, "console-hide-empty-icons.txt", stdout)
}

func TestConsoleDefaultFormatIsXdist(t *testing.T) {
	run := recordedAsRun(t, recordedRun)
	unset, _ := consoleText(t, ConsoleConfig{}, run)
	own, _ := consoleText(t, ConsoleConfig{Format: FormatXdist}, run)
	if unset != own {
		t.Error(cmp.Diff(own, unset))
	}
}

func TestConsoleTestnameInWorkflowIsGitHubActions(t *testing.T) {
	run := recordedAsRun(t, recordedRun)
	want, _ := consoleText(t, ConsoleConfig{Format: FormatGitHubActions}, run)
	t.Setenv("GITHUB_ACTIONS", "true")
	got, _ := consoleText(t, ConsoleConfig{Format: FormatTestname}, run)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestConsoleUnknownFormat(t *testing.T) {
	_, err := NewConsole(ConsoleConfig{Format: "dotz"})
	if err == nil || !strings.HasPrefix(err.Error(), `choose console format "dotz": not one of xdist, pkgname, `) {
		t.Errorf("error is %v", err)
	}
}

func TestConsoleColours(t *testing.T) {
	old := color.NoColor
	t.Cleanup(func() { color.NoColor = old })
	run := recordedAsRun(t, recordedRun)
	color.NoColor = false
	coloured, _ := consoleText(t, ConsoleConfig{Format: FormatTestname}, run)
	if !strings.Contains(coloured, "\n[gw2] [ 10%] \x1b[32mPASS\x1b[0m example.com/fixture/afterpass.TestPassed") {
		t.Errorf("no coloured line of a test in:\n%s", coloured)
	}
	plain, _ := consoleText(t, ConsoleConfig{Format: FormatTestname, Color: ColorNever}, run)
	golden(t, "console-testname.txt", plain)
}

// go test writes no end of a benchmark, of which testjson alone would make a failure.
func TestConsoleBenchmarkIsNoFailure(t *testing.T) {
	stdout, _ := consoleText(t, ConsoleConfig{Format: FormatTestname}, recordedAsRun(t, recordedBench))
	golden(t, "console-bench.txt", stdout)
}

func TestConsoleClosingLines(t *testing.T) {
	run := recordedAsRun(t, recordedRun)
	end := run[len(run)-1].(event.RunEnded)
	s := &end.Summary
	s.Counts[event.Crash], s.Counts[event.NotRun] = 1, 13
	s.Collected += 14
	for i := range 12 {
		s.NotRun = append(s.NotRun, event.NotRunItem{ID: "example.com/p::Test" + string(rune('A'+i)), Reason: "--maxfail 1 reached"})
	}
	s.NotRun = append(s.NotRun, event.NotRunItem{ID: "example.com/q::TestQ", Reason: "no gateway left"})
	s.Durations = append(s.Durations, event.ItemSeconds{ID: "example.com/p::TestDies", Gateway: "gw2", Verdict: event.Crash})
	s.Interrupted, s.Stopped = true, "--maxfail 1 reached"
	s.Coverage = "coverage: 71.4% of statements"
	s.Unbalanced = "40 items were collected, 39 have a verdict"
	run = append(run[:len(run)-1],
		event.Warning{Text: "gw1 was slow"},
		event.Stderr{Text: "go: downloading example.com/x v1.0.0\n"},
		event.GatewayDown{Gateway: "gw0"},
		event.GatewayDown{Gateway: "gw1", Reason: "signal: killed"},
		end)
	stdout, stderr := consoleText(t, ConsoleConfig{Format: FormatNone}, run)
	golden(t, "console-closing.txt", stdout)
	golden(t, "console-closing.stderr.txt", stderr)
}

// What a Handle had to write is out when it returns: with a buffer or a goroutine between, it would
// be not.
func TestConsoleIsSynchronous(t *testing.T) {
	var out bytes.Buffer
	c := newConsole(t, ConsoleConfig{Out: &out, Err: &out, Format: FormatStandardVerbose})
	defer c.Close()
	for i, e := range recordedAsRun(t, recordedRun) {
		te, ok := e.(event.Test)
		before := out.Len()
		if err := c.Handle(e); err != nil {
			t.Fatal(err)
		}
		got := out.String()[before:]
		if ok && te.Action == test2json.ActionOutput && !strings.HasSuffix(got, te.Output) {
			t.Fatalf("after event %d, %q: wrote %q", i, te.Output, got)
		}
		if ok && te.Action == test2json.ActionBuildOutput && got != te.Output {
			t.Fatalf("after event %d, the compiler's %q: wrote %q", i, te.Output, got)
		}
	}
}

func TestConsoleTwoPackagesOfOneBaseName(t *testing.T) {
	stdout, _ := consoleText(t, ConsoleConfig{Format: FormatTestname}, recordedAsRun(t, recordedRun))
	for _, want := range []string{"PASS example.com/fixture/a/same.TestSame", "FAIL example.com/fixture/b/same.TestSame"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %q", want)
		}
	}
}

// With Dist "each" the package carries its gateway, and the same test runs twice at one time.
func TestConsoleEach(t *testing.T) {
	var run []event.Event
	for _, step := range []struct{ action, test string }{{"start", ""}, {"run", "TestX"}, {"pass", "TestX"}, {"pass", ""}} {
		for _, gw := range []string{"gw0", "gw1"} {
			e := testEvent(step.action, step.test, "")
			e.Gateway, e.Package = gw, "example.com/p ["+gw+"]"
			run = append(run, e)
		}
	}
	stdout, _ := consoleText(t, ConsoleConfig{Format: FormatTestname}, append(run, event.RunEnded{}))
	want := `[gw0] [  0%] PASS example.com/p [gw0].TestX (0.00s)
[gw1] [  0%] PASS example.com/p [gw1].TestX (0.00s)
PASS example.com/p [gw0]
PASS example.com/p [gw1]

DONE 2 tests in `
	if !strings.HasPrefix(stdout, want) {
		t.Error(cmp.Diff(want, stdout))
	}
}

func TestConsoleHugeLine(t *testing.T) {
	long := strings.Repeat("0123456789abcdé\x00", 1<<16) + "\n" // 1 MB, where JSON makes six bytes of some
	for _, format := range Formats() {
		t.Run(string(format), func(t *testing.T) {
			stdout, _ := consoleText(t, ConsoleConfig{Format: format}, oneFailure(long))
			_, failures, _ := strings.Cut(stdout, "=== Failed")
			if format == FormatXdist {
				failures, _, _ = strings.Cut(stdout, "\n\n") // as they happen, and only named at the end
			}
			if !strings.Contains(failures, long) {
				t.Error("the summary does not have the whole line")
			}
			if format == FormatStandardVerbose && !strings.HasPrefix(stdout, long) {
				t.Error("the line was not streamed whole")
			}
		})
	}
}

// More than testjson is to keep is not in the summary, but streams.
func TestConsoleRetention(t *testing.T) {
	megabyte := strings.Repeat(strings.Repeat("x", 1023)+"\n", 1024)
	outputs := make([]string, 9)
	for i := range outputs {
		outputs[i] = megabyte
	}
	outputs = append(outputs, "the end\n")
	stdout, _ := consoleText(t, ConsoleConfig{Format: FormatStandardVerbose}, oneFailure(outputs...))
	streamed, failures, _ := strings.Cut(stdout, "=== Failed")
	if n := strings.Count(streamed, "x"); n != 9*1023*1024 || !strings.Contains(streamed, "the end\n") {
		t.Errorf("%d bytes were streamed", n)
	}
	if len(failures) > retainedOutput+2<<20 {
		t.Errorf("the summary has %d bytes", len(failures))
	}
	if !strings.Contains(failures, "[the summary leaves out what comes after these ") {
		t.Error("the summary does not say that it is cut")
	}
	if !strings.Contains(streamed, "[gw1] [100%] --- FAIL: TestX") {
		t.Error("the result line is not marked")
	}
}

func TestConsoleLateOutput(t *testing.T) {
	run := []event.Event{
		testEvent("start", "", ""), testEvent("run", "TestX", ""), testEvent("pass", "TestX", ""),
		testEvent("output", "TestX", "from a goroutine that lives on\n"), testEvent("pass", "", ""), event.RunEnded{},
	}
	stdout, _ := consoleText(t, ConsoleConfig{Format: FormatTestname}, run)
	if !strings.Contains(stdout, "\nDONE 1 tests in ") || !strings.Contains(stdout, "lives on\n") {
		t.Errorf("got:\n%s", stdout)
	}
}

func TestConsoleLongNames(t *testing.T) {
	name := "TestX/" + strings.Repeat("\x01long ", 20<<10)
	run := []event.Event{testEvent("start", "", ""), testEvent("run", "TestX", "")}
	for _, sub := range []string{name + "a", name + "b"} {
		run = append(run, testEvent("run", sub, ""), testEvent("output", sub, "=== RUN   "+sub+"\n"),
			testEvent("attr", sub, ""), testEvent("pass", sub, ""))
	}
	run = append(run, testEvent("pass", "TestX", ""), testEvent("pass", "", ""), event.RunEnded{})
	stdout, _ := consoleText(t, ConsoleConfig{Format: FormatPkgname}, run)
	if !strings.Contains(stdout, "DONE 3 tests in ") {
		t.Errorf("got:\n%s", stdout)
	}
}

func TestConsoleCompilerTextInParts(t *testing.T) {
	build := func(action, output string) event.Test {
		return event.Test{Event: test2json.Event{Action: action, ImportPath: "p [p.test]", Output: output}}
	}
	long := strings.Repeat("y", 200<<10)
	run := []event.Event{
		build("build-output", "p_test.go:1:"), build("build-output", "2: undefined: x\np_test.go:3:4: "),
		build("build-output", long), build("build-fail", ""), event.RunEnded{},
	}
	_, stderr := consoleText(t, ConsoleConfig{Format: FormatPkgname}, run)
	if got := strings.ReplaceAll(stderr, "\n", ""); got != "p_test.go:1:2: undefined: xp_test.go:3:4: "+long {
		t.Errorf("got %.200q", stderr)
	}
	if !strings.HasPrefix(stderr, "p_test.go:1:2: undefined: x\np_test.go:3:4: y") {
		t.Errorf("got %.200q", stderr)
	}
}

func TestConsoleCloseWithoutEnd(t *testing.T) {
	var out bytes.Buffer
	c := newConsole(t, ConsoleConfig{Out: &out, Err: io.Discard, Width: func() int { return 80 }})
	for _, e := range recordedAsRun(t, recordedRun)[:50] {
		if err := c.Handle(e); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := c.Close(); err != nil { // goleak sees what it leaves running
			t.Error(err)
		}
	}
	if strings.Contains(out.String(), "DONE") {
		t.Error("a run that did not end has a summary")
	}
}

var errFull = errors.New("no space left on device")

// fullWriter takes room bytes.
type fullWriter struct{ room int }

func (w *fullWriter) Write(p []byte) (int, error) {
	if len(p) > w.room {
		n := w.room
		w.room = 0
		return n, errFull
	}
	w.room -= len(p)
	return len(p), nil
}

func TestConsoleWriterFails(t *testing.T) {
	run := recordedAsRun(t, recordedRun)
	for _, format := range Formats() {
		for _, room := range []int{0, 1, 30, 400} {
			c := newConsole(t, ConsoleConfig{Out: &fullWriter{room}, Err: io.Discard, Format: format})
			var first error
			for _, e := range run {
				if err := c.Handle(e); err != nil && first == nil {
					first = err
				}
			}
			if !errors.Is(first, errFull) {
				t.Errorf("%s with room for %d: Handle returned %v", format, room, first)
			}
			if err := c.Close(); !errors.Is(err, errFull) {
				t.Errorf("%s with room for %d: Close returned %v", format, room, err)
			}
		}
	}
}

func TestConsolePipeClosedEarly(t *testing.T) {
	r, w := io.Pipe()
	c := newConsole(t, ConsoleConfig{Out: w, Err: io.Discard, Format: FormatStandardVerbose})
	readc := make(chan error, 1)
	go func() {
		_, err := io.ReadFull(r, make([]byte, 100))
		r.Close()
		readc <- err
	}()
	for _, e := range recordedAsRun(t, recordedRun) {
		c.Handle(e) // the errors come again from Close
	}
	if err := <-readc; err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("Close returned %v", err)
	}
}
