package merge

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xdist-go/xdist/scheduler/event"
)

const (
	aTest   = "{\"Action\":\"run\",\"Package\":\"p\",\"Test\":\"TestA\"}\n{\"Action\":\"pass\",\"Package\":\"p\",\"Test\":\"TestA\"}\n"
	noEnd   = "{\"Action\":\"start\",\"Package\":\"q\"}\n"
	ofNone  = "does not say of which shard it is: its job did not come to its end, or is none of this run"
	missing = "no file with events of go test -json is of shard "
)

func end(shard, items string) string {
	return `{"Time":"2026-01-02T03:04:05Z","Action":"shard","Shard":"` + shard + `","Items":` + items + "}\n"
}

// planned is a file whose end says how the suite was divided.
func planned(text, plan string) string {
	return strings.Replace(text, `"Items":`, `"Plan":"`+plan+`","Items":`, 1)
}

// flagged is a file whose end says what flags its run had.
func flagged(text, flags string) string {
	return strings.Replace(text, `"Items":`, `"Flags":"`+flags+`","Items":`, 1)
}

func junit(shard, items, cases string) string {
	return `<testsuites><properties><property name="shard" value="` + shard + `"/><property name="shard.items" value="` + items + `"/></properties><testsuite name="p">` + cases + `</testsuite></testsuites>`
}

