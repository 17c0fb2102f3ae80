package cover

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

func parse(t *testing.T, text string) *Profile {
	t.Helper()
	p, err := Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestParse(t *testing.T) {
	got := parse(t, "mode: atomic\nexample.com/a b/c:d.go:1.2,3.4 5 6\n/abs/x.go:0.0,4294967295.1 0 4294967295\n")
	want := &Profile{Mode: ModeAtomic, Blocks: []Block{
		{"example.com/a b/c:d.go", 1, 2, 3, 4, 5, 6},
		{"/abs/x.go", 0, 0, math.MaxUint32, 1, 0, math.MaxUint32},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("profile (-want +got):\n%s", diff)
	}
}

func TestParseErrors(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"no bytes", "", "parse cover profile: profile is empty"},
		{"no header", "a.go:1.2,3.4 5 6\n", `parse cover profile: line 1: "a.go:1.2,3.4 5 6": no "mode: " in the first line`},
		{"unknown mode", "mode: some\n", `parse cover profile: line 1: "mode: some": unknown mode`},
		{"header cut off", "mode: set", `parse cover profile: line 1: "mode: set": cut off`},
		{"count cut off", "mode: set\na.go:1.2,3.4 5 1", `parse cover profile: line 2: "a.go:1.2,3.4 5 1": cut off`},
		{"second header", "mode: set\na.go:1.2,3.4 5 1\nmode: set\n", `parse cover profile: line 3: "mode: set": want file:line.col,line.col statements count`},
		{"blank line", "mode: set\n\n", `parse cover profile: line 2: "": no file name`},
		{"no file", "mode: set\n:1.2,3.4 5 1\n", `parse cover profile: line 2: ":1.2,3.4 5 1": no file name`},
		{"no count", "mode: set\na.go:1.2,3.4 5\n", `parse cover profile: line 2: "a.go:1.2,3.4 5": want file:line.col,line.col statements count`},
		{"large count", "mode: set\na.go:1.2,3.4 5 4294967296\n", `parse cover profile: line 2: "a.go:1.2,3.4 5 4294967296": "4294967296" is not a 32-bit number`},
		{"negative", "mode: set\na.go:1.2,3.4 -5 1\n", `parse cover profile: line 2: "a.go:1.2,3.4 -5 1": "-5" is not a 32-bit number`},
		{"CRLF", "mode: set\r\n", `parse cover profile: line 1: "mode: set\r": unknown mode`},
		{"long line", "mode: set\n" + strings.Repeat("x", maxLine) + "\n", `parse cover profile: line 2: "` + strings.Repeat("x", 100) + `": longer than 65536 bytes`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := Parse(strings.NewReader(tt.text))
			if err == nil || p != nil {
				t.Fatalf("Parse() = %v, %v, want an error", p, err)
			}
			if err.Error() != tt.want {
				t.Errorf("the error is\n%s\nwant\n%s", err, tt.want)
			}
			if got := errors.Is(err, ErrEmpty); got != (tt.text == "") {
				t.Errorf("errors.Is(err, ErrEmpty) = %v", got)
			}
		})
	}
	broken := errors.New("broken")
	_, err := Parse(io.MultiReader(strings.NewReader("mode: set\na.go:1.2,3.4 5 1\n"), iotest.ErrReader(broken)))
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "line 3") {
		t.Errorf("the error of a broken reader is %v", err)
	}
}

