package unit

import (
	"errors"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/xdist-go/xdist/gotest/test2json"
)

// plainNames are the top-level tests, fuzz targets and examples of testdata/fixture/plain.
var plainNames = []string{"TestA", "TestAB", "TestB", "TestOdd", "TestÜber", "TestPar1", "TestPar2", "TestAttr", "FuzzSeeds", "Example", "Example_wrong"}

// patterns are -test.run and -test.skip patterns for plain, some of them strange.
var patterns = []struct{ run, skip string }{
	{"", ""},
	{"TestA", ""},
	{"^TestA$", ""},
	{"TestA/x", ""},
	{"TestA/x/deep", ""},
	{"TestA/x|TestB", ""},
	{"TestA$/y|TestAB/x|TestOdd/a", ""},
	{"(TestA|TestB)/x", ""},
	{"TestA|", ""},
	{"/x", ""},
	{"Nope|TestB", ""},
	{"Nope", ""},
	{"Test[A/B]$", ""},
	{"TestOdd/with space", ""},
	{"TestOdd/a|b", ""},
	{"TestOdd/a\\|b", ""},
	{"TestOdd/[(]paren", ""},
	{"TestOdd/^#0[01]$", ""},
	{"TestOdd/ü", ""},
	{"TestOdd/\\\\x00", ""},
	{"Test(?i:a)", ""},
	{"(?i)testa$|(?-i)TESTB", ""},
	{`\QTest(\E/x`, ""},
	{`TestA/x|\QTest(\E|TestB`, ""},
	{"Über", ""},
	{"Fuzz/seed#1", ""},
	{"Example", ""},
	{"", "TestA"},
	{"", "TestA/x"},
	{"", "TestA/x|TestA"},
	{"", "TestA|TestA/x"},
	{"", "^TestA$|Odd/a|Fuzz"},
	{"TestA", "^TestA$/x"},
	{"TestA|TestB", "/x"},
	{"TestA", "|"},
	{"Test.*/^y$", "AB"},
	{"TestA]", ""},
	{"TestA]*/x|TestB/y", ""},
	{"Example wrong", ""},
	{"", "Example wrong"},
}

// ran returns the full names of the tests that the plain binary runs.
func ran(t *testing.T, u Unit) []string {
	t.Helper()
	seen := map[string]bool{}
	res := Run(t.Context(), u, func(events []event) {
		for _, e := range events {
			if e.Action == test2json.ActionRun {
				seen[e.Test] = true
			}
		}
	})
	if !res.Started || res.Verdict == "" {
		t.Fatalf("%+v", res)
	}
	return slices.Sorted(maps.Keys(seen))
}

// TestRunPattern compares, for every pattern, what a binary runs by itself with what it runs in two
// parts, by which names Match finds.
func TestRunPattern(t *testing.T) {
	t.Parallel()
	for _, p := range patterns {
		t.Run(p.run+" skip "+p.skip, func(t *testing.T) {
			t.Parallel()
			whole := fixture(t, "plain", p.run, "-test.skip="+p.skip)
			want := ran(t, whole)

			names, err := Match(p.run, p.skip, plainNames)
			if err != nil {
				t.Fatal(err)
			}
			var top []string
			for _, name := range want {
				if !strings.Contains(name, "/") {
					top = append(top, name)
				}
			}
			if diff := cmp.Diff(top, slices.Sorted(slices.Values(names))); diff != "" {
				t.Errorf("Match (-binary +Match):\n%s", diff)
			}

			var got []string
			for _, odd := range []int{0, 1} {
				var half []string
				for i, name := range plainNames {
					if i%2 == odd {
						half = append(half, name)
					}
				}
				got = append(got, ran(t, part(whole, half...))...)
			}
			if diff := cmp.Diff(want, slices.Sorted(slices.Values(got))); diff != "" {
				t.Errorf("tests run (-whole +two parts):\n%s", diff)
			}
		})
	}
}

