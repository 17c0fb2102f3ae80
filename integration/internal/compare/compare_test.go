package compare

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// ev is one event as the tests write it: action, test and text, of package example.com/p.
func ev(action, test, text string) string {
	e := map[string]any{"Time": "2026-01-02T03:04:05Z", "Action": action, "Package": "example.com/p"}
	if test != "" {
		e["Test"] = test
	}
	if action == "output" {
		e["Output"] = text
	} else if text != "" {
		e["Elapsed"] = json.Number(text)
	}
	b, err := json.Marshal(e)
	if err != nil {
		panic(err)
	}
	return string(b) + "\n"
}

func testOf(name, outcome, output string) string {
	word := strings.ToUpper(outcome)
	return ev("run", name, "") + ev("output", name, "=== RUN   "+name+"\n") + ev("output", name, output) +
		ev("output", name, fmt.Sprintf("--- %s: %s (0.00s)\n", word, name)) + ev(outcome, name, "0.001")
}

func stream(parts ...string) string { return strings.Join(parts, "") }

var (
	start   = ev("start", "", "")
	noise   = ev("output", "", "noise of TestMain\n")
	passing = ev("output", "", "PASS\n") + ev("output", "", "ok  \texample.com/p\t0.003s\n") + ev("pass", "", "0.004")
	failing = ev("output", "", "FAIL\n") + ev("output", "", "FAIL\texample.com/p\t0.003s\n") + ev("fail", "", "0.004")
	dies    = ev("output", "", "FAIL\texample.com/p\t0.003s\n") + ev("fail", "", "0.004")
	good    = stream(start, noise, testOf("TestA", "pass", "a\n"), testOf("TestB", "pass", "b\n"), passing)
)

