package cover

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// take reads a profile into the table, in parts of size bytes.
func take(table *Table, mode Mode, text string, size int) (*Counts, error) {
	in := table.Intake(mode)
	for len(text) > 0 {
		part := text[:min(size, len(text))]
		text = text[len(part):]
		if err := in.Add([]byte(part)); err != nil {
			return nil, err
		}
	}
	return in.End()
}

// merged is what MergeCounts makes, as text without its header.
func merged(t *testing.T, mode Mode, idle *Counts, profiles ...*Counts) string {
	t.Helper()
	p := &Profile{Mode: mode}
	if err := MergeCounts(mode, idle, profiles, func(file *Profile) error {
		p.Blocks = append(p.Blocks, file.Blocks...)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return string(p.Append(nil))
}

// randomProfile has most of the files that all have, perhaps in another order, and now and then
// others, or other blocks of them.
func randomProfile(r *rand.Rand, mode Mode, alike bool) string {
	most := uint32(3)
	if mode == ModeSet {
		most = 2
	}
	var b strings.Builder
	fmt.Fprintf(&b, "mode: %s\n", mode)
	files := r.Perm(5)
	if alike || r.IntN(2) == 0 {
		files = []int{0, 1, 2, 3, 4}
	}
	for _, f := range files {
		variant := 0
		if !alike && r.IntN(4) == 0 {
			variant = 1 + r.IntN(2)
		}
		if variant == 2 {
			continue
		}
		for k := range 3 + f {
			fmt.Fprintf(&b, "m/p%d/a:b.go:%d.%d,%d.1 %d %d\n", f, 10*k+100*variant+f, k, 10*k+100*variant+f-k%2, f, r.Uint32N(most)*r.Uint32N(2))
		}
	}
	return b.String()
}

// MergeCounts is Merge and MergeSplit, and a table from which all is released is empty.
func TestTableLikeMerge(t *testing.T) {
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 0))
		mode := []Mode{ModeSet, ModeCount, ModeAtomic}[r.IntN(3)]
		alike := seed%2 == 0
		var table Table
		var kept []*Counts
		var parsed []*Profile
		for range 1 + r.IntN(5) {
			text := randomProfile(r, mode, alike)
			c, err := take(&table, mode, text, 1+r.IntN(100))
			if err != nil {
				t.Fatal(err)
			}
			kept, parsed = append(kept, c), append(parsed, parse(t, text))
		}
		want, err := Merge(mode, parsed[1:]...)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want.Append(nil)), merged(t, mode, nil, kept[1:]...)); diff != "" {
			t.Fatalf("seed %d, merged (-want +got):\n%s", seed, diff)
		}
		want, err = MergeSplit(mode, parsed[0], parsed[1:]...)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want.Append(nil)), merged(t, mode, kept[0], kept[1:]...)); diff != "" {
			t.Fatalf("seed %d, merged with an idle run (-want +got):\n%s", seed, diff)
		}
		folded, err := table.Merge(mode, kept)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(merged(t, mode, nil, kept...), merged(t, mode, nil, folded)); diff != "" {
			t.Fatalf("seed %d, kept as one (-want +got):\n%s", seed, diff)
		}
		for _, c := range append(kept, folded) {
			c.Release()
			c.Release()
		}
		if table.size != 0 || len(table.files)+len(table.layouts) != 0 {
			t.Fatalf("seed %d: %d bytes, %d files and %d layouts are left", seed, table.size, len(table.files), len(table.layouts))
		}
	}
}

// What is beyond the bounds, or what no process writes, is refused, and nothing of it is kept.
func TestIntakeErrors(t *testing.T) {
	block := "a/b.go:1.1,2.2 1 1\n"
	several := func(n int, line func(int) string) string {
		var b strings.Builder
		b.WriteString("mode: set\n")
		for i := range n {
			b.WriteString(line(i))
		}
		return b.String()
	}
	for _, tt := range []struct {
		name, text, want string
		atOnce           bool // whatever comes after it
	}{
		{"one", "mode: set\n" + block, "", false},
		{"another mode", "mode: count\n" + block, "its mode is count", false},
		{"cut off", "mode: set\n" + block[:9], "cut off", false},
		{"a long line", "mode: set\n" + strings.Repeat("x", maxLine) + "\n", "longer than 65536 bytes", false},
		{"no line", strings.Repeat("x", 2*maxLine), "longer than 65536 bytes", false},
		{"huge numbers", "mode: set\na/b.go:4294967296.1,2.2 1 1\n", "is not a 32-bit number", false},
		{"a count in mode set", "mode: set\na/b.go:1.1,2.2 1 2\n", "a block runs or does not", false},
		{"too many blocks", several(mostBlocks+1, func(i int) string { return fmt.Sprintf("f%d:1.1,2.2 1 1\n", i/1000) }), "more than 1048576 blocks", true},
		{"too many of a file", several(mostOfFile+1, func(int) string { return block }), "blocks of one file", true},
		{"too many files", several(mostFiles+2, func(i int) string { return fmt.Sprintf("f%d:1.1,2.2 1 1\n", i%2) }), "more than 131072 files", true},
		{"too much that is new", several(mostFiles, func(i int) string { return fmt.Sprintf("f%d%s:1.1,2.2 1 1\n", i, strings.Repeat("x", 100)) }), "takes more than 24 MiB", true},
		{"too long", "mode: set\n" + strings.Repeat("x", mostText), "more than 64 MiB", true},
	} {
		var table Table
		in := table.Intake(ModeSet)
		var err error
		for part := range slices.Chunk([]byte(tt.text), 1<<20) {
			if err = in.Add(part); err != nil {
				break
			}
		}
		if (err != nil) != tt.atOnce {
			t.Errorf("%s: Add: %v", tt.name, err)
		}
		c, err := in.End()
		if got := fmt.Sprint(err); err == nil && tt.want != "" || err != nil && (tt.want == "" || !strings.Contains(got, tt.want)) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
		c.Release()
		if table.size != 0 {
			t.Errorf("%s: %d bytes are left", tt.name, table.size)
		}
	}
	var table Table
	in := table.Intake(ModeSet)
	if _, err := in.End(); !errors.Is(err, ErrEmpty) {
		t.Errorf("without text: %v", err)
	}
	in = table.Intake(ModeSet)
	in.Drop()
	if _, err := in.End(); !errors.Is(err, ErrDropped) {
		t.Errorf("given up: %v", err)
	}
}

