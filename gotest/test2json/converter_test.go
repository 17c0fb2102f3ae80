package test2json

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

const passing = "\x16=== RUN   TestA\nhello\n\x16--- PASS: TestA (0.25s)\n\x16PASS\n"

func TestOptions(t *testing.T) {
	all := []string{
		`{"Action":"start"}`,
		`{"Action":"run","Test":"TestA"}`,
		`{"Action":"output","Test":"TestA","Output":"=== RUN   TestA\n"}`,
		`{"Action":"output","Test":"TestA","Output":"hello\n"}`,
		`{"Action":"output","Test":"TestA","Output":"--- PASS: TestA (0.25s)\n"}`,
		`{"Action":"pass","Test":"TestA"}`,
		`{"Action":"output","Output":"PASS\n"}`,
		`{"Action":"pass"}`,
	}
	for _, tt := range []struct {
		name string
		opts []Option
		want []string
	}{
		{"default", nil, all},
		{"without start", []Option{WithoutStart()}, all[1:]},
		{"without end", []Option{WithoutEnd()}, all[:7]},
		{"without both", []Option{WithoutEnd(), WithoutStart()}, all[1:7]},
		{"nil clock", []Option{WithClock(nil)}, all},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := encode(convert([][]byte{[]byte(passing)}, tt.opts...))
			if diff := cmp.Diff(strings.Join(tt.want, "\n")+"\n", got); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

func TestClock(t *testing.T) {
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	var got []string
	c := NewConverter("p", func(e Event) { got = append(got, string(e.AppendJSON(nil))) }, WithClock(func() time.Time { return now }))
	now = now.Add(1250234567 * time.Nanosecond)
	io.WriteString(c, passing)
	c.Close()
	want := []string{
		`{"Time":"2026-07-01T12:00:00Z","Action":"start","Package":"p"}`,
		`{"Time":"2026-07-01T12:00:01.250234567Z","Action":"run","Package":"p","Test":"TestA"}`,
		`{"Time":"2026-07-01T12:00:01.250234567Z","Action":"output","Package":"p","Test":"TestA","Output":"=== RUN   TestA\n"}`,
		`{"Time":"2026-07-01T12:00:01.250234567Z","Action":"output","Package":"p","Test":"TestA","Output":"hello\n"}`,
		`{"Time":"2026-07-01T12:00:01.250234567Z","Action":"output","Package":"p","Test":"TestA","Output":"--- PASS: TestA (0.25s)\n"}`,
		`{"Time":"2026-07-01T12:00:01.250234567Z","Action":"pass","Package":"p","Test":"TestA","Elapsed":0.25}`,
		`{"Time":"2026-07-01T12:00:01.250234567Z","Action":"output","Package":"p","Output":"PASS\n"}`,
		`{"Time":"2026-07-01T12:00:01.250234567Z","Action":"pass","Package":"p","Elapsed":1.25}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// TestElapsedInfinite: encoding/json would refuse the event.
func TestElapsedInfinite(t *testing.T) {
	for _, seconds := range []string{"Inf", "-inf", "NaN", "1e999"} {
		input := []byte("--- PASS: TestA (" + seconds + "s)\nPASS\n")
		for _, e := range convert([][]byte{input}, WithClock(time.Now)) {
			if e.Test == "TestA" && e.Elapsed != nil {
				t.Errorf("%s: %s has Elapsed %v, want none", seconds, e.Action, *e.Elapsed)
			}
		}
	}
}

// TestEnd: what decides the terminal event, and whose it is.
func TestEnd(t *testing.T) {
	for _, tt := range []struct {
		name, input string
		want        string // the last event
	}{
		{"PASS printed", "PASS\n", `{"Action":"pass"}`},
		{"FAIL printed", "FAIL\n", `{"Action":"fail"}`},
		{"nothing printed", "", `{"Action":"start"}`},
		{"no test files", "?   \tp\t[no test files]\n", `{"Action":"skip"}`},
		{"PASS without newline", "PASS", `{"Action":"output","Output":"PASS"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			events := convert([][]byte{[]byte(tt.input)})
			last := events[len(events)-1]
			if got := string(last.AppendJSON(nil)); got != tt.want {
				t.Errorf("last event is %s, want %s", got, tt.want)
			}
		})
	}
}

// TestWithoutEndReports: a test that had ended before the process died keeps its verdict.
func TestWithoutEndReports(t *testing.T) {
	input := "\x16=== RUN   TestA\n\x16=== RUN   TestA/sub\n\x16--- PASS: TestA (0.00s)\n\x16    --- PASS: TestA/sub (0.00s)\npartial"
	events := convert([][]byte{[]byte(input)}, WithoutStart(), WithoutEnd())
	var got []string
	for _, e := range events[len(events)-3:] {
		got = append(got, e.Action+" "+e.Test)
	}
	if diff := cmp.Diff([]string{"output TestA/sub", "pass TestA/sub", "pass TestA"}, got); diff != "" {
		t.Errorf("last events (-want +got):\n%s\nall: %s", diff, encode(events))
	}
}

// TestIndentation: without ^V, the indentation of a line after nested reports tells whose it is.
func TestIndentation(t *testing.T) {
	input := "--- FAIL: A\n    --- FAIL: A/s\n        of s\n    of A\n        of s again\n            too deep\nof the last\n        --- FAIL: A/s/t\nFAIL\n"
	var got []string
	for _, e := range convert([][]byte{[]byte(input)}, WithoutStart(), WithoutEnd()) {
		got = append(got, e.Test+": "+strings.TrimSpace(e.Action+" "+e.Output))
	}
	want := []string{
		"A: output --- FAIL: A", "A/s: output     --- FAIL: A/s", "A/s: output         of s", "A: output     of A",
		"A/s: output         of s again", "A/s: output             too deep", "A/s: output of the last",
		"A/s/t: output         --- FAIL: A/s/t", "A/s/t: fail", "A/s: fail", "A: fail", ": output FAIL",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestClosed(t *testing.T) {
	n := 0
	c := NewConverter("p", func(Event) { n++ })
	io.WriteString(c, "PASS\npartial")
	c.Close()
	before := n
	if err := c.Close(); err != nil || n != before {
		t.Errorf("second Close: %v and %d more events, want nothing", err, n-before)
	}
	if _, err := io.WriteString(c, "late\n"); !errors.Is(err, io.ErrClosedPipe) || n != before {
		t.Errorf("Write after Close: %v and %d more events, want io.ErrClosedPipe and none", err, n-before)
	}
}

// TestMarkerAfterBenchmark is the deliberate difference to cmd/test2json that the package doc
// names.
func TestMarkerAfterBenchmark(t *testing.T) {
	pieces := [][]byte{[]byte("\x16=== RUN   BenchmarkX\nBenchmarkX-2\t"), []byte("\x16--- FAIL: BenchmarkX\n"), []byte("\x16FAIL\n")}
	whole := convert([][]byte{bytes.Join(pieces, nil)})
	if diff := diffEvents(joined(whole), joined(convert(pieces))); diff != "" {
		t.Errorf("cut after the name (-whole +cut):\n%s", diff)
	}
	if !slices.ContainsFunc(whole, func(e Event) bool { return e.Action == ActionFail && e.Test == "BenchmarkX" }) {
		t.Errorf("no fail event for BenchmarkX: %s", encode(whole))
	}
}

// TestOutputAtOnce: a whole line is emitted by the Write that completes it, the name of a benchmark
// even before.
func TestOutputAtOnce(t *testing.T) {
	long := strings.Repeat("x", inputLimit)
	var last string
	c := NewConverter("", func(e Event) { last = e.Output }, WithoutStart())
	for _, step := range []struct{ write, want string }{
		{"he", ""},
		{"llo\nwor", "hello\n"},
		{"ld\n", "world\n"},
		{"BenchmarkX-2 \t", "BenchmarkX-2 \t"},
		{"100\n", "100\n"},
		{"no end", "100\n"},
		{"\x16=== NAME  TestA\n", "no end"},
		{long, long[:outputLimit]},
		{"BenchmarkX\tin a long line", long[:outputLimit]},
		{"\n", "BenchmarkX\tin a long line\n"},
	} {
		io.WriteString(c, step.write)
		if last != step.want {
			t.Errorf("after writing %q the last output is %q, want %q", step.write, last, step.want)
		}
	}
}

func TestMemory(t *testing.T) {
	line := bytes.Repeat([]byte("☺x"), 256<<10) // 1 MiB without an end
	nested := bytes.Repeat([]byte("    "), 1000)
	total := 0
	c := NewConverter("p", func(e Event) {
		total += len(e.Output)
		if len(e.Output) > outputLimit {
			t.Fatalf("an output event has %d bytes, want at most %d", len(e.Output), outputLimit)
		}
	})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range 100 {
		c.Write(line)
		c.Write([]byte("\n"))
		for range 20 {
			c.Write(append(nested[:4*i:4*i], "--- PASS: TestX\n"...))
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if total < 100<<20 {
		t.Errorf("%d bytes of output, want all of 100 MiB", total)
	}
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 1<<20 {
		t.Errorf("the converter holds %d bytes after 100 MiB of output, want less than 1 MiB", grown)
	}
	runtime.KeepAlive(c)
}

// TestCuts cuts golden files in two at every offset.
func TestCuts(t *testing.T) {
	for _, name := range []string{"frame", "framefuzz", "issue29755", "panic", "benchshort", "attr", "unicode"} {
		input := readFile(t, filepath.Join("testdata", "golden", name+".test"))
		want := joined(convert([][]byte{input}))
		for i := range input {
			got := convert([][]byte{input[:i], input[i:]})
			if diff := diffEvents(want, joined(got)); diff != "" {
				t.Fatalf("%s cut at %d (-want +got):\n%s", name, i, diff)
			}
		}
	}
}

// FuzzConverter: however the input is cut, the joined events are those of the input in one piece;
// all that they hold is valid UTF-8; and the output is the input but for framing that is never
// shown.
func FuzzConverter(f *testing.F) {
	files, err := filepath.Glob(filepath.Join("testdata", "golden", "*.test"))
	if err != nil {
		f.Fatal(err)
	}
	for i, file := range files {
		input, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(input, uint64(i))
	}
	for seed := range uint64(20) {
		f.Add(randomStream(rand.New(rand.NewPCG(seed, 7))), seed)
	}
	f.Fuzz(func(t *testing.T, input []byte, seed uint64) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		whole := convert([][]byte{input})
		if diff := diffEvents(joined(whole), joined(convert(cuts(input, rnd)))); diff != "" {
			t.Errorf("seed %d (-whole +cut):\n%s", seed, diff)
		}
		var length int
		for _, e := range whole {
			length += len(e.Output)
			for _, s := range []string{e.Test, e.Output, e.Key, e.Value, e.Path} {
				if !utf8.ValidString(s) {
					t.Errorf("the %s event of %q holds invalid UTF-8: %q", e.Action, e.Test, s)
				}
			}
		}
		if min := len(input) - bytes.Count(input, []byte{marker}) - hidden(input); utf8.Valid(input) && length < min {
			t.Errorf("output has %d bytes, want at least %d of %d", length, min, len(input))
		}
	})
}

// hidden returns an upper bound for the bytes of "=== NAME" lines in input, which are not shown.
func hidden(input []byte) (n int) {
	for line := range bytes.Lines(input) {
		if bytes.Contains(line, []byte("=== NAME")) {
			n += len(line)
		}
	}
	return n
}

func BenchmarkConverter(b *testing.B) {
	lines := bytes.Repeat([]byte("2026/07/01 12:00:00 a plain line that a test logs, of a usual length\n"), 500)
	framed := bytes.Repeat([]byte("\x16=== RUN   TestSome/sub_test\n    file_test.go:12: message\n\x16--- PASS: TestSome/sub_test (0.00s)\n"), 300)
	long := bytes.Repeat([]byte("x"), readSize)
	binary := make([]byte, readSize)
	for i := range binary {
		binary[i] = byte(rand.IntN(256))
	}
	for _, bb := range []struct {
		name  string
		input []byte
	}{{"lines", lines}, {"framed", framed}, {"long", long}, {"binary", binary}} {
		b.Run(bb.name, func(b *testing.B) {
			b.SetBytes(int64(len(bb.input)))
			b.ReportAllocs()
			c := NewConverter("example.com/p", func(Event) {}, WithClock(time.Now))
			for b.Loop() {
				c.Write(bb.input)
			}
		})
		b.Run(bb.name+"-json", func(b *testing.B) {
			b.SetBytes(int64(len(bb.input)))
			b.ReportAllocs()
			var buf []byte
			c := NewConverter("example.com/p", func(e Event) { buf = e.AppendJSON(buf[:0]) }, WithClock(time.Now))
			for b.Loop() {
				c.Write(bb.input)
			}
		})
	}
}
