package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
)

// lender answers what asks for a file with what it is, and then with items for as long as next
// makes some. What is to be without end is only more than is taken, so that a test that fails does
// not take the machine's memory.
func lender(stat fileStat, next func(i int) any) Handler {
	return func(ctx context.Context, ch *Channel, _ Item) error {
		if err := ch.Send(ctx, stat); err != nil {
			return err
		}
		for i := 0; ; i++ {
			item := next(i)
			if item == nil {
				return nil
			}
			if err := ch.Send(ctx, item); err != nil {
				return err
			}
		}
	}
}

// An agent gives more of a file than it has said, or says that a file is larger than what anybody
// would have in memory. Some growth is honest, and so is a size that nobody knows.
func TestFSReadFileIsBounded(t *testing.T) {
	chunk := bytes.Repeat([]byte("x"), 64<<10)
	endless := 2 * readGrowth / len(chunk)
	chunks := func(n int) func(int) any {
		return func(i int) any {
			if i == n {
				return nil
			}
			return chunk
		}
	}
	for _, tt := range []struct {
		name string
		size int64
		next func(int) any
		want int    // bytes, or
		err  string // what is wrong
	}{
		{"as announced", 2 * int64(len(chunk)), chunks(2), 2 * len(chunk), ""},
		{"of no size, as in /proc", 0, chunks(3), 3 * len(chunk), ""},
		{"as large as it may become", int64(len(chunk)), chunks(readGrowth/len(chunk) + 1), readGrowth + len(chunk), ""},
		{"without end", int64(len(chunk)), chunks(endless), 0, "it has grown by more than 16 MiB"},
		{"with a size below zero", -1, chunks(endless), 0, "size of -1 bytes"},
		{"too large", readLimit + 1, chunks(0), 0, "has 1073741825 bytes, and ReadFile takes 1073741824"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			gw := hostileGateway(t, Handlers{fileHandler: lender(fileStat{Name: "f", Size: tt.size, Mode: 0o644}, tt.next)})
			got, err := fs.ReadFile(gw.FS("."), "f")
			_, path := errors.AsType[*fs.PathError](err)
			switch {
			case tt.err == "" && (err != nil || len(got) != tt.want):
				t.Errorf("%d bytes, %v, want %d", len(got), err, tt.want)
			case tt.err != "" && (err == nil || !path || !strings.Contains(err.Error(), tt.err) || got != nil):
				t.Errorf("%d bytes, %v, want %q", len(got), err, tt.err)
			}
		})
	}
}

// An agent lists a directory without end, in parts that are too large, or with names that no file
// of a directory has.
func TestFSReadDirIsBounded(t *testing.T) {
	entries := func(n int, name func(k int) string) []fileStat {
		stats := make([]fileStat, n)
		for k := range stats {
			stats[k] = fileStat{Name: name(k), Mode: 0o644}
		}
		return stats
	}
	once := func(stats []fileStat) func(int) any {
		return func(i int) any {
			if i > 0 {
				return nil
			}
			return stats
		}
	}
	named := func(name string) func(int) any {
		return once(entries(1, func(int) string { return name }))
	}
	numbered := func(i int) any {
		if i*listChunk > 2*mostEntries {
			return nil
		}
		return entries(listChunk, func(k int) string { return fmt.Sprint(i*listChunk + k) })
	}
	long := strings.Repeat("x", longestName)
	for _, tt := range []struct {
		name string
		next func(int) any
		want int    // entries, or
		err  string // what is wrong
	}{
		{"some", once(entries(listChunk, func(k int) string { return fmt.Sprint(k) })), listChunk, ""},
		{"a long name", named(long), 1, ""},
		{"without end", numbered, 0, "it has more entries than are taken at once"},
		{"long names without end", func(i int) any {
			if i*listChunk > 2*mostNames/longestName {
				return nil
			}
			return entries(listChunk, func(k int) string { return fmt.Sprint(i*listChunk+k) + long[:longestName-20] })
		}, 0, "it has more entries than are taken at once"},
		{"too many in a part", once(entries(listChunk+1, func(k int) string { return fmt.Sprint(k) })), 0, "a part of its list has 501 entries"},
		{"a list that is none", func(i int) any { return []any{"no list", nil}[min(i, 1)] }, 0, "a part of its list is none"},
		{"too long a name", named(long + "x"), 0, "a name of 4097 bytes"},
		{"the parent", named(".."), 0, `it has an entry ".."`},
		{"itself", named("."), 0, `it has an entry "."`},
		{"no name", named(""), 0, `it has an entry ""`},
		{"a path", named("a/b"), 0, `it has an entry "a/b"`},
		{"the root", named("/"), 0, `it has an entry "/"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			gw := hostileGateway(t, Handlers{fileHandler: lender(fileStat{Name: "d", Mode: uint32(fs.ModeDir | 0o755)}, tt.next)})
			got, err := fs.ReadDir(gw.FS("."), "d")
			_, path := errors.AsType[*fs.PathError](err)
			switch {
			case tt.err == "" && (err != nil || len(got) != tt.want):
				t.Errorf("%d entries, %v, want %d", len(got), err, tt.want)
			case tt.err != "" && (err == nil || !path || !strings.Contains(err.Error(), tt.err) || len(got) > mostEntries+listChunk):
				t.Errorf("%d entries, %v, want %q", len(got), err, tt.err)
			}
		})
	}
	// Who asks for some at a time may have all of them.
	gw := hostileGateway(t, Handlers{fileHandler: lender(fileStat{Name: "d", Mode: uint32(fs.ModeDir | 0o755)}, numbered)})
	f, err := gw.FS(".").Open("d")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for seen := 0; seen < mostEntries+listChunk; seen += 777 {
		if got, err := f.(fs.ReadDirFile).ReadDir(777); err != nil || len(got) != 777 {
			t.Fatalf("after %d entries: %d more, %v", seen, len(got), err)
		}
	}
}
