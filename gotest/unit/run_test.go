package unit

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/xdist-go/xdist/gotest/test2json"
)

// TestOutcome says for each way in which a process can end what the Result is.
func TestOutcome(t *testing.T) {
	t.Parallel()
	type m = map[string]string
	for _, tt := range []struct {
		name string
		unit Unit
		want outcome
	}{
		{"pass", fixture(t, "moody", "TestPass"), outcome{Items: m{"TestPass": "pass"}, Verdict: "PASS"}},
		{"fail", fixture(t, "moody", "TestFail|TestSkip"), outcome{Items: m{"TestFail": "fail", "TestSkip": "skip"}, ExitCode: 1, Failed: true, Verdict: "FAIL"}},
		{"nothing matches", fixture(t, "moody", "Nope"), outcome{Items: m{}, Verdict: "PASS"}},
		{"not run", part(fixture(t, "moody", "TestP"), "TestPass", "TestSkip"), outcome{Items: m{"TestPass": "pass", "TestSkip": "not started"}, Verdict: "PASS"}},
		{"panic", fixture(t, "moody", "^(TestPass|TestPanic|TestExit3)$"),
			outcome{Items: m{"TestPass": "pass", "TestPanic": "fail"}, ExitCode: 2, Failed: true, Culprit: "TestPanic"}},
		{"panic in subtest", fixture(t, "moody", "TestPanicInSub"), outcome{Items: m{"TestPanicInSub": "fail"}, ExitCode: 2, Failed: true, Culprit: "TestPanicInSub"}},
		{"panic in example", fixture(t, "moody", "Example_panic"), outcome{Items: m{"Example_panic": "fail"}, ExitCode: 2, Failed: true, Culprit: "Example_panic"}},
		{"panic in goroutine", fixture(t, "moody", "TestPass|TestPanicInGoroutine"),
			outcome{Items: m{"TestPass": "pass", "TestPanicInGoroutine": ""}, ExitCode: 2, Failed: true, Culprit: "TestPanicInGoroutine"}},
		{"panic in init", withEnv(part(fixture(t, "moody", ""), "TestPass"), "MOODY_INIT=panic"),
			outcome{Items: m{"TestPass": "not started"}, ExitCode: 2, Failed: true}},
		{"panic in TestMain", withEnv(fixture(t, "moody", "TestPass"), "MOODY_MAIN=panic"), outcome{Items: m{}, ExitCode: 2, Failed: true}},
		{"exit code of TestMain", withEnv(fixture(t, "moody", "TestPass"), "MOODY_MAIN=exit7"),
			outcome{Items: m{"TestPass": "pass"}, ExitCode: 7, Failed: true, Verdict: "PASS"}},
		{"exit 0", fixture(t, "moody", "TestExit0"), outcome{Items: m{"TestExit0": "fail"}, ExitCode: 2, Failed: true, Culprit: "TestExit0"}},
		{"exit 0 unseen", fixture(t, "moody", "TestRawExit0|TestPass"),
			outcome{Items: m{"TestPass": "pass", "TestRawExit0": ""}, Unfinished: "TestRawExit0"}},
		{"exit 3", fixture(t, "moody", "TestExit3"), outcome{Items: m{"TestExit3": ""}, ExitCode: 3, Failed: true, Culprit: "TestExit3"}},
		{"stdout closed by a test", fixture(t, "moody", "TestCloseBoth"), outcome{Items: m{"TestCloseBoth": ""}, Unfinished: "TestCloseBoth"}},
		{"parked neighbour", fixture(t, "moody", "TestParallelParked|TestSequentialExit"),
			outcome{Items: m{"TestParallelParked": "", "TestSequentialExit": ""}, ExitCode: 4, Failed: true, Culprit: "TestSequentialExit"}},
		{"parallel neighbours", fixture(t, "moody", "TestParallel[AB]", "-test.parallel=2"),
			outcome{Items: m{"TestParallelA": "", "TestParallelB": ""}, ExitCode: 4, Failed: true, Culprit: "TestParallelB"}},
		{"timeout of the binary", fixture(t, "moody", "TestHang$|TestPass", "-test.timeout=300ms"),
			outcome{Items: m{"TestPass": "pass", "TestHang": ""}, ExitCode: 2, Failed: true, TimedOut: true, Culprit: "TestHang"}},
		{"second round dies", fixture(t, "moody", "TestPass|TestSecondRoundExit", "-test.count=2"),
			outcome{Items: m{"TestPass": "pass", "TestSecondRoundExit": ""}, ExitCode: 3, Failed: true, Culprit: "TestSecondRoundExit"}},
		{"round missing", fixture(t, "moody", "TestPass|TestExit3", "-test.count=2"),
			outcome{Items: m{"TestPass": "", "TestExit3": ""}, ExitCode: 3, Failed: true, Culprit: "TestExit3"}},
		{"second round skips", fixture(t, "moody", "TestSecondRoundSkips", "-test.count=2"), outcome{Items: m{"TestSecondRoundSkips": "pass"}, Verdict: "PASS"}},
		{"second round fails", fixture(t, "moody", "TestSecondRoundFails", "-test.cpu=1,2"),
			outcome{Items: m{"TestSecondRoundFails": "fail"}, ExitCode: 1, Failed: true, Verdict: "FAIL"}},
		{"benchmark", fixture(t, "moody", "^$", "-test.bench=Fine", "-test.benchtime=1x"), outcome{Items: m{"BenchmarkFine": ""}, Verdict: "PASS"}},
		{"bad pattern", fixture(t, "moody", "("), outcome{Items: m{}, ExitCode: 1, Failed: true}},
		{"bad pattern, split", part(fixture(t, "moody", "("), "TestPass"), outcome{Items: m{"TestPass": "not started"}, ExitCode: -1, Failed: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rec := &recorder{}
			got := Run(t.Context(), tt.unit, rec.emit)
			if diff := cmp.Diff(tt.want, outcomeOf(got)); diff != "" {
				t.Errorf("outcome (-want +got):\n%s\nresult: %+v\nevents: %s", diff, got, dump(rec.events))
			}
		})
	}
}