func read(t *testing.T, s string) *Model {
	t.Helper()
	m, err := Read(strings.NewReader(s))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// kinds are the tests and kinds of the differences, without the positions in addText's.
func kinds(diffs []Difference) []string {
	var out []string
	for _, d := range diffs {
		what, _, _ := strings.Cut(d.What, " (at byte")
		out = append(out, strings.TrimPrefix(d.Test+" ", " ")+what)
	}
	return out
}

func TestCompare(t *testing.T) {
	panicking := "a\npanic: boom\n\ngoroutine 7 [running]:\nexample.com/p.TestB(0xc000)\n\t/x/p_test.go:9 +0x1b\n"
	crash := stream(start, testOf("TestA", "pass", ""), ev("run", "TestB", ""), ev("output", "TestB", panicking), dies)
	blamed := stream(start, testOf("TestA", "pass", ""), ev("run", "TestB", ""), ev("output", "TestB", "--- FAIL: TestB (0.00s)\n"+panicking), ev("fail", "TestB", "0"), dies)
	twoRunning := stream(start, ev("run", "TestA", ""), ev("run", "TestB", ""), dies)
	// Two parallel tests of which one panics: the runtime's text is taken for the output of either.
	parallel := func(told string, failed string) string {
		begin := stream(start, ev("run", "TestA", ""), ev("pause", "TestA", ""), ev("run", "TestB", ""), ev("pause", "TestB", ""), ev("cont", "TestA", ""), ev("cont", "TestB", ""))
		ends := map[string]string{"TestA": ev("pass", "TestA", "0"), "TestB": ev(failed, "TestB", "0")}
		return begin + ev("output", told, panicking[2:]) + ends["TestA"] + ends["TestB"] + dies
	}
	alone := strings.NewReplacer(ev("pause", "TestA", ""), "", ev("cont", "TestA", ""), "")
	broken := `{"ImportPath":"example.com/p","Action":"build-output","Output":"# example.com/p\n"}` + "\n" +
		`{"ImportPath":"example.com/p","Action":"build-output","Output":"p.go:1: bad\n"}` + "\n" + `{"ImportPath":"example.com/p","Action":"build-fail"}` + "\n"
	brokenEnd := start + ev("output", "", "FAIL\texample.com/p [build failed]\n") + `{"Action":"fail","Package":"example.com/p","FailedBuild":"example.com/p"}` + "\n"
	subs := stream(start, testOf("TestA", "pass", ""), testOf("TestA/x", "pass", ""), passing)

	for _, c := range []struct {
		name      string
		want, got string
		depth     Depth
		diffs     []string
	}{
		{"the same", good, good, Whole, nil},
		{"times differ", good, strings.NewReplacer("0.00s", "1.25s", "0.003s", "12.3s", "03:04", "05:06").Replace(good), Whole, nil},
		{"another outcome", good, stream(start, noise, testOf("TestA", "pass", "a\n"), testOf("TestB", "fail", "b\n"), passing), Verdicts, []string{"TestB outcome"}},
		{"pass became skip", good, strings.Replace(good, ev("pass", "TestA", "0.001"), ev("skip", "TestA", "0.001"), 1), Verdicts, []string{"TestA outcome"}},
		{"a lost test", good, stream(start, noise, testOf("TestA", "pass", "a\n"), passing), Verdicts, []string{"TestB outcome"}},
		{"a lost test, in full", good, stream(start, noise, testOf("TestA", "pass", "a\n"), passing), Split, []string{"TestB outcome", "TestB in the stream"}},
		{"an invented test", good, stream(start, noise, testOf("TestA", "pass", "a\n"), testOf("TestB", "pass", "b\n"), testOf("TestC", "pass", ""), passing), Verdicts, []string{"TestC outcome"}},
		{"a lost subtest", subs, stream(start, testOf("TestA", "pass", ""), passing), Verdicts, []string{"TestA/x outcome"}},
		{"a test without an end", good, strings.Replace(good, ev("pass", "TestA", "0.001"), "", 1), Verdicts, []string{"TestA outcome"}},
		{"twice the verdict", good, strings.Replace(good, ev("pass", "TestA", "0.001"), ev("pass", "TestA", "0.001")+ev("pass", "TestA", "0.001"), 1), Verdicts, []string{"stream", "TestA outcome"}},
		{"a run too many", good, strings.Replace(good, testOf("TestA", "pass", "a\n"), testOf("TestA", "pass", "a\n")+testOf("TestA", "pass", "a\n"), 1), Split, []string{"TestA outcome", "TestA actions", "TestA output"}},
		{"a lost package", good, "", Verdicts, []string{"package"}},
		{"an invented package", "", good, Verdicts, []string{"package"}},
		{"the package's outcome", good, stream(start, noise, testOf("TestA", "pass", "a\n"), testOf("TestB", "pass", "b\n"), failing), Verdicts, []string{"outcome"}},
		{"output at another test", good, stream(start, noise, testOf("TestA", "pass", "b\n"), testOf("TestB", "pass", "a\n"), passing), Split, []string{"TestA output", "TestB output"}},
		{"outputs are not verdicts", good, stream(start, testOf("TestA", "pass", "b\n"), testOf("TestB", "pass", "a\n"), passing), Verdicts, nil},
		{"a lost byte of output", good, strings.Replace(good, `"a\n"`, `"\n"`, 1), Split, []string{"TestA output"}},
		{"a lost pause", strings.Replace(good, ev("pass", "TestA", "0.001"), ev("pause", "TestA", "")+ev("pass", "TestA", "0.001"), 1), good, Split, []string{"TestA actions"}},
		{"noise repeated in a split package", good, stream(start, noise, testOf("TestA", "pass", "a\n"), noise, testOf("TestB", "pass", "b\n"), passing), Split, nil},
		{"noise repeated in an unsplit package", good, stream(start, noise, testOf("TestA", "pass", "a\n"), noise, testOf("TestB", "pass", "b\n"), passing), Whole, []string{"output"}},
		{"noise lost", good, strings.Replace(good, noise, "", 1), Split, []string{"lines lost from the package's output"}},
		{"two ok lines", good, strings.Replace(good, passing, ev("output", "", "ok  \texample.com/p\t0.003s\n")+passing, 1), Split, []string{"framing lines"}},
		{"no PASS line", good, strings.Replace(good, ev("output", "", "PASS\n"), "", 1), Split, []string{"framing lines"}},
		{"two coverage lines", good, strings.Replace(good, passing, strings.Repeat(ev("output", "", "coverage: 1.0% of statements\n"), 2)+passing, 1), Split, []string{"framing lines"}},
		{"two package starts", good, start + good, Verdicts, []string{"stream"}},
		{"two package ends", good, good + ev("pass", "", "1"), Verdicts, []string{"stream", "stream"}},
		{"event after the end", good, good + ev("output", "TestA", "late\n"), Verdicts, []string{"stream"}},
		{"a line of no JSON", good, good + "xdist: hello\n", Verdicts, []string{"stream"}},

		{"a crash as it is", crash, crash, Split, []string{"TestB outcome of the test that ended the process"}},
		{"a crash blamed", crash, strings.Replace(crash, dies, ev("output", "TestB", "crashed while running\n")+ev("fail", "TestB", "0")+dies, 1), Split, nil},
		{"a crash passed over", crash, strings.Replace(crash, dies, ev("pass", "TestB", "0")+dies, 1), Split, []string{"TestB outcome of the test that ended the process"}},
		{"after the crash anything goes", crash, stream(start, testOf("TestA", "pass", ""), ev("run", "TestB", ""), ev("output", "TestB", panicking), ev("fail", "TestB", "0"), testOf("TestC", "fail", ""), dies), Split, nil},
		{"before the crash it does not", crash, stream(start, testOf("TestA", "fail", ""), ev("run", "TestB", ""), ev("output", "TestB", panicking), ev("fail", "TestB", "0"), dies), Split, []string{"TestA outcome", "TestA actions", "TestA output"}},
		{"a crash without its text", crash, stream(start, testOf("TestA", "pass", ""), ev("run", "TestB", ""), ev("fail", "TestB", "0"), dies), Split, []string{"TestB output of the test that ended the process"}},
		{"a crash that passed the package", crash, stream(start, testOf("TestA", "pass", ""), ev("run", "TestB", ""), ev("output", "TestB", panicking), ev("fail", "TestB", "0"), passing), Verdicts, []string{"outcome"}},
		{"a blamed test", blamed, blamed, Split, nil},
		{"a blamed test that passed", blamed, strings.Replace(blamed, ev("fail", "TestB", "0"), ev("pass", "TestB", "0"), 1), Split, []string{"TestB outcome of the test that ended the process"}},
		{"two suspects, one failed", twoRunning, strings.Replace(twoRunning, dies, ev("fail", "TestB", "0")+ev("pass", "TestA", "0")+dies, 1), Split, nil},
		{"two suspects, none failed", twoRunning, strings.Replace(twoRunning, dies, ev("pass", "TestB", "0")+ev("pass", "TestA", "0")+dies, 1), Split, []string{"TestA or TestB outcome of the test that ended the process"}},
		{"a parallel crash told by its neighbour", parallel("TestB", "fail"), parallel("TestA", "fail"), Split, nil},
		{"a parallel crash told by its neighbour there", parallel("TestA", "fail"), parallel("TestB", "fail"), Split, nil},
		{"a parallel crash told by its neighbour, passed over", parallel("TestA", "fail"), parallel("TestB", "pass"), Split, []string{"TestB outcome", "TestB actions"}},
		{"a crash told by a test that is not parallel", alone.Replace(parallel("TestB", "fail")), alone.Replace(parallel("TestA", "fail")), Split, []string{"TestA output", "TestB output of the test that ended the process"}},
		{"no rule for a package that failed properly", stream(start, testOf("TestA", "fail", ""), failing), stream(start, testOf("TestA", "fail", ""), testOf("TestB", "pass", ""), failing), Verdicts, []string{"TestB outcome"}},

		{"a build failure", broken + brokenEnd, broken + brokenEnd, Whole, nil},
		{"a build failure told twice by go", broken + broken + brokenEnd, broken + brokenEnd, Whole, nil},
		{"a build failure told twice by us", broken + brokenEnd, broken + broken + brokenEnd, Whole, []string{"lines of build output"}},
		{"a build failure's text", broken + brokenEnd, strings.Replace(broken, "bad", "worse", 1) + brokenEnd, Whole, []string{"build output"}},
		{"a build failure that became a test failure", broken + brokenEnd, broken + stream(start, dies), Verdicts, []string{"failed build"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := kinds(Compare(read(t, c.want), read(t, c.got), c.depth, Normal{}))
			if !slices.Equal(got, c.diffs) {
				t.Errorf("got %q, want %q", got, c.diffs)
			}
		})
	}
}

// A test that closes standard output makes `go test -json` lose the end of its package.
func TestLostEnd(t *testing.T) {
	want := stream(start, testOf("TestA", "pass", ""), ev("run", "TestB", ""), ev("output", "TestB", "ok  \texample.com/p\t0.003s\n"), ev("pass", "TestB", "0.1"))
	got := stream(start, testOf("TestA", "pass", ""), testOf("TestB", "pass", ""), passing)
	if diffs := Compare(read(t, want), read(t, got), Whole, Normal{}); len(diffs) > 0 {
		t.Errorf("%v", diffs)
	}
	bad := strings.Replace(got, passing, failing, 1)
	if diffs := kinds(Compare(read(t, want), read(t, bad), Whole, Normal{})); !slices.Equal(diffs, []string{"outcome"}) {
		t.Errorf("got %q", diffs)
	}
}

func TestUnreached(t *testing.T) {
	crash := read(t, stream(start, testOf("TestA", "pass", ""), ev("run", "TestB", ""), dies))
	all := read(t, stream(start, testOf("TestA", "pass", ""), testOf("TestB", "fail", ""), testOf("TestC", "pass", ""), failing))
	if got := Unreached(crash, all)["example.com/p"]; !slices.Equal(got, []string{"TestB", "TestC"}) {
		t.Errorf("got %q", got)
	}
	if got := Unreached(all, all); len(got) > 0 {
		t.Errorf("got %q without a crash", got)
	}
}

func TestVerdict(t *testing.T) {
	buildFailed := start + ev("output", "", "FAIL\texample.com/p [setup failed]\n") + ev("fail", "", "0")
	for _, c := range []struct {
		stream string
		want   Verdict
	}{
		{"", Passed},
		{good, Passed},
		{stream(start, testOf("TestA", "fail", ""), failing), TestsFailed},
		{buildFailed, BuildFailed},
		{buildFailed + strings.ReplaceAll(stream(start, dies), "com/p", "com/q"), TestsFailed},
		{buildFailed + strings.ReplaceAll(good, "com/p", "com/q"), BuildFailed},
	} {
		if got := read(t, c.stream).Verdict(); got != c.want {
			t.Errorf("got %s, want %s: %s", got, c.want, c.stream)
		}
	}
}

func TestNormalText(t *testing.T) {
	n := Normal{Temp: []string{"/tmp/x"}}
	for _, c := range []struct{ in, want string }{
		{"--- PASS: TestA (12.34s)\n", "--- PASS: TestA (T)\n"},
		{"\t\tTestHangs (2s)\n", "\t\tTestHangs (T)\n"},
		{"took 2s\n", "took 2s\n"},
		{"ok  \tp\t0.003s\n", "ok  \tp\tT\n"},
		{"ok  \tp\t0.003s\tcoverage: 50.0% of statements\n", "ok  \tp\tT\tcoverage: 50.0% of statements\n"},
		{"dir /tmp/x/TestA123/001, then\n", "dir <tmp>, then\n"},
		{"/tmp/xyz/1\n", "/tmp/xyz/1\n"},
		{"BenchmarkQuick-2   \t 100\t 12 ns/op\n", "BenchmarkQuick-2 figures\n"},
		{"panic: x\n\ngoroutine 7 [running]:\nf(0x1)\n\t/p.go:1 +0x2\n\ngoroutine 9 [select]:\ng()\n\t/p.go:2\ncreated by h in goroutine 7\n\t/p.go:3\nexit status 2\n", "panic: x\n\n<goroutine dump>\nexit status 2\n"},
		{"goroutine 7 [running]:\nf()\n--- FAIL: TestA (0.00s)\n", "<goroutine dump>\n--- FAIL: TestA (T)\n"},
		{"==================\nWARNING: DATA RACE\nRead at 0x1 by goroutine 8:\n==================\nnext\n", "<report of a data race>\nnext\n"},
	} {
		if got := n.Text(c.in); got != c.want {
			t.Errorf("Text(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(good)
	f.Add(strings.Replace(good, "pass", "fail", 3))
	f.Add("{}\n\x00")
	f.Fuzz(func(t *testing.T, s string) {
		m, err := Read(strings.NewReader(s))
		if err != nil {
			t.Fatal(err)
		}
		m.Problems = nil
		if diffs := Compare(m, m, Verdicts, Normal{}); len(diffs) > 0 && !anyCrash(m) {
			t.Fatalf("a stream differs from itself: %v", diffs)
		}
	})
}

func anyCrash(m *Model) bool {
	for _, p := range m.Packages {
		if p.crashed() {
			return true
		}
	}
	return false
}
