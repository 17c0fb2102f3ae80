package reporters

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func junitOf(t *testing.T, suites string) *JUnitReport {
	t.Helper()
	r, err := ReadJUnit(strings.NewReader(`<?xml version="1.0"?><testsuites time="1.5">` + suites + `</testsuites>`))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestMergeJUnit(t *testing.T) {
	a := junitOf(t, `<testsuite name="p" tests="2" failures="1" errors="0" skipped="0" time="1.000" timestamp="2026-01-02T03:04:05Z" hostname="one">
<properties><property name="platform" value="linux/amd64"/></properties>
<testcase classname="p" name="TestA" time="0.1"><properties><property name="gateway" value="gw0"/></properties></testcase>
<testcase classname="p" name="TestB" time="0.2"><failure message="no"><![CDATA[a < b]]></failure></testcase></testsuite>
<testsuite name="z" tests="1" failures="0" errors="1" skipped="0" time="0.000"><testcase classname="z" name="[build failed]" time="0"><error message="m" type="error"></error></testcase></testsuite>`)
	b := junitOf(t, `<testsuite name="a" tests="1" failures="0" errors="0" skipped="0" time="0.000"><testcase classname="a" name="TestA" time="0"/></testsuite>
<testsuite name="p" tests="1" failures="0" errors="0" skipped="1" time="0.500" timestamp="2026-01-02T03:04:04Z" hostname="two">
<testcase classname="p" name="TestC" time="0.3"><skipped message="why"></skipped></testcase></testsuite>
<testsuite name="z" tests="1" failures="0" errors="1" skipped="0" time="0.000"><testcase classname="z" name="[build failed]" time="0"><error message="m" type="error"></error></testcase></testsuite>`)
	merged, err := MergeJUnit([]NamedJUnit{{"a.xml", a}, {"b.xml", b}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "new", "all.xml")
	if err := merged.WriteFile(file); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/merged.xml"
	if *update {
		if err := os.WriteFile(golden, got, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Error(diff)
	}
	if tests, bad := merged.Count(); tests != 5 || bad != 2 {
		t.Errorf("%d tests, %d bad", tests, bad)
	}
	if _, err := MergeJUnit([]NamedJUnit{{"a.xml", a}, {"again.xml", a}}); err == nil || err.Error() != "merge JUnit reports: p::TestB is in a.xml and in again.xml: these are no parts of one run" {
		t.Error(err)
	}
}
