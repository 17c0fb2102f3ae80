package test2json

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const testPkg = "example.com/a/b"

// tool returns the command line of test2json of the installed Go.
func tool(t *testing.T) []string {
	t.Helper()
	// The first run builds it.
	if out, err := goCommand(t, "tool", "test2json").CombinedOutput(); err != nil {
		t.Skipf("go tool test2json does not work here: %v\n%s", err, out)
	}
	// Its own path saves the quarter of a second that `go tool` takes.
	if out, err := goCommand(t, "tool", "-n", "test2json").Output(); err == nil {
		if path := strings.TrimSpace(string(out)); filepath.IsAbs(path) {
			if _, err := os.Stat(path); err == nil {
				return []string{path}
			}
		}
	}
	return []string{"go", "tool", "test2json"}
}

func goCommand(t *testing.T, args ...string) *exec.Cmd {
	return exec.CommandContext(t.Context(), "go", args...)
}

// reference returns what the tool writes for input that it reads from a file, in pieces of
// readSize.
func reference(t *testing.T, tool []string, input []byte, flags ...string) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "input")
	if err := os.WriteFile(file, input, 0o666); err != nil {
		t.Fatal(err)
	}
	stdin, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	args := append(append(tool[1:len(tool):len(tool)], "-p", testPkg), flags...)
	cmd := exec.CommandContext(t.Context(), tool[0], args...)
	cmd.Stdin = stdin
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, stderr.Bytes())
	}
	return oneFFFD(out)
}

// oneFFFD makes one of the two forms of U+FFFD in JSON, since an Event does not tell them apart
// (see AppendJSON).
func oneFFFD(events []byte) []byte {
	return bytes.ReplaceAll(events, []byte("\uFFFD"), []byte(`\ufffd`))
}

// readSize is what io.Copy, and so the tool, reads at once, in bytes.
const readSize = 32 << 10

func convertPkg(pieces [][]byte) []Event {
	var events []Event
	c := NewConverter(testPkg, func(e Event) { events = append(events, e) })
	feed(c, pieces)
	return events
}

// compare holds the events for input against the tool's: exactly for equal reads, joined for any
// others.
func compare(t *testing.T, tool []string, input []byte, rnd *rand.Rand) {
	t.Helper()
	want := reference(t, tool, input)
	got := string(oneFFFD([]byte(encode(convertPkg(chunks(input, readSize))))))
	if string(want) != got {
		t.Errorf("events differ (-test2json +ours):\n%s", cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")))
	}
	wantJoined := joined(decode(t, want))
	benchmarks := bytes.Contains(input, []byte("Benchmark"))
	for range 3 {
		events := convertPkg(cuts(input, rnd))
		if got := string(oneFFFD([]byte(encode(events)))); !benchmarks && string(want) != got {
			t.Errorf("cut at random, events differ (-test2json +ours):\n%s", cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")))
		}
		if diff := diffEvents(wantJoined, joined(events)); diff != "" {
			t.Errorf("cut at random, joined events differ (-test2json +ours):\n%s", diff)
		}
	}
}

// cuts cuts b into pieces of random sizes, most of them small.
func cuts(b []byte, rnd *rand.Rand) [][]byte {
	var pieces [][]byte
	for len(b) > 0 {
		n := min(len(b), 1+rnd.IntN(1<<rnd.IntN(14)))
		pieces = append(pieces, b[:n])
		b = b[n:]
	}
	return pieces
}

// TestRecordedLikeTool records what real test binaries print and compares the events with the
// tool's.
func TestRecordedLikeTool(t *testing.T) {
	tool := tool(t)
	bin := buildTraps(t)
	for _, tt := range []struct {
		name string
		args []string
		want string // in the output, to show that the trap was there
	}{
		{"clean", []string{"-test.run=Subtests|Parallel|Attr|Output|Seeds"}, "PASS"},
		{"fail", []string{"-test.run=Fails|Wrong|NoNewline"}, "FAIL"},
		{"artifacts", []string{"-test.run=Artifacts", "-test.artifacts", "-test.outputdir=" + t.TempDir()}, "=== ARTIFACTS "},
		{"long", []string{"-test.run=LongLines"}, strings.Repeat("x", 1<<20)},
		{"binary", []string{"-test.run=Binary"}, "\xfe\xff"},
		{"imitates", []string{"-test.run=Imitates|Stderr"}, "mid \x16line"},
		{"plain-v", []string{"-test.v=true", "-test.run=Subtests|Parallel|Imitates"}, "--- PASS"},
		{"quiet", []string{"-test.v=false", "-test.run=Fails|NoNewline|Binary"}, "--- FAIL"},
		{"panic", []string{"-test.run=Panics|Output"}, "panic: on purpose"},
		{"timeout", []string{"-test.run=Hangs", "-test.timeout=50ms"}, "panic: test timed out"},
		{"exit", []string{"-test.run=Output|Exits"}, "bye"},
		{"none", []string{"-test.run=^$"}, "no tests to run"},
		{"bench", []string{"-test.run=^$", "-test.bench=.", "-test.benchtime=1x", "-test.cpu=1,2"}, "BenchmarkGood"},
		{"count", []string{"-test.run=Attr|Seeds|Output", "-test.count=3", "-test.shuffle=on"}, "-test.shuffle"},
		{"usage", []string{"-test.nosuchflag"}, "flag provided but not defined"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			input := record(t, bin, tt.args...)
			if !bytes.Contains(input, []byte(tt.want)) {
				t.Fatalf("the output does not have %.50q:\n%.2000s", tt.want, input)
			}
			compare(t, tool, input, rand.New(rand.NewPCG(1, 2)))
		})
	}
}

func buildTraps(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "traps.exe")
	cmd := goCommand(t, "test", "-c", "-vet=off", "-o", bin, "./testdata/traps")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, out)
	}
	return bin
}

