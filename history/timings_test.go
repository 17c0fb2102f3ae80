package history

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const aLog = `{"Time":"2026-03-01T10:00:00Z","Action":"start","Package":"example.com/m/p"}
{"Time":"2026-03-01T10:00:00.1Z","Action":"run","Package":"example.com/m/p","Test":"TestA"}
{"Time":"2026-03-01T10:00:00.1Z","Action":"output","Package":"example.com/m/p","Test":"TestA","Output":"{\"Action\":\"pass\"}\n"}
# a line of something else
{"Time":"2026-03-01T10:00:00.1Z","Action":"run","Package":"example.com/m/p","Test":"TestA/sub"}
{"Time":"2026-03-01T10:00:01.1Z","Action":"pass","Package":"example.com/m/p","Test":"TestA/sub","Elapsed":1}
{"Time":"2026-03-01T10:00:01.2Z","Action":"pass","Package":"example.com/m/p","Test":"TestA","Elapsed":1.1}
{"Time":"2026-03-01T10:00:01.2Z","Action":"run","Package":"example.com/m/p","Test":"TestQuick"}
{"Time":"2026-03-01T10:00:01.2004Z","Action":"pass","Package":"example.com/m/p","Test":"TestQuick","Elapsed":0}
{"Time":"2026-03-01T10:00:01.3Z","Action":"run","Package":"example.com/m/p","Test":"TestFails"}
{"Time":"2026-03-01T10:00:01.5Z","Action":"fail","Package":"example.com/m/p","Test":"TestFails","Elapsed":0.2}
{"Time":"2026-03-01T10:00:01.5Z","Action":"run","Package":"example.com/m/p [gw1 linux/arm64]","Test":"TestArm"}
{"Time":"2026-03-01T10:00:01.9Z","Action":"skip","Package":"example.com/m/p [gw1 linux/arm64]","Test":"TestArm","Elapsed":0.4}
{"Time":"2026-03-01T10:00:01.9Z","Action":"fail","Package":"example.com/m/p","Elapsed":1.9}
{"Time":"2026-03-01T10:00:02Z","Action":"run","Packa`

func read(t *testing.T, text string) *Timings {
	t.Helper()
	timings, err := ReadTimings(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return timings
}

func TestTimingsOfGoTest(t *testing.T) {
	timings := read(t, aLog)
	if timings.Tests() != 5 {
		t.Errorf("%d tests", timings.Tests())
	}
	b := &Book{}
	b.Add(timings)
	for test, want := range map[string]time.Duration{
		"TestA": 1100 * time.Millisecond, "TestA/sub": time.Second, "TestQuick": 400 * time.Microsecond, "TestFails": 200 * time.Millisecond,
		"TestArm": 400 * time.Millisecond, "TestOther": -1,
	} {
		if got := cost(b, linux, test); got != want {
			t.Errorf("%s: %v, want %v", test, got, want)
		}
	}
	if got, ok := b.Tree(linux, pkg, "TestA"); !ok || len(got.Subtests) != 1 {
		t.Errorf("tree: %v", got)
	}
}

func TestExportIsReadAgain(t *testing.T) {
	b := &Book{module: module}
	for n := range 3 {
		run := aRun(n, took("TestA", 100+n), took("TestA/s\"<é", 60), took("TestB", 0), TestRun{Test: "TestF", Verdict: Fail, Elapsed: time.Second})
		other := took("TestA", 70)
		other.Platform = windows
		run.Tests = append(run.Tests, aRun(n, other).Tests...)
		run.Packages = []PackageRun{{Platform: linux, Package: pkg, Process: 5 * time.Millisecond, Key: "k"}}
		run.Lessons = []Lesson{{Platform: linux, Package: pkg, Kind: Serial, Until: "k"}, {Platform: linux, Package: pkg, Test: "TestA", Kind: Indivisible, Until: "k"}}
		b.Learn(run)
	}
	var first, second bytes.Buffer
	if err := b.Export(&first); err != nil {
		t.Fatal(err)
	}
	again := &Book{module: module}
	again.Add(read(t, first.String()))
	if err := again.Export(&second); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first.String(), second.String()); diff != "" {
		t.Error(diff)
	}
	for _, platform := range []string{linux, windows} {
		for _, test := range []string{"TestA", "TestB", "TestF"} {
			if got, want := cost(again, platform, test), cost(b, platform, test); got != want {
				t.Errorf("%s on %s: %v, want %v", test, platform, got, want)
			}
		}
	}
	const want = `{"package":"example.com/m/p","test":"TestA","platform":"linux/amd64","seconds":[0.102,0.101,0.1],"runs":3,"last":"2026-03-01T00:00:00Z","indivisible":true,"until":"k"}`
	if !strings.Contains(first.String(), want+"\n") {
		t.Errorf("the format has changed:\n%s", &first)
	}
}

