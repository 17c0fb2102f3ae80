package reporters

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"gotest.tools/gotestsum/testjson"

	"github.com/xdist-go/xdist/history"
	"github.com/xdist-go/xdist/scheduler/event"
)

// asShard makes a run one of three shards.
func asShard(run []event.Event, end event.RunEnded) []event.Event {
	out := []event.Event{event.RunStarted{Shard: "2/3"}}
	for _, e := range run {
		if _, ok := e.(event.Test); ok {
			out = append(out, e)
		}
	}
	end.Time = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return append(out, end)
}

func jsonOf(t *testing.T, run []event.Event) string {
	t.Helper()
	var out bytes.Buffer
	j, err := NewJSON(JSONConfig{Out: &out})
	if err != nil {
		t.Fatal(err)
	}
	play(t, j, run)
	return out.String()
}

// TestTrailer: a shard that came to its end says so behind its events, and one that did not does
// not.
func TestTrailer(t *testing.T) {
	events := []event.Event{testEvent("run", "TestX", ""), testEvent("pass", "TestX", "")}
	notRun := []event.NotRunItem{{ID: "example.com/p::TestX"}, {ID: "example.com/p::TestY"}}
	const head = `{"Time":"2026-01-02T03:04:05Z","Action":"shard","Shard":"2/3",`
	for _, tt := range []struct {
		name string
		run  []event.Event
		end  event.RunEnded
		want string
	}{
		{"passed", events, event.RunEnded{Summary: event.Summary{Collected: 52}}, head + `"Items":52}` + "\n"},
		{"divided", events, event.RunEnded{Summary: event.Summary{Collected: 52, Shards: "linux/amd64=1f"}}, head + `"Items":52,"Plan":"linux/amd64=1f"}` + "\n"},
		{"with flags", events, event.RunEnded{Summary: event.Summary{Collected: 52, Shards: "x", Flags: "-race"}}, head + `"Items":52,"Plan":"x","Flags":"-race"}` + "\n"},
		{"failed", events, event.RunEnded{Summary: event.Summary{Collected: 52, Failed: 1, Stopped: "x"}}, head + `"Items":52}` + "\n"},
		{"nothing to do", nil, event.RunEnded{}, head + `"Items":0}` + "\n"},
		{"one that did not run and has no event", events, event.RunEnded{Summary: event.Summary{Collected: 2, NotRun: notRun}}, head + `"Items":2,"NotRun":1}` + "\n"},
		{"interrupted", events, event.RunEnded{Summary: event.Summary{Interrupted: true}}, ""},
		{"unbalanced", events, event.RunEnded{Summary: event.Summary{Unbalanced: "x"}}, ""},
		{"no gateway", events, event.RunEnded{Fatal: errors.New("x")}, ""},
	} {
		plain := jsonOf(t, append(tt.run, tt.end))
		got, ok := strings.CutPrefix(jsonOf(t, asShard(tt.run, tt.end)), plain)
		if !ok || got != tt.want {
			t.Errorf("%s: %q behind the events, want %q", tt.name, got, tt.want)
		}
		file := filepath.Join(t.TempDir(), "x.xml")
		j, err := NewJUnit(JUnitConfig{File: file})
		if err != nil {
			t.Fatal(err)
		}
		play(t, j, asShard(tt.run, tt.end))
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		report, err := ReadJUnit(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		trailer, ok := report.Trailer()
		if ok != (tt.want != "") || ok && (trailer.Shard != "2/3" || trailer.Items != tt.end.Summary.Collected || trailer.Plan != tt.end.Summary.Shards || trailer.Flags != tt.end.Summary.Flags) {
			t.Errorf("%s: JUnit has %+v, %v", tt.name, trailer, ok)
		}
	}
}

// TestTrailerIsPassedOver: gotestsum shows in each of its formats what it shows without the line,
// and finds the same tests. It has a package without a name and without a test then, as it has for
// the compiler's text.
func TestTrailerIsPassedOver(t *testing.T) {
	end := event.RunEnded{Summary: event.Summary{Collected: 52, NotRun: []event.NotRunItem{{ID: "p::TestGone"}}}}
	for name, run := range map[string][]event.Event{"recorded": recordedAsRun(t, recordedRun), "nothing": nil} {
		with := jsonOf(t, asShard(run, end))
		without := with[:strings.LastIndex(with, `{"Time"`)]
		if !strings.Contains(with[len(without):], `"Action":"shard"`) {
			t.Fatalf("%s: the last line is %q", name, with[len(without):])
		}
		want, got := scanCounts(t, []byte(without)), scanCounts(t, []byte(with))
		if !strings.Contains(without, `"build-output"`) {
			want.Packages++ // that without a name
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		for _, format := range Formats()[1:] { // the first is no format of gotestsum's
			if diff := cmp.Diff(formatted(t, without, format), formatted(t, with, format)); diff != "" && format != "standard-json" {
				t.Errorf("%s, %s: %s", name, format, diff)
			}
		}
	}
}

func formatted(t *testing.T, stream string, format Format) string {
	t.Helper()
	var out bytes.Buffer
	f := testjson.NewEventFormatter(&out, string(format), testjson.FormatOptions{})
	if f == nil {
		t.Fatalf("gotestsum has no format %s", format)
	}
	if _, err := testjson.ScanTestOutput(testjson.ScanConfig{Stdout: strings.NewReader(stream), Handler: formatHandler{f}}); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

type formatHandler struct{ f testjson.EventFormatter }

func (h formatHandler) Event(e testjson.TestEvent, x *testjson.Execution) error {
	return h.f.Format(e, x)
}
func (h formatHandler) Err(string) error { return nil }

// TestTrailerIsNoTiming: a log is worth the same for the next run's plan, and one that has nothing
// else is a log.
func TestTrailerIsNoTiming(t *testing.T) {
	with := jsonOf(t, asShard(recordedAsRun(t, recordedRun), event.RunEnded{}))
	without := with[:strings.LastIndex(with, `{"Time"`)]
	var tests [2]int
	for i, text := range []string{without, with} {
		timings, err := history.ReadTimings(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		tests[i] = timings.Tests()
	}
	if tests[0] != tests[1] || tests[0] == 0 {
		t.Errorf("%d tests without, %d with", tests[0], tests[1])
	}
	if timings, err := history.ReadTimings(strings.NewReader(with[len(without):])); err != nil || timings.Tests() != 0 {
		t.Error(err)
	}
}

// TestJUnitItems counts top-level tests once, and nothing that stands for a build.
func TestJUnitItems(t *testing.T) {
	r := junitOf(t, `<testsuite name="p"><testcase name="TestA/x"/><testcase name="TestA"/><testcase name="TestA"/><testcase name="BenchmarkB-2"/></testsuite>
<testsuite name="q"><testcase name="TestMain"/><testcase name="[build failed]"/></testsuite>`)
	if n := r.Items(); n != 2 {
		t.Errorf("%d items", n)
	}
	if _, ok := r.Trailer(); ok {
		t.Error("it is of a shard")
	}
}