// A hundred processes of one binary take little more than one, and the table knows what it takes.
func TestTableIsSmall(t *testing.T) {
	const blocks, processes = 100_000, 100
	text := func(process int) string {
		var b strings.Builder
		b.WriteString("mode: count\n")
		for i := range blocks {
			count := 0
			if i%50 == 0 || i/1000 == process {
				count = 1 + process
			}
			fmt.Fprintf(&b, "example.com/pkg%d/file.go:%d.2,%d.16 2 %d\n", i/100, 7*i%1000, 7*i%1000+3, count)
		}
		return b.String()
	}
	heap := func() int {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	var table Table
	before := heap()
	var kept []*Counts
	one := 0
	for i := range processes {
		c, err := take(&table, ModeCount, text(i), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if kept = append(kept, c); i == 0 {
			one = table.Size()
		}
	}
	took := heap() - before
	t.Logf("one process takes %d KiB, %d take %d KiB, and %d KiB of memory", one>>10, processes, table.Size()>>10, took>>10)
	if one > 20*blocks || table.Size() > 2*one {
		t.Errorf("one process takes %d bytes, %d take %d", one, processes, table.Size())
	}
	if took > table.Size()*3/2 {
		t.Errorf("%d bytes of memory are counted as %d", took, table.Size())
	}
	runtime.KeepAlive(kept)
}

// A profile that is given up takes nothing of the table, nor does one that has ended in its middle.
func TestDropTakesNothing(t *testing.T) {
	var table Table
	in := table.Intake(ModeSet)
	var text strings.Builder
	text.WriteString("mode: set\n")
	for i := range 10_000 {
		fmt.Fprintf(&text, "a.go:%d.1,%d.2 1 1\n", i, i)
	}
	if err := in.Add([]byte(text.String())); err != nil || in.Added() == 0 || table.Size() == 0 {
		t.Fatalf("%v: %d bytes were added to %d", err, in.Added(), table.Size())
	}
	if in.Drop(); in.Added() != 0 || table.Size() != 0 {
		t.Errorf("%d of %d bytes are left", in.Added(), table.Size())
	}
}

// FuzzIntake: never panics; takes what Parse takes, however it comes, and has the same blocks; is
// empty when all is released.
func FuzzIntake(f *testing.F) {
	f.Add([]byte("mode: set\na.go:1.2,3.4 5 1\nb.go:1.2,3.4 5 0\n"), byte(3))
	f.Add([]byte("mode: count\na.go:9.2,3.4 5 6\nb.go:1.2,3.4 5 0\na.go:1.2,3.4 5 0\na.go:4294967295.2,0.4 5 4294967295\n"), byte(200))
	f.Add([]byte("mode: atomic\n:1.2,3.4 5 6"), byte(1))
	f.Add([]byte(""), byte(1))
	f.Fuzz(func(t *testing.T, text []byte, size byte) {
		parsed, wantErr := Parse(bytes.NewReader(text))
		mode := ModeCount
		if parsed != nil {
			mode = parsed.Mode
			for _, b := range parsed.Blocks {
				if mode == ModeSet && b.Count > 1 {
					wantErr = errors.New("no process writes that")
				}
			}
		}
		var table Table
		c, err := take(&table, mode, string(text), max(1, int(size)))
		other, _ := take(&table, mode, "mode: "+string(mode)+"\na.go:1.2,3.4 5 1\n", 1<<20)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("Intake: %v, Parse: %v", err, wantErr)
		}
		if err == nil {
			want, err := Merge(mode, parsed)
			if err != nil {
				t.Fatal(err)
			}
			if got := merged(t, mode, nil, c); got != string(want.Append(nil)) {
				t.Errorf("has\n%s\nwant\n%s", got, want.Append(nil))
			}
			for _, idle := range []*Counts{nil, other, c} {
				// Profiles that contradict each other are an error, and nothing else.
				MergeCounts(mode, idle, []*Counts{c, other, c}, func(*Profile) error { return nil })
			}
		}
		c.Release()
		other.Release()
		if table.size != 0 || len(table.files)+len(table.layouts) != 0 {
			t.Errorf("%d bytes are left", table.size)
		}
	})
}
