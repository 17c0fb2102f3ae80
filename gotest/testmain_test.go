package gotest

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const smallTestmain = `package main

import (
	"os"
	"reflect"
	"testing"
	"testing/internal/testdeps"
	_test "example.com/m"
	_xtest "example.com/m_test"
)

var tests = []testing.InternalTest{

	{"TestA", _test.TestA},

	{"TestÄ", _xtest.TestÄ},

}

var benchmarks = []testing.InternalBenchmark{

	{"BenchmarkA", _test.BenchmarkA},

}

var fuzzTargets = []testing.InternalFuzzTarget{

	{"FuzzA", _test.FuzzA},

}

var examples = []testing.InternalExample{

	{"ExampleA", _test.ExampleA, "a\n\"{x}\"\n", false},

}

func init() {
	testdeps.ImportPath = "example.com/m"
}

func main() {
	m := testing.MainStart(testdeps.TestDeps{}, tests, benchmarks, fuzzTargets, examples)
	_test.TestMain(m)
	os.Exit(int(reflect.ValueOf(m).Elem().FieldByName("exitCode").Int()))
}
`

func TestParseTestmain(t *testing.T) {
	got, err := ParseTestmain([]byte(smallTestmain))
	if err != nil {
		t.Fatal(err)
	}
	want := Testmain{
		Items:       []Item{{Name: "TestA", Kind: KindTest}, {Name: "TestÄ", Kind: KindTest}, {Name: "FuzzA", Kind: KindFuzz}, {Name: "ExampleA", Kind: KindExample}},
		Benchmarks:  []string{"BenchmarkA"},
		HasTestMain: true,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	plain := strings.Replace(smallTestmain, "_test.TestMain(m)", "os.Exit(m.Run())", 1)
	if got, err = ParseTestmain([]byte(plain)); err != nil || got.HasTestMain {
		t.Errorf("without TestMain: %+v, %v", got, err)
	}
}

func TestParseTestmainRejectsWhatItDoesNotKnow(t *testing.T) {
	for change, want := range map[[2]string]string{
		{"var tests =", "var testz ="}:          "no list of tests",
		{"var examples =", "var e ="}:           "no list of examples",
		{`{"TestA", _test.TestA}`, `{name, x}`}: "element 0 of tests has no name",
		{`{"TestA", _test.TestA}`, `{42, x}`}:   "element 0 of tests has no name",
		{`{"FuzzA", _test.FuzzA}`, `fuzzA`}:     "element 0 of fuzzTargets is no pair",
		{`{"FuzzA", _test.FuzzA}`, `{"FuzzA"}`}: "element 0 of fuzzTargets is no pair",
		{"package main", "package"}:             "parse the generated main package",
	} {
		got, err := ParseTestmain([]byte(strings.Replace(smallTestmain, change[0], change[1], 1)))
		if err == nil || !strings.Contains(err.Error(), want) || len(got.Items) != 0 {
			t.Errorf("%s: got %+v, %v, want an error with %q", change[1], got, err, want)
		}
	}
}

func FuzzParseTestmain(f *testing.F) {
	f.Add([]byte(smallTestmain))
	f.Add([]byte("package main\nvar tests, benchmarks = []int{}, []int{{1}}\nfunc main()"))
	f.Fuzz(func(t *testing.T, src []byte) {
		if tm, err := ParseTestmain(src); err != nil && len(tm.Items) > 0 {
			t.Fatalf("an error and items: %+v, %v", tm, err)
		}
	})
}
