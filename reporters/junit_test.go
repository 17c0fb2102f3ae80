package reporters

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/joshdk/go-junit"

	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/scheduler/event"
)

func junitText(t *testing.T, cfg JUnitConfig, run []event.Event) string {
	t.Helper()
	if cfg.File == "" {
		cfg.File = filepath.Join(t.TempDir(), "junit.xml")
	}
	j, err := NewJUnit(cfg)
	if err != nil {
		t.Fatal(err)
	}
	play(t, j, run)
	text, err := os.ReadFile(cfg.File)
	if err != nil {
		t.Fatal(err)
	}
	checkJUnit(t, string(text))
	return string(text)
}

// checkJUnit holds a report against what Jenkins' and GitLab's parsers need, in our own words:
// which elements and attributes there are and where, the formats of times and numbers, and that
// each count is that of its elements.
func checkJUnit(t *testing.T, text string) {
	t.Helper()
	if !utf8.ValidString(text) {
		t.Error("not UTF-8")
	}
	var root element
	if err := xml.Unmarshal([]byte(text), &root); err != nil {
		t.Fatalf("not XML: %v", err)
	}
	if root.XMLName.Local != "testsuites" {
		t.Errorf("the root is %q", root.XMLName.Local)
	}
	for _, err := range root.check("") {
		t.Error(err)
	}
}

type element struct {
	XMLName  xml.Name
	Attrs    []xml.Attr `xml:",any,attr"`
	Children []element  `xml:",any"`
	Text     string     `xml:",chardata"`
}

type rule struct {
	required, optional string            // attributes
	children           map[string]string // how many there may be: "*", or "?" for at most one
	text               bool
}

var junitRules = map[string]rule{
	"testsuites": {required: "tests failures errors time", optional: "name", children: map[string]string{"properties": "?", "testsuite": "*"}},
	"testsuite": {
		required: "name tests failures errors skipped time", optional: "timestamp hostname",
		children: map[string]string{"properties": "?", "testcase": "*", "system-out": "?"},
	},
	"testcase": {
		required: "classname name time", optional: "timestamp file line",
		children: map[string]string{"properties": "?", "skipped": "?", "failure": "?", "error": "?", "system-out": "?", "flakyFailure": "*", "rerunFailure": "*"},
	},
	"flakyFailure": {required: "message type", children: map[string]string{"stackTrace": "?"}},
	"rerunFailure": {required: "message type", children: map[string]string{"stackTrace": "?"}},
	"stackTrace":   {text: true},
	"properties":   {children: map[string]string{"property": "*"}},
	"property":     {required: "name value"},
	"skipped":      {required: "message"},
	"failure":      {required: "message", optional: "type", text: true},
	"error":        {required: "message", optional: "type", text: true},
	"system-out":   {text: true},
}