// TestBadPatterns holds the errors against what the binary prints.
func TestBadPatterns(t *testing.T) {
	t.Parallel()
	for _, p := range []struct{ run, skip string }{
		{"(", ""}, {"TestA/[", ""}, {"TestA|*", ""}, {"", "x|a/)"}, {"a\\", ""},
	} {
		_, err := Match(p.run, p.skip, plainNames)
		if err == nil {
			t.Errorf("Match(%q, %q) is no error", p.run, p.skip)
			continue
		}
		u := fixture(t, "plain", p.run, "-test.skip="+p.skip)
		out, runErr := exec.Command(u.Binary, u.Args...).CombinedOutput()
		if _, ok := errors.AsType[*exec.ExitError](runErr); !ok || string(out) != err.Error()+"\n" {
			t.Errorf("Match(%q, %q): %v\nbinary: %v, %s", p.run, p.skip, err, runErr, out)
		}
		if p.run != "" {
			if _, err := RunPattern(p.run, plainNames); err == nil {
				t.Errorf("RunPattern(%q) is no error", p.run)
			}
		}
	}
}

func TestRunPatternText(t *testing.T) {
	for _, tt := range []struct {
		run   string
		names []string
		want  string
	}{
		{"", []string{"TestA"}, "^TestA$"},
		{"", []string{"TestA", "TestB"}, "^(TestA|TestB)$"},
		{"", nil, "^$"},
		{"TestA/x/y|B|C/z", []string{"TestA", "TestAB", "TestB"}, "^(TestA|TestAB)$/x/y|^(TestAB|TestB)$"},
		{"Nope", []string{"TestA"}, "^$"},
	} {
		if got, err := RunPattern(tt.run, tt.names); got != tt.want || err != nil {
			t.Errorf("RunPattern(%q, %q) = %q, %v, want %q", tt.run, tt.names, got, err, tt.want)
		}
	}
}

// FuzzRunPattern shows that a pattern made for names runs those of them that Match finds, and no
// other.
func FuzzRunPattern(f *testing.F) {
	for _, p := range patterns {
		f.Add(p.run)
	}
	f.Fuzz(func(t *testing.T, run string) {
		want, err := Match(run, "", plainNames[:4])
		pattern, patternErr := RunPattern(run, plainNames[:4])
		if (err == nil) != (patternErr == nil) {
			t.Fatalf("Match: %v, RunPattern: %v", err, patternErr)
		}
		if err != nil {
			return
		}
		got, err := Match(pattern, "", plainNames)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("RunPattern(%q) = %q runs %q, want %q (%v)", run, pattern, got, want, err)
		}
	})
}

func TestSetFlag(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{"-test.v -test.run=A -test.count=1", "-test.v -test.run=B -test.count=1"},
		{"-test.v --test.run A -test.run=C x", "-test.v -test.run=B x"},
		{"-test.v", "-test.run=B -test.v"},
		{"-foo bar -test.run A", "-foo bar -test.run=B"},
		{"-foo=1 bar -test.run A", "-test.run=B -foo=1 bar -test.run A"},
		{"-test.short -- -test.run=A", "-test.run=B -test.short -- -test.run=A"},
		{"-test.run", "-test.run=B"},
		{"- -test.run=A", "-test.run=B - -test.run=A"},
	} {
		args := strings.Fields(tt.args)
		if got := strings.Join(setFlag(args, "run", "B"), " "); got != tt.want {
			t.Errorf("setFlag(%q) = %q, want %q", tt.args, got, tt.want)
		}
		if strings.Join(args, " ") != tt.args {
			t.Errorf("setFlag changed %q to %q", tt.args, args)
		}
	}
}

func TestRounds(t *testing.T) {
	for args, want := range map[string]int{
		"": 1, "-test.count=3": 3, "-test.cpu=1,2,4": 3, "-test.cpu 1,2 -test.count 2": 4, "-test.count=0": 1, "-test.count=2 -test.count=5": 5,
	} {
		if got := rounds(testArgs(strings.Fields(args))); got != want {
			t.Errorf("rounds of %q: %d, want %d", args, got, want)
		}
	}
}