func TestMerge(t *testing.T) {
	for _, tt := range []struct {
		name     string
		mode     Mode
		profiles []string // without their headers
		want     string
	}{
		{"none", ModeSet, nil, ""},
		{"one", ModeCount, []string{"a:1.1,2.2 3 7\n"}, "a:1.1,2.2 3 7\n"},
		{"set", ModeSet, []string{"a:1.1,2.2 3 0\na:3.1,4.2 1 0\na:5.1,6.2 1 1\n", "a:1.1,2.2 3 1\na:3.1,4.2 1 0\na:5.1,6.2 1 1\n"}, "a:1.1,2.2 3 1\na:3.1,4.2 1 0\na:5.1,6.2 1 1\n"},
		{"set of others' counts", ModeSet, []string{"a:1.1,2.2 3 7\n", "a:1.1,2.2 3 8\n", "b:1.1,2.2 3 6\n"}, "a:1.1,2.2 3 1\nb:1.1,2.2 3 1\n"},
		{"count", ModeCount, []string{"a:1.1,2.2 3 2\na:3.1,4.2 1 0\n", "a:1.1,2.2 3 3\na:3.1,4.2 1 0\n", "a:1.1,2.2 3 4\na:3.1,4.2 1 1\n"}, "a:1.1,2.2 3 9\na:3.1,4.2 1 1\n"},
		{"saturated", ModeAtomic, []string{"a:1.1,2.2 3 4294967290\n", "a:1.1,2.2 3 5\n"}, "a:1.1,2.2 3 4294967295\n"},
		{"past the maximum", ModeAtomic, []string{"a:1.1,2.2 3 4294967290\n", "a:1.1,2.2 3 4294967290\n", "a:1.1,2.2 3 1\n"}, "a:1.1,2.2 3 4294967295\n"},
		{"empty first", ModeCount, []string{"", "a:1.1,2.2 3 1\n", "", "a:1.1,2.2 3 1\n"}, "a:1.1,2.2 3 2\n"},
		{"another order", ModeCount, []string{"b:1.1,2.2 3 1\na:1.1,2.2 3 2\n", "a:1.1,2.2 3 10\nb:1.1,2.2 3 20\n"}, "b:1.1,2.2 3 21\na:1.1,2.2 3 12\n"},
		{"more blocks", ModeCount, []string{"b:1.1,2.2 1 1\na:1.1,2.2 1 1\n", "a:1.1,2.2 1 1\nc:1.1,2.2 1 1\nb:3.1,4.2 1 5\nb:1.1,2.2 1 1\n"}, "b:1.1,2.2 1 2\nb:3.1,4.2 1 5\na:1.1,2.2 1 2\nc:1.1,2.2 1 1\n"},
		{"one block twice (//line)", ModeCount, []string{"a:1.1,2.2 1 1\na:1.1,2.2 1 0\n", "a:1.1,2.2 1 0\na:1.1,2.2 1 5\n"}, "a:1.1,2.2 1 1\na:1.1,2.2 1 5\n"},
		{"one block twice, and others", ModeCount, []string{"a:1.1,2.2 1 1\na:1.1,2.2 1 0\n", "b:1.1,2.2 1 0\na:1.1,2.2 1 5\n"}, "a:1.1,2.2 1 6\na:1.1,2.2 1 0\nb:1.1,2.2 1 0\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			header := "mode: " + string(tt.mode) + "\n"
			var profiles []*Profile
			for _, text := range tt.profiles {
				profiles = append(profiles, parse(t, header+text))
			}
			merged, err := Merge(tt.mode, profiles...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(header+tt.want, string(merged.Append(nil))); diff != "" {
				t.Errorf("merged (-want +got):\n%s", diff)
			}
			for i, p := range profiles {
				if got := string(p.Append(nil)); got != header+tt.profiles[i] {
					t.Errorf("Merge has changed profile %d to %q", i+1, got)
				}
			}
		})
	}
}