// TestWhole: files are named in the order of the letters.
func TestWhole(t *testing.T) {
	one, two, three := aTest+end("1/3", "1"), end("2/3", "0"), noEnd+end("3/3", "0")
	for name, tt := range map[string]struct {
		files  []string
		gaps   []string
		usable string
	}{
		"all":                   {[]string{three, one, two}, nil, "abc"},
		"no shards":             {[]string{aTest, noEnd, ""}, nil, "abc"},
		"one alone":             {[]string{aTest + end("1/1", "1")}, nil, "a"},
		"missing":               {[]string{one, three}, []string{missing + "2/3"}, "ab"},
		"the first is missing":  {[]string{two, three}, []string{missing + "1/3"}, "ab"},
		"all but one":           {[]string{two}, []string{missing + "1/3", missing + "3/3"}, "a"},
		"empty":                 {[]string{one, "", three}, []string{missing + "2/3", "b is empty"}, "ac"},
		"empty beside all":      {[]string{one, two, three, " \n"}, []string{"d is empty"}, "abc"},
		"not ended":             {[]string{one, noEnd, three}, []string{"b " + ofNone, missing + "2/3"}, "abc"},
		"not ended beside all":  {[]string{one, two, three, noEnd}, []string{"d " + ofNone}, "abcd"},
		"in the middle":         {[]string{one, noEnd + `{"Act`, three}, []string{"b is cut off: line 2: unexpected end of JSON input", missing + "2/3"}, "abc"},
		"in the end":            {[]string{one, strings.TrimSuffix(two, "0}\n"), three}, []string{"b is cut off: line 1: unexpected end of JSON input", missing + "2/3"}, "abc"},
		"cut off without shard": {[]string{noEnd + `{"Act`}, []string{"a is cut off: line 2: unexpected end of JSON input"}, "a"},
		"twice":                 {[]string{one, two, three, two}, []string{"b and d are both of shard 2/3; the second was left out"}, "abc"},
		"divided otherwise":     {[]string{one, two, three, end("2/2", "0")}, []string{"d is of shard 2/2, and others are of 3 shards"}, "abcd"},
		"by other plans":        {[]string{planned(one, "x"), planned(two, "y"), three}, []string{"a and b divide the suite differently, so that a test may be in neither: give all shards the same sources, packages, flags and --timings"}, "abc"},
		"by one plan":           {[]string{planned(one, "x"), planned(two, "x"), three}, nil, "abc"},
		"with other flags":      {[]string{flagged(one, "-race -short"), two, flagged(three, "-race -short")}, []string{"a was run with -race -short and b with no such flags, so that they are no parts of one run"}, "abc"},
		"with the same flags":   {[]string{flagged(one, "-race"), flagged(two, "-race"), flagged(three, "-race")}, nil, "abc"},
		"JUnit with other flags": {[]string{
			junit("1/2", "0", ""), strings.Replace(junit("2/2", "0", ""), "<property ", `<property name="shard.flags" value="-short"/><property `, 1),
		}, []string{"a was run with no such flags and b with -short, so that they are no parts of one run"}, "ab"},
		"a test is missing": {[]string{aTest + end("1/1", "2")}, []string{"a has 1 of the 2 tests that shard 1/1 has run"}, "a"},
		"goes on":           {[]string{aTest + end("1/1", "1") + noEnd}, []string{"a goes on behind the end of shard 1/1"}, "a"},
		"two ends":          {[]string{one + two, three}, []string{"a goes on behind the end of shard 1/3", missing + "2/3"}, "ab"},
		"not run":           {[]string{aTest + strings.Replace(end("1/1", "3"), "}", `,"NotRun":2}`, 1)}, nil, "a"},
		"subtests are none": {[]string{strings.ReplaceAll(aTest, "TestA", "TestA/x") + end("1/1", "1")}, []string{"a has 0 of the 1 tests that shard 1/1 has run"}, "a"},

		"JUnit":                {[]string{junit("1/2", "1", `<testcase name="TestA"/>`), junit("2/2", "0", "")}, nil, "ab"},
		"JUnit missing":        {[]string{junit("1/2", "1", `<testcase name="TestA"/>`)}, []string{"no file with JUnit is of shard 2/2"}, "a"},
		"JUnit without a test": {[]string{junit("1/1", "1", "")}, []string{"a has 0 of the 1 tests that shard 1/1 has run"}, "a"},
		"JUnit cut off":        {[]string{junit("1/1", "0", ""), "<testsuites>\n<testsuite"}, []string{"b is cut off: it ends in line 2"}, "a"},
		"JUnit twice":          {[]string{junit("1/1", "0", ""), junit("1/1", "0", "")}, []string{"a and b are both of shard 1/1; the second was left out"}, "a"},
		"JUnit of no shard":    {[]string{junit("1/1", "0", ""), "<testsuites/>"}, []string{"b " + ofNone}, "ab"},
		"empty beside JUnit":   {[]string{junit("1/1", "0", ""), ""}, []string{"b is empty"}, "a"},
		"each kind by itself":  {[]string{one, two, three, "<testsuites/>", "mode: set\n"}, nil, "abcde"},
	} {
		t.Run(name, func(t *testing.T) {
			var files []*File
			for i, text := range tt.files {
				files = append(files, events(t, string(rune('a'+i)), text))
			}
			usable, gaps := Whole(files)
			if diff := cmp.Diff(tt.gaps, gaps); diff != "" {
				t.Error(diff)
			}
			names := ""
			for _, f := range usable {
				names += f.Name
			}
			if names != tt.usable {
				t.Errorf("%s can be merged, want %s", names, tt.usable)
			}
		})
	}
}

// TestTrailerMeansNothing: a shard that cannot be is no shard.
func TestTrailerMeansNothing(t *testing.T) {
	for _, text := range []string{end("3/2", "1"), end("", "1"), end("1/2", "-1"), end("1/2", `"x"`), junit("x", "1", "")} {
		if f, err := parse("x", []byte(text)); err == nil {
			t.Errorf("%q was taken: %+v", text, f.Shard)
		}
	}
}

// TestNotRun: items that no event tells of are in the account, which is no pass.
func TestNotRun(t *testing.T) {
	f := events(t, "a", aTest+strings.Replace(end("1/1", "3"), "}", `,"NotRun":2}`, 1))
	merged, err := Events([]*File{f}, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := event.Summary{Collected: 3, Stopped: "2 tests were not run", Counts: map[event.Verdict]int{event.Pass: 1, event.NotRun: 2}}
	if diff := cmp.Diff(want, merged.Summary); diff != "" {
		t.Error(diff)
	}
	for _, e := range merged.Events {
		if e.Package == "" {
			t.Errorf("the merged stream has %+v", e)
		}
	}
}
