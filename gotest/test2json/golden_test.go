package test2json

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestGolden converts the golden files of cmd/internal/test2json: our copy, and those of the Go
// that runs the test.
func TestGolden(t *testing.T) {
	t.Run("copy", func(t *testing.T) { testGolden(t, filepath.Join("testdata", "golden")) })
	t.Run("goroot", func(t *testing.T) {
		root, err := exec.Command("go", "env", "GOROOT").Output()
		if err != nil {
			t.Skipf("no go command to ask for GOROOT: %v", err)
		}
		dir := filepath.Join(strings.TrimSpace(string(root)), "src", "cmd", "internal", "test2json", "testdata")
		if _, err := os.Stat(dir); err != nil {
			t.Skipf("this Go has no golden files: %v", err)
		}
		testGolden(t, dir)
	})
}

func testGolden(t *testing.T, dir string) {
	files, err := filepath.Glob(filepath.Join(dir, "*.test"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 17 {
		t.Fatalf("%s has %d golden files, want 17 at least", dir, len(files))
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".test"), func(t *testing.T) {
			input := readFile(t, file)
			golden := readFile(t, strings.TrimSuffix(file, ".test")+".json")
			want := decode(t, golden)

			lines := bytes.SplitAfter(input, []byte("\n"))
			if diff := cmp.Diff(string(golden), encode(convert(lines))); diff != "" {
				t.Errorf("line by line (-want +got):\n%s", diff)
			}
			for size := range 7 {
				got := convert(chunks(input, size))
				if diff := diffEvents(joined(want), joined(got)); diff != "" {
					t.Errorf("in pieces of %d bytes (-want +got):\n%s", size, diff)
				}
			}
			crlf := convert([][]byte{bytes.ReplaceAll(input, []byte("\n"), []byte("\r\n"))})
			for i := range crlf {
				crlf[i].Output = strings.ReplaceAll(crlf[i].Output, "\r\n", "\n")
			}
			if diff := diffEvents(joined(want), joined(crlf)); diff != "" {
				t.Errorf("with CRLF (-want +got):\n%s", diff)
			}
			// Small buffers show that no UTF-8 sequence is broken.
			for limit := 5; limit <= 8; limit++ {
				var got []Event
				c := newConverter("", func(e Event) { got = append(got, e) }, 64, limit, nil)
				feed(c, [][]byte{input})
				if diff := diffEvents(joined(want), joined(got)); diff != "" {
					t.Errorf("output limit %d (-want +got):\n%s", limit, diff)
				}
			}
		})
	}
}

// convert returns the events for input that arrives in the given pieces.
func convert(pieces [][]byte, opts ...Option) []Event {
	var events []Event
	c := NewConverter("", func(e Event) { events = append(events, e) }, opts...)
	feed(c, pieces)
	return events
}

// feed writes pieces and closes c. Each write is from the same memory, so an event that shares it
// shows.
func feed(c *Converter, pieces [][]byte) {
	var scratch []byte
	for _, p := range pieces {
		scratch = append(scratch[:0], p...)
		c.Write(scratch)
		for i := range scratch {
			scratch[i] = 'Z'
		}
	}
	c.Close()
}

// chunks cuts b into pieces of size bytes, or into one when size is 0.
func chunks(b []byte, size int) [][]byte {
	if size == 0 {
		return [][]byte{b}
	}
	return slices.Collect(slices.Chunk(b, size))
}

// joined joins neighbouring outputs of one test: what does not depend on how the input was cut.
func joined(events []Event) []Event {
	var out []Event
	var text []byte // outputs that the next one joins
	for i, e := range events {
		if e.Action != ActionOutput {
			out = append(out, e)
			continue
		}
		if text = append(text, e.Output...); i+1 < len(events) && events[i+1].Action == ActionOutput && events[i+1].Test == e.Test {
			continue
		}
		e.Output, text = string(text), text[:0]
		out = append(out, e)
	}
	return out
}

// diffEvents returns how two streams of events differ, or "".
func diffEvents(want, got []Event) string {
	if encode(want) == encode(got) {
		return "" // sooner told than by cmp
	}
	return cmp.Diff(want, got)
}

func encode(events []Event) string {
	var b []byte
	for _, e := range events {
		b = append(e.AppendJSON(b), '\n')
	}
	return string(b)
}

func decode(t *testing.T, lines []byte) []Event {
	t.Helper()
	var events []Event
	for line := range bytes.Lines(lines) {
		var e Event
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatalf("decode event %q: %v", line, err)
		}
		events = append(events, e)
	}
	return events
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