func TestMergeSplit(t *testing.T) {
	for _, tt := range []struct {
		name     string
		mode     Mode
		idle     string
		profiles []string
		want     string
	}{
		{"tests only", ModeCount, "a:1.1,2.2 3 0\n", []string{"a:1.1,2.2 3 2\n", "a:1.1,2.2 3 5\n"}, "a:1.1,2.2 3 7\n"},
		{"initialisation only", ModeCount, "a:1.1,2.2 3 2\n", []string{"a:1.1,2.2 3 2\n", "a:1.1,2.2 3 2\n", "a:1.1,2.2 3 2\n"}, "a:1.1,2.2 3 2\n"},
		{"both", ModeAtomic, "a:1.1,2.2 3 2\n", []string{"a:1.1,2.2 3 3\n", "a:1.1,2.2 3 2\n", "a:1.1,2.2 3 7\n"}, "a:1.1,2.2 3 8\n"},
		{"one process", ModeCount, "a:1.1,2.2 3 2\n", []string{"a:1.1,2.2 3 3\n"}, "a:1.1,2.2 3 3\n"},
		{"no process", ModeCount, "a:1.1,2.2 3 2\n", nil, ""},
		{"more without tests", ModeCount, "a:1.1,2.2 3 9\n", []string{"a:1.1,2.2 3 3\n", "a:1.1,2.2 3 0\n", "a:1.1,2.2 3 4\n"}, "a:1.1,2.2 3 4\n"},
		{"initialisation that varies", ModeCount, "a:1.1,2.2 3 5\n", []string{"a:1.1,2.2 3 4\n", "a:1.1,2.2 3 6\n"}, "a:1.1,2.2 3 6\n"},
		{"set", ModeSet, "a:1.1,2.2 3 1\na:3.1,4.2 1 0\n", []string{"a:1.1,2.2 3 1\na:3.1,4.2 1 0\n", "a:1.1,2.2 3 1\na:3.1,4.2 1 1\n"}, "a:1.1,2.2 3 1\na:3.1,4.2 1 1\n"},
		{"saturated", ModeAtomic, "a:1.1,2.2 3 4294967295\n", []string{"a:1.1,2.2 3 4294967295\n", "a:1.1,2.2 3 4294967295\n"}, "a:1.1,2.2 3 4294967295\n"},
		{"other blocks", ModeCount, "b:1.1,2.2 1 1\n", []string{"a:1.1,2.2 1 1\nb:1.1,2.2 1 1\n", "b:1.1,2.2 1 2\na:1.1,2.2 1 1\n"}, "a:1.1,2.2 1 2\nb:1.1,2.2 1 2\n"},
		{"one block twice (//line)", ModeCount, "a:1.1,2.2 1 1\na:1.1,2.2 1 3\n", []string{"a:1.1,2.2 1 1\na:1.1,2.2 1 4\n", "a:1.1,2.2 1 2\na:1.1,2.2 1 3\n"}, "a:1.1,2.2 1 2\na:1.1,2.2 1 4\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			header := "mode: " + string(tt.mode) + "\n"
			var profiles []*Profile
			for _, text := range tt.profiles {
				profiles = append(profiles, parse(t, header+text))
			}
			merged, err := MergeSplit(tt.mode, parse(t, header+tt.idle), profiles...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(header+tt.want, string(merged.Append(nil))); diff != "" {
				t.Errorf("merged (-want +got):\n%s", diff)
			}
			for i, p := range profiles {
				if got := string(p.Append(nil)); got != header+tt.profiles[i] {
					t.Errorf("MergeSplit has changed profile %d to %q", i+1, got)
				}
			}
		})
	}
	if _, err := MergeSplit(ModeCount, parse(t, "mode: set\n")); err == nil {
		t.Error("no error for an idle process of another mode")
	}
}

func TestMergeErrors(t *testing.T) {
	for _, tt := range []struct{ name, one, two, want string }{
		{"statements", "mode: set\na.go:1.1,2.2 3 1\n", "mode: set\na.go:1.1,2.2 4 1\n", "merge cover profiles: block a.go:1.1,2.2 has 3 statements in one profile and 4 in another"},
		{"statements, other blocks", "mode: set\na.go:1.1,2.2 3 1\n", "mode: set\nb.go:1.1,2.2 3 1\na.go:1.1,2.2 4 1\n", "merge cover profiles: block a.go:1.1,2.2 has 3 statements in one profile and 4 in another"},
		{"mode", "mode: set\na.go:1.1,2.2 3 1\n", "mode: count\na.go:1.1,2.2 3 1\n", "merge cover profiles: profile 2 has mode count, want set"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			merged, err := Merge(ModeSet, parse(t, tt.one), parse(t, tt.two))
			if err == nil || err.Error() != tt.want || merged != nil {
				t.Errorf("Merge() = %v, %v, want the error %s", merged, err, tt.want)
			}
		})
	}
}