func dump(events []test2json.Event) string {
	var b strings.Builder
	for _, e := range events {
		b.WriteString(e.Action + "\t" + e.Test + "\t" + e.Output)
		if !strings.HasSuffix(e.Output, "\n") {
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// TestSameAsGoTest holds the events of whole packages against `go test -json`, byte for byte but
// for times, with the exception of the package's own events, and of the last line of output.
func TestSameAsGoTest(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, pkg, run string
		args           []string // of go test, which passes them on
		env            []string
		unordered      bool
	}{
		{name: "all kinds", pkg: "plain", run: "TestA|TestB|TestOdd|TestÜber|Fuzz|Example"},
		{name: "parallel", pkg: "plain", run: "TestPar|TestOdd", unordered: true},
		{name: "rounds", pkg: "plain", run: "TestA|TestB|Fuzz|Example", args: []string{"-count=2", "-cpu=1,2"}},
		{name: "no tests", pkg: "plain", run: "Nope"},
		{name: "shuffled", pkg: "plain", run: "TestA|TestB", args: []string{"-shuffle=7"}},
		{name: "panic", pkg: "moody", run: "TestPanic$"},
		{name: "exit", pkg: "moody", run: "TestExit3"},
		{name: "silent exit", pkg: "moody", run: "TestPass", env: []string{"MOODY_MAIN=silent"}},
		{name: "unended output of TestMain", pkg: "moody", run: "TestPass", env: []string{"MOODY_MAIN=unended"}},
		{name: "unended output of a failure", pkg: "moody", run: "TestFail", env: []string{"MOODY_MAIN=unended"}},
		{name: "unended output of a test", pkg: "moody", run: "TestUnended"},
		{name: "noise", pkg: "moody", run: "TestPass|TestPrints", env: []string{"MOODY_MAIN=noise"}},
		{name: "killed", pkg: "moody", run: "TestKillSelf"},
		{name: "binary", pkg: "moody", run: "TestBinary|TestLongLine"},
		{name: "bench", pkg: "moody", run: "TestFail", args: []string{"-bench=Nope"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			u := withEnv(fixture(t, tt.pkg, tt.run), tt.env...)
			for _, arg := range tt.args {
				u.Args = append(u.Args, "-test."+arg[1:])
			}
			rec := &recorder{}
			res := Run(t.Context(), u, rec.emit)
			want, ok := goTest(t, u.Dir, tt.run, tt.args, tt.env)
			if tt.unordered {
				byTest := func(a, b test2json.Event) int { return strings.Compare(a.Test, b.Test) }
				slices.SortStableFunc(want, byTest)
				slices.SortStableFunc(rec.events, byTest)
			}
			if diff := cmp.Diff(timeless(want), timeless(rec.events)); diff != "" {
				t.Errorf("events (-go test +Run):\n%s", diff)
			}
			if res.Failed == ok {
				t.Errorf("Failed is %v, go test's success %v", res.Failed, ok)
			}
		})
	}
}

// goTest returns the events of `go test -json` without those of the package as a whole, and whether
// the package passed.
func goTest(t *testing.T, dir, run string, args, env []string) (events []test2json.Event, ok bool) {
	t.Helper()
	cmd := exec.Command("go", append([]string{"test", "-json", "-vet=off", "-count=1", "-timeout=1m", "-run=" + run, "."}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off", "PWD="+dir)
	cmd.Env = append(cmd.Env, env...)
	out, err := cmd.Output()
	if _, exit := err.(*exec.ExitError); err != nil && !exit {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		var e test2json.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("go test wrote %q: %v", line, err)
		}
		switch {
		case e.Test == "" && (e.Action == test2json.ActionStart || e.Terminal()):
			ok = e.Action == test2json.ActionPass
		case e.Action == test2json.ActionOutput && (strings.HasPrefix(e.Output, "ok  \t"+e.Package) || strings.HasPrefix(e.Output, "FAIL\t"+e.Package)):
		default:
			events = append(events, e)
		}
	}
	return events, ok
}

// timeless returns events without what differs from run to run.
func timeless(events []test2json.Event) []test2json.Event {
	var out []test2json.Event
	for _, e := range events {
		e.Time = time.Time{}
		if e.Elapsed != nil {
			e.Elapsed = new(0.0)
		}
		e.Output = volatile(e.Output)
		out = append(out, e)
	}
	return out
}

// volatile replaces numbers in what a panic prints, and the times of reports.
func volatile(s string) string {
	if i := strings.LastIndex(s, " ("); i >= 0 && strings.HasSuffix(s, "s)\n") {
		return s[:i] + " (T)\n"
	}
	for _, mark := range []string{"goroutine ", "\t/", "testing.", "fixture.test/", "panic("} {
		if strings.HasPrefix(s, mark) {
			return mark + "…\n"
		}
	}
	return s
}

// TestEnvironment shows what the process is given.
func TestEnvironment(t *testing.T) {
	t.Parallel()
	rec := &recorder{}
	u := part(withEnv(fixture(t, "moody", "Test"), "MOODY_EXTRA=old", "MOODY_EXTRA=new"), "TestEnv")
	u.Args = append(u.Args, "positional", "-test.run=not a flag")
	if res := Run(t.Context(), u, rec.emit); res.Failed {
		t.Fatalf("%+v", res)
	}
	want := "dir=" + u.Dir + " pwd=" + u.Dir + ` extra=new stdin=0,EOF args=["-test.paniconexit0" "-test.v=test2json" "-test.timeout=1m0s" "-test.run=^TestEnv$" "positional" "-test.run=not a flag"]`
	if got := rec.output("TestEnv"); !strings.Contains(got, want) {
		t.Errorf("the test saw\n%s\nwant\n%s", got, want)
	}
}

// TestHeldBack shows which package lines of a part of a package are held back, and which are not.
func TestHeldBack(t *testing.T) {
	t.Parallel()
	rec := &recorder{}
	u := part(withEnv(fixture(t, "moody", "", "-test.shuffle=3"), "MOODY_MAIN=noise"), "TestPass", "TestPrints")
	res := Run(t.Context(), u, rec.emit)
	if got, want := rec.output(""), "main says hello\nmain says good-bye\n"; got != want {
		t.Errorf("package output %q, want %q", got, want)
	}
	if got, want := rec.output("TestPrints"), "PASS\ncoverage: 99.9% of nothing\non stderr\n"; !strings.Contains(got, want) {
		t.Errorf("TestPrints has output %q, want %q in it", got, want)
	}
	if res.Verdict != "PASS" || res.Shuffle != "-test.shuffle 3" || res.Coverage != "" || res.Failed {
		t.Errorf("result %+v", res)
	}

	rec = &recorder{}
	res = Run(t.Context(), part(fixture(t, "moody", ""), "TestNope"), rec.emit)
	if len(rec.events) > 0 || !res.NoTests || res.Suffix != " [no tests to run]" {
		t.Errorf("events %v, result %+v, want no events, NoTests", rec.events, res)
	}
}

// TestNotStarted shows that a process that cannot be started is an answer with a reason, in the
// stream too.
func TestNotStarted(t *testing.T) {
	t.Parallel()
	missing := fixture(t, "moody", "")
	missing.Binary = filepath.Join(t.TempDir(), "missing.test")
	nowhere := fixture(t, "moody", "")
	nowhere.Dir = filepath.Join(t.TempDir(), "nowhere")
	wrapper := fixture(t, "moody", "")
	wrapper.Exec = []string{"no-such-wrapper"}
	for name, u := range map[string]Unit{"missing.test": missing, "nowhere": nowhere, "no-such-wrapper": wrapper} {
		u = part(u, "TestPass")
		rec := &recorder{}
		res := Run(t.Context(), u, rec.emit)
		if res.Started || !res.Failed || res.ExitCode != -1 || res.Culprit != "" || res.Items["TestPass"].Started {
			t.Errorf("%s: result %+v", name, res)
		}
		if !strings.Contains(res.Err, name) || !strings.Contains(rec.output(""), name) {
			t.Errorf("%s: error %q, output %q, want its name in both", name, res.Err, rec.output(""))
		}
	}
}

// TestCancelledBefore shows that nothing is started when ctx has ended.
func TestCancelledBefore(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	rec := &recorder{}
	res := Run(ctx, part(fixture(t, "moody", ""), "TestPass"), rec.emit)
	if res.Started || !res.Interrupted || !res.Failed || len(rec.events) > 0 {
		t.Errorf("result %+v, events %v", res, rec.events)
	}
}

// TestMuchOutput shows that all of 100 MB arrives while batches and memory stay bounded.
func TestMuchOutput(t *testing.T) {
	const mostHeap = 64 << 20
	var total, batches, largest int
	var heap uint64
	u := fixture(t, "moody", "TestManyBytes")
	res := Run(t.Context(), u, func(events []test2json.Event) {
		if batches++; batches%50 == 0 {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			heap = max(heap, m.HeapAlloc)
		}
		size := 0
		for _, e := range events {
			size += len(e.Output)
		}
		total += size
		largest = max(largest, size)
	})
	if res.Failed || total < 100e6 {
		t.Errorf("%d bytes, result %+v", total, res)
	}
	if largest > maxBatchBytes+1024 {
		t.Errorf("a batch has %d bytes of output, more than %d", largest, maxBatchBytes)
	}
	if heap > mostHeap {
		t.Errorf("the heap grew to %d bytes, more than %d", heap, mostHeap)
	}
	t.Logf("%d bytes in %d batches", total, batches)
}

// TestLongLine shows that a line of 1 MiB arrives whole, in parts.
func TestLongLine(t *testing.T) {
	t.Parallel()
	rec := &recorder{}
	res := Run(t.Context(), fixture(t, "moody", "TestLongLine"), rec.emit)
	if got := rec.output("TestLongLine"); res.Failed || !strings.Contains(got, strings.Repeat("y", 1<<20)+"\n") {
		t.Errorf("result %+v, %d bytes of output", res, len(got))
	}
}