// record returns what bin writes to standard output and error, however it ends.
func record(t *testing.T, bin string, args ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, bin, append([]string{"-test.v=test2json"}, args...)...)
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out
}

// TestRandomLikeTool compares the events for random streams made of all that can matter.
func TestRandomLikeTool(t *testing.T) {
	tool := tool(t)
	streams := 120
	if testing.Short() {
		streams = 20
	}
	for seed := range streams {
		rnd := rand.New(rand.NewPCG(uint64(seed), 26))
		input := randomStream(rnd)
		if !t.Run(fmt.Sprint("seed", seed), func(t *testing.T) {
			compare(t, tool, input, rnd)
			if seed%4 == 0 {
				compareTimes(t, tool, input)
			}
		}) {
			t.Fatalf("stream of the failing seed: %q", input)
		}
	}
}

// compareTimes compares the Elapsed of tests, and that all events have a Time.
func compareTimes(t *testing.T, tool []string, input []byte) {
	t.Helper()
	want := decode(t, reference(t, tool, input, "-t"))
	var got []Event
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	c := NewConverter(testPkg, func(e Event) { got = append(got, e) }, WithClock(func() time.Time { return now }))
	feed(c, chunks(input, readSize))
	for _, events := range [][]Event{want, got} {
		for i := range events {
			if events[i].Time.IsZero() {
				t.Errorf("event without a time: %+v", events[i])
			}
			events[i].Time = time.Time{}
		}
		if e := &events[len(events)-1]; e.Action != ActionOutput && e.Elapsed != nil {
			e.Elapsed = nil // of the package, or of a test that the package event repeats
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("with times, events differ (-test2json +ours):\n%s", diff)
	}
}

// randomStream returns up to some 100 KB of what a test binary, or a test, could print.
func randomStream(rnd *rand.Rand) []byte {
	pick := func(s ...string) string { return s[rnd.IntN(len(s))] }
	name := func() string {
		return pick("TestA", "TestA/sub", "TestA/sub/deep", "TestB", "FuzzX/seed#0", "BenchmarkZ", "Test\xff\xfe", "Testünï/☺", "", "with space", "x (y", " ", strings.Repeat("n", 2000))
	}
	benchmarks := rnd.IntN(3) == 0
	stray := rnd.IntN(2) == 0
	marked := rnd.IntN(4)
	var b []byte
	for range rnd.IntN(120) {
		if marked == 0 || marked > 1 && rnd.IntN(8) > 0 {
			b = append(b, pick("\x16", "\x16", "\x16", "\x16", "", "\x16\x16")...)
		}
		switch rnd.IntN(12) {
		case 0, 1:
			b = append(b, pick("=== RUN   ", "=== PAUSE ", "=== CONT  ", "=== NAME  ", "=== PASS  ", "=== FAIL  ", "=== SKIP  ", "=== RUN ", "=== WALK  ", "===")+name()...)
		case 2:
			b = append(b, pick("=== ATTR  ", "=== ARTIFACTS ")+name()+pick("", " ", " key", " key value", " k\xf0 a b  c ", "  two")...)
		case 3, 4, 5:
			b = append(b, strings.Repeat("    ", rnd.IntN(4))+pick("", "", "", " ")...)
			b = append(b, pick("--- PASS: ", "--- FAIL: ", "--- SKIP: ", "--- BENCH: ", "--- LOSE: ", "---")+name()...)
			b = append(b, pick(" (0.00s)", " (1.50s)", " (1e3s)", " (0x1p-3s)", " (xs)", " ()", " (s)", "", " (1s) (2s)", " (-0s)", " (1e400s)", " (1e-7s)", " (1e22s)")...)
		case 6:
			b = append(b, pick("PASS", "FAIL", "FAIL\tpkg\t0.1s", "PASS ", "=== NAME", "=== NAME ", "?   \tpkg\t[no test files]", "ok  \tpkg\t0.1s", "exit status 2")...)
		case 7:
			if benchmarks {
				b = append(b, pick("Benchmark", "BenchmarkX-8   ", "Benchmarkx", "BenchmarkÜ", "Benchmark ", "BenchmarkY")...)
				b = append(b, pick("\t", " \t 100\t 3 ns/op", "", "\t\t"+strings.Repeat("9", rnd.IntN(5000)))...)
			}
		case 8:
			b = append(b, strings.Repeat(pick("x", "é", "☺", "😂", "\xff", "\xe2\x98", "\xf0\x9f\x98", "a☺", "\x80\x80"), rnd.IntN(6000))...)
		case 9:
			n := []int{1020, 1024, 4090, 4096, 8192}[rnd.IntN(5)] + rnd.IntN(8)
			b = append(b, strings.Repeat("y", n)...)
		case 10:
			for range rnd.IntN(40) {
				b = append(b, byte(rnd.IntN(256)))
			}
			if !stray {
				b = bytes.TrimRight(b, "\x16")
			}
		default:
			b = append(b, strings.Repeat("    ", rnd.IntN(3))+pick("text", "a <b> & c", "\"quoted\\", "\u2028\u2029", "\x00\x1b[1m\b\f\v\x7f", "tab\t", "file_test.go:12: message", "")...)
		}
		if stray && rnd.IntN(6) == 0 {
			b = append(b, pick("\x16", "\x16x", "\x16\x16")...)
		}
		b = append(b, pick("\n", "\n", "\n", "\n", "\n", "\r\n", "", "\n\n")...)
	}
	return b
}
