package failure

import (
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/txtar"
)

// found is what is found in the outputs of testdata with the sources there, and without them where
// that differs.
var found = map[string]struct{ with, without Place }{
	"Errorf":      {Place{"fx_test.go", 12, "got 1,"}, Place{"fx_test.go", 12, "before"}},
	"Fatal":       {with: Place{"fx_test.go", 13, "first"}},
	"Fail":        {},
	"LogThenFail": {with: Place{"fx_test.go", 15, "only this"}},
	"Helper":      {with: Place{"fx_test.go", 20, "from a helper"}},
	"Assert":      {with: Place{"fx_test.go", 24, "Should be true"}},
	"Require":     {with: Place{"fx_test.go", 28, "Not equal: expected: 1 actual : 2 the message"}},
	"Deep":        {with: Place{"fx_test.go", 31, `Not equal: expected: "a\nb\n" actual : "a\nc\n"`}},
	"Panic":       {with: Place{"/home/user/fx/fx_test.go", 37, "panic: assignment to entry in nil map"}},
	"PanicIndex":  {with: Place{"/home/user/fx/fx_test.go", 46, "panic: runtime error: index out of range [3] with length 0"}},
	"Goexit":      {with: Place{"/home/user/fx/fx_test.go", 56, "panic: in a goroutine"}},
	"Sub":         {with: Place{"fx_test.go", 71, "in a"}},
	"Timeout":     {with: Place{"/home/user/fx/fx_test.go", 51, "panic: test timed out after 200ms"}},
	"Race":        {with: Place{"/home/user/fx/fx_test.go", 65, "race detected during execution of test"}},
}

func TestFind(t *testing.T) {
	archive, err := txtar.ParseFile(filepath.Join("testdata", "outputs.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	var source []string
	left := len(found)
	for _, f := range archive.Files {
		if f.Name == "fx_test.go" {
			source = strings.Split(string(f.Data), "\n")
			continue
		}
		left--
		name := strings.TrimSuffix(f.Name, ".txt")
		want := found[name]
		if want.without == (Place{}) {
			want.without = want.with
		}
		got := Find(string(f.Data), func(file string, line int) (string, bool) {
			return source[line-1], file == "fx_test.go"
		})
		if got != want.with {
			t.Errorf("%s: %+v, want %+v", name, got, want.with)
		}
		if got := Find(string(f.Data), nil); got != want.without {
			t.Errorf("%s without sources: %+v, want %+v", name, got, want.without)
		}
	}
	if left != 0 {
		t.Errorf("%d outputs are missing", left)
	}
}

func TestFindElsewhere(t *testing.T) {
	for _, tt := range []struct {
		output string
		want   Place
	}{
		{"", Place{}},
		{"FAIL\nexit status 1\n", Place{}},
		{"    a_test.go:3: \x1b[31mred\x1b[0m\r\n", Place{"a_test.go", 3, "red"}},
		{"=== RUN   TestX\nprinted\nxdist: TestX was killed while running on gw1\n", Place{Message: "TestX was killed while running on gw1"}},
		{"leak found\nFAIL\n", Place{Message: "leak found"}},
		{"panic: as a word of a test\n    a_test.go:3: the reason\n", Place{"a_test.go", 3, "the reason"}},
		{"    C:\\m\\a_test.go:3: full path\n", Place{`C:\m\a_test.go`, 3, "full path"}},
		{"    a_test.go:3: mismatch (-want +got):\n          int(\n        - \t1,\n", Place{"a_test.go", 3, "mismatch (-want +got):"}},
		{"    a_test.go:3: \n        on the next line\n", Place{"a_test.go", 3, "on the next line"}},
		{"    assertions.go:42: \n        \tError Trace:\t/m/a_test.go:7\n        \tError:\tShould be true\n", Place{"/m/a_test.go", 7, "Should be true"}},
		{"    a_test.go:99999999999999999999: no line\n", Place{Message: "a_test.go:99999999999999999999: no line"}},
		{"panic: " + strings.Repeat("é", 300) + "\n\ngoroutine 1 [running]:\nm.f()\n\tm/a.go:1 +0x1\n", Place{"m/a.go", 1, "panic: " + strings.Repeat("é", messageRunes-7) + "…"}},
	} {
		if got := Find(tt.output, nil); got != tt.want {
			t.Errorf("%q: %+v, want %+v", tt.output, got, tt.want)
		}
	}
}

func TestCompiled(t *testing.T) {
	for output, want := range map[string]Place{
		"# m/p [m/p.test]\np/p_test.go:5:33: undefined: x\n":      {"p/p_test.go", 5, "undefined: x"},
		"# m/p\nvet: ./p.go:8: wrong\n":                           {"./p.go", 8, "wrong"},
		"p.go:6:2: no module has m/q; to add it:\n\tgo get m/q\n": {"p.go", 6, "no module has m/q; to add it: go get m/q"},
		"# m/p\nld: cannot find -lx\n":                            {Message: "ld: cannot find -lx"},
	} {
		if got := Compiled(output); got != want {
			t.Errorf("%q: %+v, want %+v", output, got, want)
		}
	}
}

// Whatever a test prints, the message is one line, printable and bounded.
func FuzzFind(f *testing.F) {
	archive, err := txtar.ParseFile(filepath.Join("testdata", "outputs.txtar"))
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range archive.Files {
		f.Add(string(file.Data))
	}
	f.Fuzz(func(t *testing.T, output string) {
		for _, p := range []Place{Find(output, nil), Compiled(output)} {
			if n := utf8.RuneCountInString(p.Message); n > messageRunes+1 || strings.ContainsAny(p.Message, "\n\x1b\t") || p.Line < 0 {
				t.Errorf("%+v", p)
			}
		}
	})
}