func TestSummary(t *testing.T) {
	for _, tt := range []struct {
		blocks   string
		coverpkg []string
		want     string
	}{
		{"", nil, "coverage: [no statements]"},
		{"", []string{"./..."}, "coverage: [no statements]"},
		{"a:1.1,1.2 0 1\n", nil, "coverage: [no statements]"},
		{"a:1.1,1.2 5 0\n", nil, "coverage: 0.0% of statements"},
		{"a:1.1,1.2 5 9\n", nil, "coverage: 100.0% of statements"},
		{"a:1.1,1.2 1 1\na:1.1,1.3 2 0\n", nil, "coverage: 33.3% of statements"},
		{"a:1.1,1.2 1999 1\na:1.1,1.3 1 0\n", nil, "coverage: 100.0% of statements"},
		{"a:1.1,1.2 4294967295 1\na:1.1,1.3 4294967295 0\n", nil, "coverage: 50.0% of statements"},
		{"a:1.1,1.2 1 1\n", []string{"./...", "fmt"}, "coverage: 100.0% of statements in ./..., fmt"},
	} {
		if got := parse(t, "mode: set\n"+tt.blocks).Summary(tt.coverpkg...); got != tt.want {
			t.Errorf("Summary(%q) of %q = %q, want %q", tt.coverpkg, tt.blocks, got, tt.want)
		}
	}
}

func TestWriter(t *testing.T) {
	var file bytes.Buffer
	w, err := NewWriter(&file, ModeSet)
	if err != nil {
		t.Fatal(err)
	}
	if got := file.String(); got != "mode: set\n" {
		t.Errorf("after NewWriter the file is %q, want the header", got)
	}
	if err := w.Add(parse(t, "mode: set\na:1.1,1.2 1 1\n")); err != nil {
		t.Error(err)
	}
	for _, text := range []string{"", "mode: set\n", "mode: set\nb:1.1,1.2 1 0\nb:01.1,1.2 1 1\n"} {
		if err := w.Copy(strings.NewReader(text)); err != nil {
			t.Errorf("Copy(%q): %v", text, err)
		}
	}
	for _, tt := range []struct {
		err  error
		want string
	}{
		{w.Add(&Profile{Mode: ModeCount}), "write cover profile: the package's mode is count, want set"},
		{w.Copy(strings.NewReader("mode: count\nc:1.1,1.2 1 1\n")), "copy cover profile: its mode is count, want set"},
		{w.Copy(strings.NewReader("bad\n")), `copy cover profile: line 1: "bad": no "mode: " in the first line`},
		{w.Copy(strings.NewReader("mode: set\nd:1.1,1.2 1 1\nd:2.1,2.2 1")), `copy cover profile: line 3: "d:2.1,2.2 1": cut off`},
	} {
		if tt.err == nil || tt.err.Error() != tt.want {
			t.Errorf("the error is %v, want %s", tt.err, tt.want)
		}
	}
	want := "mode: set\na:1.1,1.2 1 1\nb:1.1,1.2 1 0\nb:01.1,1.2 1 1\nd:1.1,1.2 1 1\n"
	if diff := cmp.Diff(want, file.String()); diff != "" {
		t.Errorf("file (-want +got):\n%s", diff)
	}
}

// fullDisk takes n writes.
type fullDisk struct{ n int }

var errFull = errors.New("disk full")

func (d *fullDisk) Write(b []byte) (int, error) {
	if d.n--; d.n < 0 {
		return 0, errFull
	}
	return len(b), nil
}