var attributeForms = map[string]*regexp.Regexp{
	"tests": regexp.MustCompile(`^\d+$`), "failures": regexp.MustCompile(`^\d+$`),
	"errors": regexp.MustCompile(`^\d+$`), "skipped": regexp.MustCompile(`^\d+$`),
	"time":      regexp.MustCompile(`^\d+\.\d{3}$`),
	"line":      regexp.MustCompile(`^\d+$`),
	"timestamp": regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`),
}

func (e element) check(path string) []error {
	name := e.XMLName.Local
	path += "/" + name
	r, ok := junitRules[name]
	if !ok {
		return []error{fmt.Errorf("%s: unknown element", path)}
	}
	var errs []error
	report := func(format string, args ...any) { errs = append(errs, fmt.Errorf(path+": "+format, args...)) }
	for _, want := range strings.Fields(r.required) {
		if _, ok := e.attr(want); !ok {
			report("no attribute %s", want)
		}
	}
	for _, a := range e.Attrs {
		if !strings.Contains(" "+r.required+" "+r.optional+" ", " "+a.Name.Local+" ") {
			report("attribute %s", a.Name.Local)
		}
		if form := attributeForms[a.Name.Local]; form != nil && name != "property" && !form.MatchString(a.Value) {
			report("%s=%q", a.Name.Local, a.Value)
		}
	}
	if !r.text && strings.TrimSpace(e.Text) != "" {
		report("text %q", e.Text)
	}
	seen := map[string]int{}
	for _, c := range e.Children {
		child := c.XMLName.Local
		seen[child]++
		if many := r.children[child]; many == "" || many == "?" && seen[child] > 1 {
			report("%d of %s", seen[child], child)
		}
		errs = append(errs, c.check(path)...)
	}
	if name == "testcase" && seen["skipped"]+seen["failure"]+seen["error"] > 1 {
		report("more than one outcome")
	}
	for attr, child := range map[string]string{"tests": "testcase", "failures": "failure", "errors": "error", "skipped": "skipped"} {
		if v, ok := e.attr(attr); ok && v != strconv.Itoa(e.count(child)) {
			report("%s=%q, but there are %d", attr, v, e.count(child))
		}
	}
	return errs
}

func (e element) attr(name string) (string, bool) {
	for _, a := range e.Attrs {
		if a.Name.Local == name {
			return a.Value, true
		}
	}
	return "", false
}

func (e element) count(name string) int {
	n := 0
	for _, c := range e.Children {
		if c.XMLName.Local == name {
			n++
		}
		n += c.count(name)
	}
	return n
}

// The checker must notice what it is for.
func TestJUnitCheckerBites(t *testing.T) {
	good := `<testsuite name="p" tests="1" failures="1" errors="0" skipped="0" time="0.000">` +
		`<testcase classname="p" name="T" time="0.000"><failure message="m">x</failure></testcase></testsuite>`
	for _, c := range []struct{ old, new string }{
		{`tests="1"`, `tests="2"`}, {`time="0.000"><f`, `time="0"><f`}, {`message="m"`, ``}, {`<failure`, `<error message="e"/><failure`},
		{`name="T"`, `name="T" gateway="gw1"`}, {`></testsuite>`, `>words</testsuite>`}, {``, ``},
	} {
		var e element
		if err := xml.Unmarshal([]byte(strings.Replace(good, c.old, c.new, 1)), &e); err != nil {
			t.Fatal(err)
		}
		if errs := e.check(""); (len(errs) > 0) != (c.new != c.old) {
			t.Errorf("%q for %q: %v", c.new, c.old, errs)
		}
	}
}

func TestJUnitGolden(t *testing.T) {
	run := recordedAsRun(t, recordedRun)
	golden(t, "junit.xml", junitText(t, JUnitConfig{Name: "fixture"}, run))
	golden(t, "junit-system-out.xml", junitText(t, JUnitConfig{SystemOut: EveryTest}, run))
	golden(t, "junit-bench.xml", junitText(t, JUnitConfig{}, recordedAsRun(t, recordedBench)))
}

// outcomes returns "name: outcome message" of each testcase.
func outcomes(t *testing.T, text string) []string {
	t.Helper()
	var root element
	if err := xml.Unmarshal([]byte(text), &root); err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, s := range root.Children {
		for _, c := range s.Children {
			name, _ := c.attr("name")
			outcome := "pass"
			for _, o := range c.Children {
				if m, ok := o.attr("message"); ok {
					outcome = o.XMLName.Local + " " + m
				}
			}
			all = append(all, name+": "+outcome)
		}
	}
	return all
}

func TestJUnitAccount(t *testing.T) {
	attempt := func(n int, action string) event.Test {
		e := testEvent(action, "TestRetried", "")
		e.Attempt = n
		return e
	}
	dies := []event.Event{testEvent("run", "TestDies", ""), testEvent("output", "TestDies", "fatal error: x\n"), testEvent("fail", "TestDies", "")}
	retried := []event.Event{attempt(1, "run"), attempt(1, "fail"), attempt(2, "run"), attempt(2, "pass")}
	again := attempt(1, "fail")
	again.Again = true
	flaky := []event.Event{attempt(1, "run"), again, attempt(2, "run"), attempt(2, "pass")}
	failing := []event.Event{attempt(1, "run"), again, attempt(2, "run"), attempt(2, "fail")}
	item := func(test string, v event.Verdict) event.ItemSeconds {
		return event.ItemSeconds{ID: "example.com/p::" + test, Gateway: "gw1", Verdict: v}
	}
	ended := []event.Event{testEvent("fail", "", "")}
	for _, c := range []struct {
		name    string
		run     []event.Event
		summary event.Summary
		want    []string
	}{
		{"a crash is an error", append(dies, ended...),
			event.Summary{Durations: []event.ItemSeconds{item("TestDies", event.Crash)}},
			[]string{"TestDies: error crashed while running on gw1"}},
		{"a failed attempt counts less when the last passed", append(flaky, testEvent("pass", "", "")),
			event.Summary{Durations: []event.ItemSeconds{item("TestRetried", event.Flaky)}},
			[]string{"TestRetried: flakyFailure Failed"}},
		{"the failures of one test are one failure", append(failing, ended...),
			event.Summary{Durations: []event.ItemSeconds{item("TestRetried", event.Fail)}},
			[]string{"TestRetried: rerunFailure Failed"}},
		{"a package that fails though its tests were flaky only", append(flaky, ended...),
			event.Summary{Durations: []event.ItemSeconds{item("TestRetried", event.Flaky)}},
			[]string{"TestRetried: flakyFailure Failed", "TestMain: failure Failed"}},
		{"but not when the account says that the item failed", append(retried, ended...),
			event.Summary{Durations: []event.ItemSeconds{item("TestRetried", event.Fail)}},
			[]string{"TestRetried: failure Failed", "TestRetried: pass"}},
		{"nor when it says nothing", append(retried, ended...), event.Summary{},
			[]string{"TestRetried: failure Failed", "TestRetried: pass"}},
		{"not run", append([]event.Event{testEvent("run", "TestBegun", ""), testEvent("run", "TestBegun/sub", "")}, retried[2:]...),
			event.Summary{NotRun: []event.NotRunItem{
				{ID: "example.com/p::TestBegun", Reason: "interrupted"}, {ID: "example.com/q::TestQ", Reason: "no <gateway> left"}}},
			[]string{"TestRetried: pass", "TestBegun: skipped not run: interrupted", "TestQ: skipped not run: no <gateway> left"}},
		{"a failure whose next attempt did not come", append(flaky[:2:2], ended...),
			event.Summary{Durations: []event.ItemSeconds{item("TestRetried", event.Fail)}},
			[]string{"TestRetried: failure Failed"}},
		{"one that was cut short is not run", []event.Event{testEvent("run", "TestBegun", ""), testEvent("skip", "TestBegun", "")},
			event.Summary{NotRun: []event.NotRunItem{{ID: "example.com/p::TestBegun", Reason: "interrupted"}}},
			[]string{"TestBegun: skipped not run: interrupted"}},
		{"nor is one that had begun when its package ended, which has failed",
			[]event.Event{testEvent("run", "TestBegun", ""), testEvent("run", "TestBegun/sub", ""), testEvent("output", "", "signal: killed\n"), testEvent("fail", "", "")},
			event.Summary{NotRun: []event.NotRunItem{{ID: "example.com/p::TestBegun", Reason: "the process ended before it: signal: killed"}}},
			[]string{"TestBegun: skipped not run: the process ended before it: signal: killed", "TestMain: failure signal: killed"}},
		{"a test without an end is never a pass", []event.Event{testEvent("run", "TestX", "")}, event.Summary{},
			[]string{"TestX: error no verdict: the run ended before the test did"}},
		{"nor in a package that has one", []event.Event{testEvent("run", "TestX", ""), testEvent("pass", "", "")}, event.Summary{},
			[]string{"TestX: error no verdict: the package ended before the test did"}},
		{"a package that fails after its tests passed", []event.Event{testEvent("run", "TestX", ""), testEvent("pass", "TestX", ""),
			testEvent("output", "", "PASS\n"), testEvent("output", "", "WARNING: DATA RACE\n"), testEvent("fail", "", "")}, event.Summary{},
			[]string{"TestX: pass", "TestMain: failure race detected during execution of test"}},
		{"a benchmark that failed", []event.Event{testEvent("run", "BenchmarkX", ""), testEvent("output", "BenchmarkX", "--- FAIL: BenchmarkX\n"),
			testEvent("fail", "", "")}, event.Summary{}, []string{"BenchmarkX: failure Failed"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := junitText(t, JUnitConfig{}, append(c.run, event.RunEnded{Summary: c.summary}))
			if diff := cmp.Diff(c.want, outcomes(t, text)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestJUnitCrashOfEach(t *testing.T) {
	var run []event.Event
	for _, gw := range []string{"gw0", "gw1"} {
		for _, action := range []string{"run", "fail"} {
			e := testEvent(action, "TestX", "")
			e.Package, e.Gateway = "example.com/p ["+gw+"]", gw
			run = append(run, e)
		}
	}
	text := junitText(t, JUnitConfig{}, append(run, event.RunEnded{Summary: event.Summary{Durations: []event.ItemSeconds{
		{ID: "example.com/p [gw0]::TestX", Gateway: "gw0", Verdict: event.Crash},
		{ID: "example.com/p [gw1]::TestX", Gateway: "gw1", Verdict: event.Fail},
	}}}))
	if diff := cmp.Diff([]string{"TestX: error crashed while running on gw0", "TestX: failure Failed"}, outcomes(t, text)); diff != "" {
		t.Error(diff)
	}
}

func TestJUnitOutputLimit(t *testing.T) {
	begin, end := "p_test.go:1: it begins\n", "panic: and ends\n"
	run := oneFailure(begin, strings.Repeat("x", 3<<20), strings.Repeat("y", 3<<20)+"\n", end)
	for limit, want := range map[int]int{0: defaultOutputLimit, 1000: 1000, 64 << 20: 6 << 20, -1: 0} {
		text := junitText(t, JUnitConfig{OutputLimit: limit}, run)
		if len(text) < want || len(text) > want+2000 {
			t.Errorf("limit %d: the report has %d bytes", limit, len(text))
		}
		if whole := limit == 64<<20; strings.Contains(text, " bytes are left out here …]") == whole {
			t.Errorf("limit %d: a note of what is left out: %v", limit, whole)
		}
		if limit >= 0 && (!strings.Contains(text, begin) || !strings.Contains(text, end)) {
			t.Errorf("limit %d: the begin or the end is missing", limit)
		}
	}
}

// Output of tests that passed must not stay.
func TestJUnitMemory(t *testing.T) {
	j, err := NewJUnit(JUnitConfig{File: filepath.Join(t.TempDir(), "junit.xml")})
	if err != nil {
		t.Fatal(err)
	}
	megabyte := strings.Repeat("x", 1<<20)
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for i := range 100 {
		test := fmt.Sprint("Test", i)
		for _, e := range []event.Test{testEvent("run", test, ""), testEvent("output", test, strings.Clone(megabyte)), testEvent("pass", test, "")} {
			if err := j.Handle(e); err != nil {
				t.Fatal(err)
			}
		}
	}
	if grown := int64(heap() - before); grown > 10<<20 {
		t.Errorf("%d bytes are kept", grown)
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
}

func TestJUnitIllegalCharacters(t *testing.T) {
	run := oneFailure("\x1b[1;31mred\x1b[0m \x1b[2K nul \x00 bell \a invalid \xff\xfe cdata ]]> \ufffe \r\n")
	run = append(run[:len(run)-1], event.RunEnded{Summary: event.Summary{NotRun: []event.NotRunItem{{ID: "a\x01::b\x02", Reason: "\x03"}}}})
	text := junitText(t, JUnitConfig{Name: "name \x04"}, run)
	var root element
	if err := xml.Unmarshal([]byte(text), &root); err != nil {
		t.Fatal(err)
	}
	want := "red \ufffd[2K nul \ufffd bell \ufffd invalid \ufffd\ufffd cdata ]]> \ufffd \n--- FAIL: TestX (0.00s)\n"
	if got := root.Children[1].Children[0].Children[1].Text; got != want {
		t.Errorf("the failure's text is %q, want %q", got, want)
	}
}

func TestJUnitReplacesInOneStep(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "new", "junit.xml")
	j, err := NewJUnit(JUnitConfig{File: file})
	if err != nil {
		t.Fatal(err)
	}
	if names := readDir(t, filepath.Dir(file)); len(names) != 0 {
		t.Errorf("before the run: %q", names)
	}
	if err := j.file.Replace(func(w io.Writer) error { io.WriteString(w, "old"); return nil }); err != nil {
		t.Fatal(err)
	}
	err = j.file.Replace(func(w io.Writer) error { io.WriteString(w, "half"); return errFull })
	if !errors.Is(err, errFull) {
		t.Errorf("replace returned %v", err)
	}
	if text, err := os.ReadFile(file); string(text) != "old" || err != nil {
		t.Errorf("after a failed write: %q, %v", text, err)
	}
	if names := readDir(t, filepath.Dir(file)); len(names) != 1 {
		t.Errorf("after a failed write: %q", names)
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
}

func readDir(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestJUnitKeepsModeAndLink(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has neither these modes nor links for everybody")
	}
	dir := t.TempDir()
	file, link := filepath.Join(dir, "real.xml"), filepath.Join(dir, "link.xml")
	if err := os.WriteFile(file, nil, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("real.xml", link); err != nil {
		t.Fatal(err)
	}
	junitText(t, JUnitConfig{File: link}, oneFailure())
	info, err := os.Stat(file)
	if err != nil || info.Mode() != 0o640 || info.Size() == 0 {
		t.Errorf("the file is %v, %v", info, err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link is %v, %v", info, err)
	}
}

func TestJUnitPathThatCannotBe(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"": ": it has no name", dir: ": is a directory", filepath.Join(file, "x", "y.xml"): ": make its directory: "} {
		_, err := NewJUnit(JUnitConfig{File: path})
		if err == nil || !strings.HasPrefix(err.Error(), fmt.Sprintf("prepare JUnit report %q", path)) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error is %v", path, err)
		}
	}
}

func TestJUnitDirectoryGoneAtTheEnd(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	j, err := NewJUnit(JUnitConfig{File: filepath.Join(dir, "junit.xml")})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), "write JUnit report ") {
		t.Errorf("Close returned %v", err)
	}
}

func TestJUnitSharedFailedBuild(t *testing.T) {
	build := func(action, output string) event.Test {
		return event.Test{Event: test2json.Event{Action: action, ImportPath: "example.com/dep", Output: output}}
	}
	run := []event.Event{build("build-output", "# example.com/dep\n"), build("build-output", "dep.go:1:1: oops\n"), build("build-fail", "")}
	for _, pkg := range []string{"example.com/p", "example.com/q"} {
		out, fail := testEvent("output", "", "FAIL\t"+pkg+" [build failed]\n"), testEvent("fail", "", "")
		out.Package, fail.Package, fail.FailedBuild = pkg, pkg, "example.com/dep"
		run = append(run, out, fail)
	}
	text := junitText(t, JUnitConfig{}, append(run, event.RunEnded{}))
	if strings.Count(text, "dep.go:1:1: oops") != 2 || strings.Count(text, "[build failed]") != 2 {
		t.Errorf("got:\n%s", text)
	}
}

// The dialect of Jenkins is what its schema allows, whatever the run was like. xmllint says so
// where it is there.
func TestJUnitJenkins(t *testing.T) {
	run := recordedAsRun(t, recordedRun)
	end := run[len(run)-1].(event.RunEnded)
	for name, run := range map[string][]event.Event{"recorded": run, "shard": asShard(run, end), "nothing": nil} {
		for _, out := range []SystemOut{FailuresOnly, EveryTest} {
			text := junitText(t, JUnitConfig{Schema: JUnitJenkins, SystemOut: out}, run)
			var doc element
			if err := xml.Unmarshal([]byte(text), &doc); err != nil {
				t.Fatal(err)
			}
			for _, s := range doc.Children {
				for _, c := range s.Children {
					for _, a := range []string{"file", "line", "timestamp"} {
						if _, ok := c.attr(a); ok && c.XMLName.Local == "testcase" {
							t.Errorf("%s: a testcase has the attribute %s", name, a)
						}
					}
					if c.count("properties") > 0 {
						t.Errorf("%s: a testcase has properties", name)
					}
				}
			}
			lint(t, name, text)
		}
	}
	if _, err := ParseJUnitSchema("junit5"); err == nil {
		t.Error("junit5 is a schema")
	}
}

// lint validates a report by the schema in testdata.
func lint(t *testing.T, name, text string) {
	t.Helper()
	xmllint, err := exec.LookPath("xmllint")
	if err != nil {
		t.Log("not validated by the schema: there is no xmllint (Debian's libxml2-utils)")
		return
	}
	cmd := exec.Command(xmllint, "--noout", "--schema", filepath.Join("testdata", "jenkins.xsd"), "-")
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", name, err, out)
	}
}

// The parser that Go programs use reads what was written, in both dialects.
func TestJUnitIsReadByOthers(t *testing.T) {
	run := recordedAsRun(t, recordedRun)
	for _, schema := range []JUnitSchema{JUnitExtended, JUnitJenkins} {
		text := junitText(t, JUnitConfig{Schema: schema}, run)
		suites, err := junit.Ingest([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		var doc element
		if err := xml.Unmarshal([]byte(text), &doc); err != nil {
			t.Fatal(err)
		}
		var totals junit.Totals
		for _, s := range suites {
			s.Aggregate()
			totals.Tests += s.Totals.Tests
			totals.Failed += s.Totals.Failed
			totals.Error += s.Totals.Error
			totals.Skipped += s.Totals.Skipped
		}
		if got, want := fmt.Sprint(totals.Tests, totals.Failed, totals.Error, totals.Skipped), fmt.Sprint(doc.count("testcase"), doc.count("failure"), doc.count("error"), doc.count("skipped")); got != want || totals.Tests == 0 {
			t.Errorf("%s: tests, failures, errors, skipped are %s, want %s", schema, got, want)
		}
	}
}

// Packages are called as is asked for, in suites and in classnames; those without testcases can be
// left out; files are relative to the root of the repository.
func TestJUnitNames(t *testing.T) {
	dir, file := t.TempDir(), filepath.Join(t.TempDir(), "junit.xml")
	pkg := filepath.Join(dir, "sub", "p")
	if err := os.MkdirAll(pkg, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(pkg, "x_test.go"), []byte("package p\n\nfunc f() { t.Error(1) }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	j, err := NewJUnit(JUnitConfig{File: file, Name: "shop", Suites: ShortName, Classes: RelativeName, HideEmpty: true, Root: dir})
	if err != nil {
		t.Fatal(err)
	}
	tell := func(action, pkg, test, output string) event.Test {
		return event.Test{Event: test2json.Event{Action: action, Package: pkg, Test: test, Output: output}, Attempt: 1}
	}
	for _, e := range []event.Event{
		event.RunStarted{Workdir: filepath.Join(dir, "sub")},
		event.Collected{Dirs: map[string]string{"example.com/shop/p": pkg}},
		tell("run", "example.com/shop/p [linux/arm64]", "TestX", ""), tell("output", "example.com/shop/p [linux/arm64]", "TestX", "    x_test.go:3: 1\n"),
		tell("fail", "example.com/shop/p [linux/arm64]", "TestX", ""), tell("fail", "example.com/shop/p [linux/arm64]", "", ""),
		tell("skip", "example.com/shop/empty", "", ""),
		event.RunEnded{Summary: event.Summary{Collected: 1, Failed: 1, Counts: map[event.Verdict]int{event.Fail: 1}}},
	} {
		if err := j.Handle(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`<testsuites name="shop"`, `<testsuite name="p [linux/arm64]"`, `classname="example.com/shop/p [linux/arm64]"`, `file="sub/p/x_test.go"`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the report does not have %s", want)
		}
	}
	if n := strings.Count(string(text), "<testsuite "); n != 1 {
		t.Errorf("there are %d suites", n)
	}
}
