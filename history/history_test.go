package history

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	module  = "example.com/m"
	pkg     = "example.com/m/p"
	linux   = "linux/amd64"
	windows = "windows/amd64"
)

var day0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// aRun is the n-th run, an hour after the one before, with the tests given.
func aRun(n int, tests ...TestRun) Run {
	run := Run{ID: fmt.Sprintf("run%d", n), Time: day0.Add(time.Duration(n) * time.Hour), Elapsed: time.Second}
	for _, t := range tests {
		if t.Platform == "" {
			t.Platform = linux
		}
		if t.Package == "" {
			t.Package = pkg
		}
		if t.Verdict == "" {
			t.Verdict = Pass
		}
		run.Tests = append(run.Tests, t)
	}
	return run
}

func took(test string, ms int) TestRun {
	return TestRun{Test: test, Elapsed: time.Duration(ms) * time.Millisecond}
}

func record(t *testing.T, dir string, runs ...Run) {
	t.Helper()
	for _, run := range runs {
		if err := Record(dir, module, run); err != nil {
			t.Fatal(err)
		}
	}
}

func opened(t *testing.T, dir string) *Book {
	t.Helper()
	b, err := Open(dir, module)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func cost(b *Book, platform, test string) time.Duration {
	k, ok := b.Test(platform, pkg, test)
	if !ok {
		return -1
	}
	return k.Cost
}

func TestRecordedIsKnown(t *testing.T) {
	dir := t.TempDir()
	if b := opened(t, dir); cost(b, linux, "TestA") != -1 || len(b.Runs()) != 0 {
		t.Error("an empty book knows something")
	}
	run := aRun(1, took("TestA", 100), took("TestA/sub", 60), took("TestB", 300))
	run.Packages = []PackageRun{{Platform: linux, Package: pkg, Process: 7 * time.Millisecond}}
	run.Hosts = []HostRun{{Name: "h", Start: 3 * time.Millisecond, Link: 1e6}}
	record(t, dir, run)
	b := opened(t, dir)
	k, ok := b.Test(linux, pkg, "TestA")
	want := Known{Cost: 100 * time.Millisecond, Runs: 1, LastSeen: time.Unix(run.Time.Unix(), 0)}
	if diff := cmp.Diff(want, k); !ok || diff != "" {
		t.Errorf("TestA: %v\n%s", ok, diff)
	}
	if diff := cmp.Diff(PackageKnown{ProcessCost: 7 * time.Millisecond, MeanCost: 200 * time.Millisecond, Tests: 2}, b.Package(linux, pkg)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(HostKnown{Speed: 1, Start: 3 * time.Millisecond, Link: 1e6}, b.Host("h")); diff != "" {
		t.Error(diff)
	}
	if runs := b.Runs(); len(runs) != 1 || runs[0].Tests != 2 || runs[0].Total != 400*time.Millisecond {
		t.Errorf("runs: %+v", runs)
	}
	if other, err := Open(dir, module+"/v2"); err != nil || cost(other, linux, "TestA") != -1 {
		t.Errorf("another module's book knows it, or %v", err)
	}
}

func TestNilBookKnowsNothing(t *testing.T) {
	var b *Book
	b.Learn(aRun(1, took("TestA", 1)))
	if _, ok := b.Test(linux, pkg, "TestA"); ok || b.Record(aRun(1)) != nil || b.Host("h").Speed != 1 || b.Package(linux, pkg) != (PackageKnown{}) {
		t.Error("it does")
	}
	if _, ok := b.Tree(linux, pkg, "TestA"); ok || b.Runs() != nil || b.Tests() != nil {
		t.Error("it does")
	}
}

func TestEstimate(t *testing.T) {
	for _, c := range []struct {
		name string
		ms   []int // oldest first
		want int
	}{
		{"one", []int{10}, 10},
		{"of two the newer", []int{10, 30}, 30},
		{"an outlier does not move it", []int{10, 10, 10, 10, 900}, 10},
		{"nor do two in ten", []int{10, 10, 10, 10, 10, 10, 10, 10, 900, 900}, 10},
		{"three at another level do", []int{10, 10, 10, 10, 10, 10, 10, 40, 40, 40}, 40},
		{"what was long ago is forgotten", []int{900, 900, 900, 900, 900, 900, 900, 900, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10}, 10},
	} {
		b := &Book{}
		for i, ms := range c.ms {
			b.Learn(aRun(i, took("TestA", ms)))
		}
		if got := cost(b, linux, "TestA"); got != time.Duration(c.want)*time.Millisecond {
			t.Errorf("%s: %v, want %d ms", c.name, got, c.want)
		}
	}
	b := &Book{}
	for i, ms := range []int{10, 12, 8, 10, 14} {
		b.Learn(aRun(i, took("TestA", ms)))
	}
	if k, _ := b.Test(linux, pkg, "TestA"); k.Spread < time.Millisecond || k.Spread > 6*time.Millisecond {
		t.Errorf("spread is %v", k.Spread)
	}
}

func TestFailuresTeachNoDurations(t *testing.T) {
	fails := func(v Verdict, ms int) TestRun {
		r := took("TestA", ms)
		r.Verdict = v
		return r
	}
	b := &Book{}
	b.Learn(aRun(0, fails(Crash, 900)))
	if got := cost(b, linux, "TestA"); got != -1 {
		t.Errorf("after a crash: %v", got)
	}
	b.Learn(aRun(1, fails(Fail, 500)))
	if got := cost(b, linux, "TestA"); got != 500*time.Millisecond {
		t.Errorf("after a failure: %v", got)
	}
	b.Learn(aRun(2, fails(Pass, 10)))
	b.Learn(aRun(3, fails(Fail, 800)))
	b.Learn(aRun(4, fails(Fail, 800)))
	if got := cost(b, linux, "TestA"); got != 10*time.Millisecond {
		t.Errorf("after a pass and failures: %v", got)
	}
}

func TestFlaky(t *testing.T) {
	verdict := func(n int, key string, v Verdict, failures int) Run {
		run := aRun(n, TestRun{Test: "TestA", Verdict: v, Failures: failures, Elapsed: time.Millisecond})
		run.Packages = []PackageRun{{Platform: linux, Package: pkg, Key: key}}
		return run
	}
	for _, c := range []struct {
		name string
		runs []Run
		want bool
	}{
		{"broken and mended", []Run{verdict(1, "a", Pass, 0), verdict(2, "b", Fail, 1), verdict(3, "c", Pass, 0)}, false},
		{"one binary, two verdicts", []Run{verdict(1, "a", Pass, 0), verdict(2, "a", Fail, 1)}, true},
		{"unknown binaries", []Run{verdict(1, "", Pass, 0), verdict(2, "", Fail, 1)}, false},
		{"two verdicts in a run", []Run{verdict(1, "", Pass, 1)}, true},
	} {
		b := &Book{}
		for _, run := range c.runs {
			b.Learn(run)
		}
		if k, _ := b.Test(linux, pkg, "TestA"); k.Flaky != c.want {
			t.Errorf("%s: flaky is %v", c.name, k.Flaky)
		}
	}
}

func TestAnotherPlatformsWord(t *testing.T) {
	b := &Book{}
	b.Learn(aRun(1, took("TestA", 10), took("TestB", 10)))
	slow := took("TestA", 50)
	slow.Platform = windows
	b.Learn(aRun(2, slow))
	for platform, want := range map[string]time.Duration{linux: 10, windows: 50, "darwin/arm64": 50} {
		if got := cost(b, platform, "TestA"); got != want*time.Millisecond {
			t.Errorf("%s: %v, want %v", platform, got, want*time.Millisecond)
		}
	}
	if got := cost(b, windows, "TestB"); got != 10*time.Millisecond {
		t.Errorf("TestB on windows: %v", got)
	}
	if k := b.Package("darwin/arm64", pkg); k.Tests != 1 || k.MeanCost != 50*time.Millisecond {
		t.Errorf("package on darwin: %+v", k)
	}
}

// What was seen under other conditions stands in for what was not seen under these, and is not
// mixed with it.
func TestConditions(t *testing.T) {
	dir := t.TempDir()
	record(t, dir, aRun(1, took("TestA", 10_000), took("TestB", 3000)))
	short := opened(t, dir)
	short.Conditions = "-short"
	if got := cost(short, linux, "TestA"); got != 10*time.Second {
		t.Errorf("before the first run with -short TestA is taken to last %v", got)
	}
	run := aRun(2, took("TestA", 10))
	run.Lessons = []Lesson{{Platform: linux, Package: pkg, Test: "TestA", Kind: Indivisible}}
	if err := short.Record(run); err != nil {
		t.Fatal(err)
	}
	again, full := opened(t, dir), opened(t, dir)
	again.Conditions = "-short"
	for _, tt := range []struct {
		book *Book
		test string
		want time.Duration
	}{{short, "TestA", 10 * time.Millisecond}, {again, "TestA", 10 * time.Millisecond}, {again, "TestB", 3 * time.Second}, {full, "TestA", 10 * time.Second}} {
		if got := cost(tt.book, linux, tt.test); got != tt.want {
			t.Errorf("with %q %s is taken to last %v, want %v", tt.book.Conditions, tt.test, got, tt.want)
		}
	}
	if k, _ := full.Test(linux, pkg, "TestA"); k.Indivisible {
		t.Error("a lesson with -short holds without")
	}
	if k, _ := again.Test(linux, pkg, "TestA"); !k.Indivisible {
		t.Error("a lesson with -short is forgotten")
	}
}

func TestTree(t *testing.T) {
	b := &Book{}
	first := aRun(1, took("TestA", 100), took("TestA/x", 60), took("TestA/x/1", 40), took("TestA/x-1", 5), took("TestA/y/z", 20), took("TestA/once", 3), took("TestAB/no", 1))
	b.Learn(first)
	want := Tree{Name: "TestA", Cost: 100 * time.Millisecond, Subtests: []Tree{
		{Name: "once", Cost: 3 * time.Millisecond},
		{Name: "x", Cost: 60 * time.Millisecond, Subtests: []Tree{{Name: "1", Cost: 40 * time.Millisecond}}},
		{Name: "x-1", Cost: 5 * time.Millisecond},
		{Name: "y/z", Cost: 20 * time.Millisecond},
	}}
	check := func(when string) {
		t.Helper()
		got, ok := b.Tree(linux, pkg, "TestA")
		if diff := cmp.Diff(want, got); !ok || diff != "" {
			t.Errorf("%s: %v\n%s", when, ok, diff)
		}
	}
	check("after one run")
	second := aRun(2, took("TestA", 100), took("TestA/x", 60), took("TestA/x/1", 40), took("TestA/x-1", 5), took("TestA/y/z", 20), took("TestA/twice", 3))
	b.Learn(second)
	want.Subtests = want.Subtests[1:]
	check("after one was seen once, and another has come")
	if _, ok := b.Test(linux, pkg, "TestA/once"); ok {
		t.Error("a subtest that came once is kept")
	}
	failed := aRun(3, took("TestA", 1))
	failed.Tests[0].Verdict = Fail
	b.Learn(failed)
	check("after a failure")
	partial := aRun(4, took("TestA", 100), took("TestA/x", 60))
	partial.Partial = true
	partial.Tests[1].Verdict = Skip
	b.Learn(partial)
	want.Subtests[0].Skipped = true
	check("after a run of some, with one that was skipped")
	want.Subtests[0].Skipped = false
	b.Learn(aRun(5, took("TestA", 100), took("TestA/x", 60), took("TestA/x/1", 40), took("TestA/y/z", 20)))
	want.Subtests = []Tree{want.Subtests[0], want.Subtests[2]}
	check("after one has gone")
	if _, ok := b.Tree(linux, pkg, "TestB"); ok {
		t.Error("there is a TestB")
	}
}

func TestLessonHoldsUntilThePackageChanges(t *testing.T) {
	dir := t.TempDir()
	run := aRun(1, took("TestA", 10), took("TestA/x", 10))
	run.Packages = []PackageRun{{Platform: linux, Package: pkg, Key: "k1"}}
	run.Lessons = []Lesson{
		{Platform: linux, Package: pkg, Kind: Serial, Until: "k1"},
		{Platform: linux, Package: pkg, Test: "TestA", Kind: Indivisible, Until: "k1"},
	}
	record(t, dir, run)
	again := aRun(2, took("TestA", 10))
	again.Packages = run.Packages
	record(t, dir, again)
	b := opened(t, dir)
	if k := b.Package(linux, pkg); !k.Serial || k.SerialUntil != "k1" {
		t.Errorf("package: %+v", k)
	}
	if k, _ := b.Test(linux, pkg, "TestA"); !k.Indivisible || k.Until != "k1" {
		t.Errorf("test: %+v", k)
	}
	changed := aRun(3, took("TestA", 10))
	changed.Packages = []PackageRun{{Platform: linux, Package: pkg, Key: "k2"}}
	record(t, dir, changed)
	b = opened(t, dir)
	k, _ := b.Test(linux, pkg, "TestA")
	if b.Package(linux, pkg).Serial || k.Indivisible {
		t.Errorf("after a change: %+v, %+v", b.Package(linux, pkg), k)
	}
}

func TestHostSpeeds(t *testing.T) {
	b := &Book{}
	hosts := []HostRun{{Name: "slow", Gateways: []string{"gw0"}}, {Name: "fast", Gateways: []string{"gw1"}}}
	first := aRun(0)
	for i := range 20 {
		first.Tests = append(first.Tests, aRun(0, took(fmt.Sprint("Test", i), 100+i)).Tests...)
	}
	b.Learn(first)
	for n := range 4 {
		run := aRun(n + 1)
		run.Hosts = hosts
		for i := range 20 {
			test := took(fmt.Sprint("Test", i), 2*(100+i))
			test.Gateway = "gw0"
			if (i+n)%2 == 0 {
				test.Elapsed, test.Gateway = test.Elapsed/4, "gw1"
			}
			run.Tests = append(run.Tests, aRun(0, test).Tests...)
		}
		b.Learn(run)
	}
	ratio := b.Host("fast").Speed / b.Host("slow").Speed
	if ratio < 3 || ratio > 5 {
		t.Errorf("fast is %.2f and slow %.2f: a factor of %.2f, want about 4", b.Host("fast").Speed, b.Host("slow").Speed, ratio)
	}
	if got := cost(b, linux, "Test0"); got < 50*time.Millisecond || got > 250*time.Millisecond {
		t.Errorf("Test0 costs %v", got)
	}
}

func TestDurationsAreThoseOfSpeedOne(t *testing.T) {
	b := &Book{hosts: map[string]*hostRecord{"fast": {Speeds: []float64{4}}}}
	run := aRun(1, took("TestA", 100))
	run.Tests[0].Gateway = "gw0"
	run.Hosts = []HostRun{{Name: "fast", Gateways: []string{"gw0"}}}
	b.Learn(run)
	if got := cost(b, linux, "TestA"); got != 400*time.Millisecond {
		t.Errorf("%v", got)
	}
}

func TestNewlySlow(t *testing.T) {
	b := &Book{}
	for n := range 5 {
		b.Learn(aRun(n, took("TestSame", 200), took("TestSlow", 200), took("TestTiny", 1)))
	}
	b.Learn(aRun(5, took("TestSame", 210), took("TestSlow", 400), took("TestTiny", 10), took("TestNew", 900)))
	var slower []string
	for _, s := range b.Tests() {
		if s.Slower {
			slower = append(slower, fmt.Sprintf("%s %v %v", s.Test, s.Before, s.Latest))
			if want := aRun(5).Time; s.Since.Unix() != want.Unix() || len(s.Seen) != 6 || s.Seen[0].Elapsed != 400*time.Millisecond || s.Seen[0].Verdict != Pass {
				t.Errorf("%s is slow since %v, want %v; the runs saw %v", s.Test, s.Since, want, s.Seen)
			}
		} else if !s.Since.IsZero() {
			t.Errorf("%s is slow since %v, and is not", s.Test, s.Since)
		}
	}
	if diff := cmp.Diff([]string{"TestSlow 200ms 400ms"}, slower); diff != "" {
		t.Error(diff)
	}
}

func TestReplay(t *testing.T) {
	dir := t.TempDir()
	units := []UnitRun{
		{Gateway: "gw0", Platform: linux, Package: pkg, Tests: []string{"TestB", "TestA"}},
		{Gateway: "gw1", Platform: linux, Package: pkg, Tests: []string{"TestC"}},
		{Gateway: "gw0", Platform: linux, Package: pkg, Tests: []string{"TestD/a/..."}, Skip: []string{"b", "c"}},
	}
	for n := range 3 {
		run := aRun(n, took("TestA", 1))
		run.Units = units[:n+1]
		record(t, dir, run)
	}
	b := opened(t, dir)
	got, err := b.Replay("run2", "gw0")
	if diff := cmp.Diff([]UnitRun{units[0], units[2]}, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	if got, err := b.Replay("run", ""); err != nil || len(got) != 3 {
		t.Errorf("the newest by a prefix: %v, %v", got, err)
	}
	for _, name := range []string{LastRun, "run", "run2"} {
		if r, err := b.FindRun(name); err != nil || r.ID != "run2" {
			t.Errorf("%s: %v, %v", name, r.ID, err)
		}
	}
	for _, name := range []string{"", "run7"} {
		if r, err := b.FindRun(name); err == nil {
			t.Errorf("%q: got %v", name, r.ID)
		}
	}
	for _, c := range [][2]string{{"run2", "gw7"}, {"other", ""}} {
		if got, err := b.Replay(c[0], c[1]); err == nil {
			t.Errorf("%q: got %v", c, got)
		}
	}
}

func TestExpectedAndActual(t *testing.T) {
	run := aRun(1, took("TestA", 100), took("TestB", 300), took("TestNew", 50), took("TestA/sub", 90))
	run.Tests[0].Expected, run.Tests[1].Expected = 200*time.Millisecond, 200*time.Millisecond
	run.Units = []UnitRun{{Gateway: "gw0"}, {Gateway: "gw1"}}
	s := run.summary()
	want := RunSummary{
		ID: "run1", Time: run.Time, Elapsed: time.Second, Gateways: 2, Ran: []string{"gw0", "gw1"}, Tests: 3, Predicted: 2,
		Expected: 400 * time.Millisecond, Actual: 400 * time.Millisecond, Total: 450 * time.Millisecond, Bound: 200 * time.Millisecond,
	}
	if s.MedianMiss < 1.4 || s.MedianMiss > 2.1 {
		t.Errorf("the expectations were off by a factor of %v", s.MedianMiss)
	}
	s.MedianMiss = 0
	if diff := cmp.Diff(want, s); diff != "" {
		t.Error(diff)
	}
}

func TestRunsAreBounded(t *testing.T) {
	dir := t.TempDir()
	for n := range keptRuns + 5 {
		record(t, dir, aRun(n, took("TestA", 1)))
	}
	runs := opened(t, dir).Runs()
	if len(runs) != keptRuns || runs[0].ID != fmt.Sprint("run", keptRuns+4) {
		t.Errorf("%d runs, the newest is %+v", len(runs), runs[0])
	}
}

func TestForgotten(t *testing.T) {
	dir := t.TempDir()
	record(t, dir, aRun(1, took("TestA", 1)))
	late := aRun(2, TestRun{Package: "example.com/m/q", Test: "TestQ", Elapsed: time.Second})
	late.Time = late.Time.Add(forgetAfter)
	record(t, dir, aRun(1, TestRun{Package: "example.com/m/q", Test: "TestGone", Elapsed: time.Second}), late)
	b := opened(t, dir)
	if _, ok := b.Test(linux, "example.com/m/q", "TestGone"); ok {
		t.Error("a test that was not seen for half a year is known")
	}
	if _, ok := b.Test(linux, pkg, "TestA"); ok {
		t.Error("a package that was not seen for half a year is known")
	}
	if _, ok := b.Test(linux, "example.com/m/q", "TestQ"); !ok {
		t.Error("the new one is not known")
	}
}

func TestRunsAtTheSameTimeAddUp(t *testing.T) {
	dir := t.TempDir()
	var wait sync.WaitGroup
	for n := range 8 {
		wait.Go(func() {
			if err := Record(dir, module, aRun(n, took("TestA", 10), took(fmt.Sprint("Test", n), 5))); err != nil {
				t.Error(err)
			}
			if _, err := Open(dir, module); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	b := opened(t, dir)
	if k, _ := b.Test(linux, pkg, "TestA"); k.Runs != 8 || len(b.Runs()) != 8 {
		t.Errorf("%d runs of TestA, %d runs", k.Runs, len(b.Runs()))
	}
	for n := range 8 {
		if cost(b, linux, fmt.Sprint("Test", n)) < 0 {
			t.Errorf("Test%d is lost", n)
		}
	}
}

// TestDamaged breaks a file in many ways. Whatever it is: no panic, the damage is told or not seen,
// and the next run is recorded.
func TestDamaged(t *testing.T) {
	origin := t.TempDir()
	for n := range 5 {
		run := aRun(n)
		for i := range 300 {
			run.Tests = append(run.Tests, aRun(0, TestRun{Package: fmt.Sprintf("%s/%03d", pkg, i), Test: fmt.Sprint("Test", rand.Int64()), Elapsed: time.Second}).Tests...)
		}
		record(t, origin, run)
	}
	whole, err := os.ReadFile(FileName(origin, module))
	if err != nil {
		t.Fatal(err)
	}
	damages := map[string][]byte{"text": []byte(strings.Repeat("this is no database\n", 1000)), "short": []byte("x"), "zeros": make([]byte, 1<<16)}
	for _, share := range []int{2, 3, 5, 9, 20} {
		damages[fmt.Sprint("cut to 1/", share)] = whole[:len(whole)/share]
	}
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 60 {
		bad := append([]byte(nil), whole...)
		from := random.IntN(len(bad))
		for k := range bad[from:min(len(bad), from+1+random.IntN(5000))] {
			bad[from+k] ^= byte(1 + random.IntN(255))
		}
		damages[fmt.Sprintf("%d bytes altered at %d", i, from)] = bad
	}
	told := make(map[string]bool)
	for name, bad := range damages {
		dir := t.TempDir()
		file := FileName(dir, module)
		if err := os.WriteFile(file, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		b, err := Open(dir, module)
		if b == nil {
			t.Fatalf("%s: no book", name)
		}
		if _, ok := errors.AsType[*DamagedError](err); ok {
			told[name] = true
			if strings.HasPrefix(name, "cut") && !strings.Contains(err.Error(), "bytes of") {
				t.Errorf("%s: %v", name, err) // a fault in the mapped file would tell too, but not on every system
			}
		} else if err != nil {
			t.Errorf("%s: Open: %v", name, err)
		}
		err = Record(dir, module, aRun(9, took("TestNew", 1)))
		if _, ok := errors.AsType[*DamagedError](err); err != nil && !ok {
			t.Errorf("%s: Record: %v", name, err)
		}
		b, err = Open(dir, module)
		if err != nil {
			t.Errorf("%s: Open after Record: %v", name, err)
		}
		if cost(b, linux, "TestNew") < 0 {
			t.Errorf("%s: the run was not recorded", name)
		}
	}
	for name := range damages {
		if !strings.Contains(name, "altered") && !told[name] {
			t.Errorf("%s: the damage was not told", name)
		}
	}
	t.Logf("%d of %d damages were told; the others are in pages that hold nothing", len(told), len(damages))
}

func TestSetAside(t *testing.T) {
	dir := t.TempDir()
	file := FileName(dir, module)
	if err := os.WriteFile(file, make([]byte, 1<<15), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Open(dir, module)
	damaged, ok := errors.AsType[*DamagedError](err)
	if !ok || damaged.Aside == "" {
		t.Fatalf("Open: %v", err)
	}
	names, _ := filepath.Glob(filepath.Join(dir, "*"))
	if diff := cmp.Diff([]string{damaged.Aside}, names); diff != "" {
		t.Error(diff)
	}
	if b, err := Open(dir, module); err != nil || b == nil {
		t.Errorf("again: %v", err)
	}
}

func TestNoDirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Record(filepath.Join(file, "history"), module, aRun(1)); err == nil {
		t.Error("Record below a file: no error")
	}
	b, err := Open(filepath.Join(file, "history"), module)
	if b == nil {
		t.Errorf("no book, %v", err)
	}
}
