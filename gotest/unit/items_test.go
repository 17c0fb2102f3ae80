package unit

import (
	"strings"
	"testing"
	"time"
)

// follow feeds what a binary wrote, in the form of framed, to a stream, and ends it.
func follow(names []string, output string) *stream {
	s := newStream(Unit{Package: "p", Names: names}, false, func([]event) {})
	s.take([]byte(framed(output)))
	s.finish(nil)
	return s
}

// framed puts ^V before each framing line, as the testing package does.
func framed(output string) string {
	var b strings.Builder
	for line := range strings.Lines(output) {
		if strings.HasPrefix(line, "=== ") || strings.HasPrefix(line, "--- ") || line == "PASS\n" || line == "FAIL\n" {
			b.WriteByte(0x16)
		}
		b.WriteString(line)
	}
	return b.String()
}

// TestCulprit has the last output of processes that died, and whom it blames.
func TestCulprit(t *testing.T) {
	const bothRun = "=== RUN   TestA\n=== PAUSE TestA\n=== RUN   TestB\n=== PAUSE TestB\n=== CONT  TestA\n=== CONT  TestB\n"
	for _, tt := range []struct{ name, output, want string }{
		{"nothing", "", ""},
		{"output of init", "init\npanic: x\n", ""},
		{"one runs", "=== RUN   TestA\n", "TestA"},
		{"one of two ended", "=== RUN   TestA\n--- PASS: TestA (0.00s)\n=== RUN   TestB\n", "TestB"},
		{"none runs", "=== RUN   TestA\n--- PASS: TestA (0.00s)\n=== NAME  \n", ""},
		{"one failed before", "=== RUN   TestA\n--- FAIL: TestA (0.00s)\n=== NAME  \n=== RUN   TestB\n", "TestB"},
		{"a neighbour prints while parked", "=== RUN   TestA\n=== PAUSE TestA\n=== RUN   TestB\n=== NAME  TestA\nhello\n", "TestB"},
		{"only parked", "=== RUN   TestA\n=== PAUSE TestA\n=== NAME  \n", ""},
		{"the last to print", bothRun + "=== NAME  TestA\nhello\n", "TestA"},
		{"the last to print is a subtest", bothRun + "=== RUN   TestA/x\nhello\n", "TestA"},
		{"the last output belongs to nobody", bothRun + "=== NAME  \nhello\n", "TestA"},
		{"report and panic", bothRun + "--- FAIL: TestA (0.00s)\npanic: x\n", "TestA"},
		{"report of a subtest's panic", bothRun + "=== RUN   TestA/x\n--- FAIL: TestA (0.00s)\n    --- FAIL: TestA/x (0.00s)\npanic: x\n", "TestA"},
		{"a neighbour prints between report and panic", bothRun + "--- FAIL: TestA (0.00s)\n=== NAME  TestB\nhello\npanic: x [recovered, repanicked]\n", "TestA"},
		{"timeout, longest", bothRun + "panic: test timed out after 9s\n\trunning tests:\n\t\tTestA (1m2s)\n\t\tTestB (3s)\n\ngoroutine 1 [running]:\n", "TestA"},
		{"timeout, longest is a subtest", bothRun + "panic: test timed out after 9s\n\trunning tests:\n\t\tTestA/x (3s)\n\t\tTestA/y (10s)\n\t\tTestB (4s)\n", "TestA"},
		{"timeout, all the same", bothRun + "panic: test timed out after 9s\n\trunning tests:\n\t\tTestB (3s)\n\t\tTestA (3s)\n", "TestA"},
		{"timeout, unknown tests", bothRun + "panic: test timed out after 9s\n\trunning tests:\n\t\tTestX (3s)\n", "TestB"},
		{"a test prints a list", bothRun + "\trunning tests:\n\t\tTestA (3s)\n", "TestB"},
		{"a goroutine's panic, while a neighbour prints", bothRun + "=== NAME  TestB\nhello\npanic: x\n\ngoroutine 9 [running]:\np.work()\n\t/p.go:1\ncreated by p.TestA.func1 in goroutine 7\n\t/p.go:2\n", "TestA"},
		{"a goroutine's panic, when a neighbour has just failed", bothRun + "--- FAIL: TestB (0.00s)\n=== NAME  TestA\npanic: x\n\ngoroutine 9 [running]:\np.work()\n\t/p.go:1\ncreated by p.TestA in goroutine 7\n", "TestA"},
		{"a panic of a test that has ended", bothRun + "--- PASS: TestA (0.00s)\n=== NAME  TestB\npanic: x\n\ngoroutine 9 [running]:\np.work()\n\t/p.go:1\ncreated by p.TestA in goroutine 7\n", "TestB"},
		{"a panic of a parked test", "=== RUN   TestA\n=== PAUSE TestA\n=== RUN   TestB\npanic: x\n\ngoroutine 9 [running]:\np.work()\n\t/p.go:1\ncreated by p.TestA in goroutine 7\n", "TestA"},
		{"a report and a trace with another test's function", bothRun + "--- FAIL: TestA (0.00s)\n    --- FAIL: TestA/b (0.00s)\npanic: x [recovered, repanicked]\n\ngoroutine 9 [running]:\np.TestB(0x1)\n\t/p.go:1\ntesting.tRunner(0x1)\ncreated by testing.(*T).Run in goroutine 7\n", "TestA"},
		{"two reports", bothRun + "--- FAIL: TestA (0.00s)\n--- FAIL: TestB (0.00s)\npanic: x [recovered, repanicked]\n\ngoroutine 9 [running]:\np.TestA(0x1)\n\t/p.go:1\ntesting.tRunner(0x1)\n", "TestA"},
		{"benchmarks", "=== RUN   BenchmarkA\n=== RUN   BenchmarkB\n", "BenchmarkB"},
	} {
		s := follow(nil, tt.output)
		if got := s.track.culprit(&s.scan); got != tt.want {
			t.Errorf("%s: blames %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestActions has the verdicts of items with several rounds.
func TestActions(t *testing.T) {
	const (
		run  = "=== RUN   TestA\n"
		pass = run + "--- PASS: TestA (1.50s)\n"
		fail = run + "--- FAIL: TestA (0.25s)\n"
		skip = run + "--- SKIP: TestA (0.00s)\n"
	)
	for _, tt := range []struct {
		output string
		died   bool
		want   Item
	}{
		{"", false, Item{}},
		{run, true, Item{Started: true}},
		{pass, false, Item{Action: "pass", Started: true, Elapsed: 1500 * time.Millisecond}},
		{pass, true, Item{Started: true, Elapsed: 1500 * time.Millisecond}},
		{pass + pass, true, Item{Action: "pass", Started: true, Elapsed: 3 * time.Second}},
		{pass + run, true, Item{Started: true, Elapsed: 1500 * time.Millisecond}},
		{fail + run, true, Item{Action: "fail", Started: true, Elapsed: 250 * time.Millisecond}},
		{fail + pass, false, Item{Action: "fail", Started: true, Elapsed: 1750 * time.Millisecond}},
		{skip + pass, false, Item{Action: "pass", Started: true, Elapsed: 1500 * time.Millisecond}},
		{skip + skip, false, Item{Action: "skip", Started: true}},
		{skip + fail, false, Item{Action: "fail", Started: true, Elapsed: 250 * time.Millisecond}},
	} {
		items := follow([]string{"TestA"}, tt.output).track.results(tt.died, 2)
		if got := items["TestA"]; got != tt.want || len(items) != 1 {
			t.Errorf("%q, died %v: %+v, want %+v", tt.output, tt.died, items, tt.want)
		}
	}
	example := follow(nil, "=== RUN   Example\n--- PASS: Example (0.00s)\n").track.results(true, 2)
	if example["Example"].Action != "pass" {
		t.Errorf("an example of which there is one round: %+v", example)
	}
}

// TestVerdictOfSecondRun shows that the closing line of a first m.Run says nothing about a second.
func TestVerdictOfSecondRun(t *testing.T) {
	if s := follow(nil, "=== RUN   TestA\n--- PASS: TestA (0.00s)\nPASS\n=== RUN   TestA\n"); s.sift.verdict != "" {
		t.Errorf("verdict %q", s.sift.verdict)
	}
}

// TestLongCoverageLine shows that a coverage line that is longer than an output event is taken as a
// whole.
func TestLongCoverageLine(t *testing.T) {
	line := "coverage: 1.0% of statements in " + strings.Repeat("example.com/package, ", 200)
	for _, names := range [][]string{nil, {"TestA"}} {
		var got []event
		s := newStream(Unit{Names: names}, true, func(events []event) { got = append(got, events...) })
		s.take([]byte(framed("PASS\n") + line + "\nafter\n"))
		s.finish(nil)
		var output strings.Builder
		for _, e := range got {
			output.WriteString(e.Output)
		}
		want := "PASS\n" + line + "\nafter\n"
		if names != nil {
			want = "after\n"
		}
		if s.sift.coverage != line || s.scan.coverage != line || output.String() != want {
			t.Errorf("names %v: coverage %d and %d bytes, want %d; output %q", names, len(s.sift.coverage), len(s.scan.coverage), len(line), output.String())
		}
	}
}

// TestScannerCuts shows that what the scanner finds does not depend on how the output was cut.
func TestScannerCuts(t *testing.T) {
	const output = "testing: warning: no tests to run\nx coverage: 5.0% of statements\ncoverage: 6%\npanic: test timed out after 1s\n" +
		"\trunning tests:\n\t\tTestA (3s)\n\t\tTestB/x (1m2s)\n\nrest"
	for cut := range len(output) {
		s := scanner{covered: true}
		s.write([]byte(output[:cut]))
		s.write([]byte(output[cut:]))
		if !s.noTests || !s.timedOut || s.coverage != "coverage: 5.0% of statements" || len(s.runningList) != 2 || !s.any || s.last != 't' {
			t.Errorf("cut at %d: %+v", cut, s)
		}
	}
	var s scanner
	for range 1000 {
		s.write([]byte(strings.Repeat("x", 1000)))
	}
	if len(s.line) > maxLine {
		t.Errorf("the scanner keeps %d bytes of a line", len(s.line))
	}
}

// TestSuffix has the rules of cmd/go.
func TestSuffix(t *testing.T) {
	for warning, want := range map[string]string{
		"no tests to run":                                   " [no tests to run]",
		"no fuzz tests to fuzz":                             " [no fuzz tests to fuzz]",
		"no tests to run, really":                           "",
		"-fuzz matches more than one fuzz test, won't fuzz": "[-fuzz matches more than one fuzz test, won't fuzz]",
	} {
		var s scanner
		s.write([]byte("testing: warning: " + warning + "\n"))
		if got := s.suffix(); got != want {
			t.Errorf("%q: %q, want %q", warning, got, want)
		}
	}
}