func TestWriterErrors(t *testing.T) {
	if w, err := NewWriter(&fullDisk{0}, ModeSet); !errors.Is(err, errFull) || w != nil {
		t.Errorf("NewWriter() = %v, %v, want errFull", w, err)
	}
	disk := &fullDisk{1}
	w, err := NewWriter(disk, ModeSet)
	if err != nil {
		t.Fatal(err)
	}
	profile := parse(t, "mode: set\na:1.1,1.2 1 1\n")
	for range 2 {
		if err := w.Add(profile); !errors.Is(err, errFull) {
			t.Errorf("Add: %v, want errFull", err)
		}
		if err := w.Copy(bytes.NewReader(profile.Append(nil))); !errors.Is(err, errFull) {
			t.Errorf("Copy: %v, want errFull", err)
		}
	}
	if disk.n != -1 {
		t.Errorf("%d more writes after the one that failed, want none", -1-disk.n)
	}
}

// TestLarge copies and merges a profile of 100,000 blocks, some 5 MB.
func TestLarge(t *testing.T) {
	text := []byte("mode: count\n")
	for i := range 100_000 {
		text = fmt.Appendf(text, "example.com/pkg%d/file.go:%d.1,%d.2 1 %d\n", i/1000, i, i, i%3)
	}
	p, err := Parse(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	merged, err := Merge(ModeCount, p, &Profile{Mode: ModeCount})
	if err != nil {
		t.Fatal(err)
	}
	var added, copied bytes.Buffer
	for _, out := range []struct {
		file *bytes.Buffer
		fill func(*Writer) error
	}{
		{&added, func(w *Writer) error { return w.Add(merged) }},
		{&copied, func(w *Writer) error { return w.Copy(bytes.NewReader(text)) }},
	} {
		w, err := NewWriter(out.file, ModeCount)
		if err == nil {
			err = out.fill(w)
		}
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(out.file.Bytes(), text) {
			t.Error("the file is not the profile")
		}
		if cap(w.buf) > 4*maxLine {
			t.Errorf("the writer holds %d bytes", cap(w.buf))
		}
	}
}

// FuzzParse: never panics; what it takes, it writes so that it reads the same; merging with itself
// changes counts only; and Copy takes exactly what Parse takes.
func FuzzParse(f *testing.F) {
	f.Add([]byte("mode: set\na.go:1.2,3.4 5 1\nb.go:1.2,3.4 5 0\n"))
	f.Add([]byte("mode: count\na.go:1.2,3.4 5 6\na.go:1.2,3.4 5 7\n"))
	f.Add([]byte("mode: atomic\n:1.2,3.4 5 6"))
	f.Add([]byte("mode: \n"))
	f.Add([]byte(""))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := Parse(bytes.NewReader(text))
		if err != nil {
			if !strings.HasPrefix(err.Error(), "parse cover profile: ") || (len(text) == 0) != errors.Is(err, ErrEmpty) {
				t.Errorf("the error is %v", err)
			}
			return
		}
		again, err := Parse(bytes.NewReader(p.Append(nil)))
		if err != nil {
			t.Fatalf("what Append wrote does not parse: %v", err)
		}
		if diff := cmp.Diff(p, again); diff != "" {
			t.Errorf("parsed again (-first +second):\n%s", diff)
		}
		merged, err := Merge(p.Mode, p, p)
		if err != nil {
			t.Fatal(err)
		}
		if merged.Summary() != p.Summary() || len(merged.Blocks) != len(p.Blocks) {
			t.Errorf("merged with itself: %s, %d blocks; want %s, %d", merged.Summary(), len(merged.Blocks), p.Summary(), len(p.Blocks))
		}
		var file bytes.Buffer
		w, err := NewWriter(&file, p.Mode)
		if err == nil {
			err = w.Copy(bytes.NewReader(text))
		}
		if err != nil || !bytes.Equal(file.Bytes(), text) {
			t.Errorf("Copy wrote %q, %v", file.Bytes(), err)
		}
	})
}