func TestTimingsDoNotReplaceWhatIsKnown(t *testing.T) {
	b := &Book{}
	for n := range 5 {
		b.Learn(aRun(n, took("TestA", 100)))
	}
	b.Add(read(t, `{"Action":"pass","Package":"example.com/m/p","Test":"TestA","Elapsed":9,"Time":"2020-01-01T00:00:00Z"}`+"\n"+
		`{"package":"example.com/m/p","platform":"linux/amd64","test":"TestA","seconds":[9],"last":"2020-01-01T00:00:00Z"}`))
	if got := cost(b, linux, "TestA"); got != 100*time.Millisecond {
		t.Errorf("%v", got)
	}
}

func TestNoTimings(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "text": "hello\nworld\n", "another JSON": `{"a":1}`, "a later format": `{"format":"xdist timings","version":2}`,
		"another format": `{"format":"x","version":1}`,
	} {
		if timings, err := ReadTimings(strings.NewReader(text)); err == nil {
			t.Errorf("%s: %d tests", name, timings.Tests())
		}
	}
	name := strings.Repeat("x", maxName+1)
	if got := read(t, aLog+"\n"+`{"Action":"pass","Package":"p","Test":"`+name+`","Elapsed":1}`).Tests(); got != 5 {
		t.Errorf("%d tests with one of a long name", got)
	}
	long := `{"Action":"output","Output":"` + strings.Repeat("x", 3*maxTimingsLine) + "\"}\n"
	if got := read(t, long+aLog+long).Tests(); got != 5 {
		t.Errorf("%d tests between long lines", got)
	}
}

func TestClock(t *testing.T) {
	at := func(ms float64) time.Time { return day0.Add(time.Duration(ms * float64(time.Millisecond))) }
	type step struct {
		test, action string
		at, elapsed  float64 // milliseconds
	}
	for _, c := range []struct {
		name  string
		steps []step
		want  float64
	}{
		{"finer than it says", []step{{"T", "run", 0, 0}, {"T", "pass", 0.3, 0}}, 0.3},
		{"rounded up", []step{{"T", "run", 0, 0}, {"T", "pass", 6, 10}}, 6},
		{"the times say something else", []step{{"T", "run", 0, 0}, {"T", "pass", 40, 10}}, 10},
		{"without its begin", []step{{"T", "pass", 40, 10}}, 10},
		{"a pause does not count", []step{{"T", "run", 0, 0}, {"T", "pause", 1, 0}, {"T", "cont", 500, 0}, {"T", "pass", 502, 0}}, 3},
		{"parallel subtests do", []step{
			{"T", "run", 0, 0}, {"T/a", "run", 1, 0}, {"T/a", "pause", 2, 0}, {"T/a", "cont", 3, 0}, {"T/a", "pass", 800, 800}, {"T", "pass", 801, 0},
		}, 801},
	} {
		var clock Clock
		var took time.Duration
		ended := false
		for _, s := range c.steps {
			elapsed := s.elapsed / 1000
			took, ended = clock.Event("p", s.test, s.action, at(s.at), &elapsed)
		}
		if want := at(c.want).Sub(day0); !ended || took != want {
			t.Errorf("%s: %v, want %v", c.name, took, want)
		}
		if len(clock.running) > 0 {
			t.Errorf("%s: %d tests are still running", c.name, len(clock.running))
		}
	}
}

func TestSplitShown(t *testing.T) {
	for shown, want := range map[string][3]string{
		"p": {"p", "", ""}, "p [gw1]": {"p", "gw1", ""}, "p [linux/arm64]": {"p", "", "linux/arm64"}, "p [gw1 linux/arm64]": {"p", "gw1", "linux/arm64"},
	} {
		pkg, gateway, platform := SplitShown(shown)
		if got := [3]string{pkg, gateway, platform}; got != want {
			t.Errorf("%s: %q", shown, got)
		}
	}
}

// FuzzReadTimings: no panic, and what was read can be exported and read again.
func FuzzReadTimings(f *testing.F) {
	f.Add(aLog)
	f.Add(`{"format":"xdist timings","version":1,"module":"m"}` + "\n" + `{"package":"p","platform":"l/a","test":"T/a","seconds":[1e300,-1,0.5],"failed":[2],"runs":-1,"last":"2026-01-01T00:00:00Z"}`)
	f.Add(`{"package":"p","process":[1],"serial":true,"until":"x"}`)
	f.Fuzz(func(t *testing.T, text string) {
		timings, err := ReadTimings(strings.NewReader(text))
		if err != nil {
			return
		}
		b := &Book{}
		b.Add(timings)
		for _, s := range b.Tests() {
			if s.Cost < 0 || s.Spread < 0 {
				t.Errorf("%+v", s)
			}
			b.Tree(s.Platform, s.Package, s.Test)
		}
		var out bytes.Buffer
		if err := b.Export(&out); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadTimings(&out); err != nil {
			t.Errorf("its export is not read: %v", err)
		}
	})
}
