package outputs

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/scheduler/event"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func begins(id string, at time.Time) event.RunStarted {
	return event.RunStarted{RunID: id, Time: at, Command: []string{"./..."}}
}

func says(action, test, output string) event.Test {
	seconds := 0.5
	e := event.Test{Event: test2json.Event{Action: action, Package: "m/p", Test: test, Output: output}, Gateway: "gw1", Platform: "linux/amd64", Attempt: 1}
	if e.Terminal() {
		e.Elapsed = &seconds
	}
	return e
}

// keep brings a run into a store.
func keep(t *testing.T, s Store, limit int, run ...event.Event) {
	t.Helper()
	k := s.Keep(func(err error) { t.Error(err) })
	if limit > 0 {
		k.limit = limit
	}
	for _, e := range run {
		if err := k.Handle(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
}

func store(t *testing.T) Store {
	t.Helper()
	return Store{Dir: filepath.Join(t.TempDir(), "outputs"), Module: "m"}
}

// kept are the records of the newest run.
func kept(t *testing.T, s Store) []Record {
	t.Helper()
	runs, err := s.Runs()
	if err != nil || len(runs) == 0 {
		t.Fatalf("there are %v, %v", runs, err)
	}
	var all []Record
	for r, err := range runs[0].Records() {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

// What tests, their subtests, their package and a compiler have printed is found again as it came,
// and an attempt that does not count with the rule.
func TestRecords(t *testing.T) {
	s := store(t)
	keep(t, s, 0, begins("r", start),
		says("run", "TestX", ""), says("output", "TestX", "=== RUN   TestX\n"), says("output", "TestX", "one\x00<\n"),
		says("run", "TestX/a", ""), says("output", "TestX/a", "two\n"), says("pass", "TestX/a", ""), says("output", "TestX", "three"), says("pass", "TestX", ""),
		event.Suspected{Package: "m/p", Test: "TestY", Gateway: "gw0", Why: "it ran beside others", Said: []test2json.Event{{Action: "output", Test: "TestY", Output: "at first\n"}}},
		says("run", "TestY", ""), says("output", "TestY", "then\n"), says("fail", "TestY", ""),
		says("output", "", "FAIL\n"), says("fail", "", ""),
		event.Test{Event: test2json.Event{Action: "build-output", ImportPath: "m/q", Output: "q.go:1: wrong\n"}},
		event.Test{Event: test2json.Event{Action: "fail", Package: "m/q", FailedBuild: "m/q"}})
	want := []Record{
		{Package: "m/p", Test: "TestX", Gateway: "gw1", Platform: "linux/amd64", Attempt: 1, Action: "pass", Elapsed: .5,
			Pieces: []Piece{{"TestX", "=== RUN   TestX\none\x00<\n"}, {"TestX/a", "two\n"}, {"TestX", "three"}}},
		{Package: "m/p", Test: "TestY", Gateway: "gw0", Action: "fail", Why: "it ran beside others", Pieces: []Piece{{"TestY", "at first\n"}}},
		{Package: "m/p", Test: "TestY", Gateway: "gw1", Platform: "linux/amd64", Attempt: 1, Action: "fail", Elapsed: .5, Pieces: []Piece{{"TestY", "then\n"}}},
		{Package: "m/p", Gateway: "gw1", Platform: "linux/amd64", Attempt: 1, Action: "fail", Elapsed: .5, Pieces: []Piece{{"", "FAIL\n"}}},
		{Package: "m/q", Action: "fail", Pieces: []Piece{{"", "q.go:1: wrong\n"}}},
	}
	if diff := cmp.Diff(want, kept(t, s)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// The middle of a long output is left out, and what is kept of the next test is its own.
func TestLongOutput(t *testing.T) {
	s := store(t)
	line := strings.Repeat("x", 1023) + "\n"
	run := []event.Event{begins("r", start), says("run", "TestX", ""), says("output", "TestX", "first\n")}
	for range 2 * recordKept / len(line) {
		run = append(run, says("output", "TestX", line))
	}
	run = append(run, says("output", "TestX", "last\n"), says("pass", "TestX", ""), says("run", "TestY", ""), says("output", "TestY", "short\n"), says("pass", "TestY", ""), says("pass", "", ""))
	keep(t, s, 0, run...)
	records := kept(t, s)
	var text strings.Builder
	for _, p := range records[0].Pieces {
		text.WriteString(p.Output)
	}
	if got := text.String(); !strings.HasPrefix(got, "first\n") || !strings.HasSuffix(got, "last\n") || len(got) > recordKept+len(line) || len(got)+records[0].Lost != 2*recordKept+len("first\nlast\n") {
		t.Errorf("%d bytes are kept and %d lost", len(got), records[0].Lost)
	}
	if diff := cmp.Diff([]Piece{{"TestY", "short\n"}}, records[1].Pieces); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// Of a run with very much output failures are kept longer than what passes.
func TestFullRun(t *testing.T) {
	s := store(t)
	run := []event.Event{begins("r", start)}
	for i := range 2000 {
		action := "pass"
		if i%2 == 1 {
			action = "fail"
		}
		test := fmt.Sprintf("Test%d", i)
		run = append(run, says("run", test, ""), says("output", test, strings.Repeat(fmt.Sprint(i*7919), 40)), says(action, test, ""))
	}
	keep(t, s, 4<<10, append(run, says("fail", "", ""))...)
	count := map[string]int{}
	for _, r := range kept(t, s) {
		count[r.Action]++
	}
	if count["pass"] == 0 || count["fail"] <= count["pass"] || count["fail"] == 1001 {
		t.Errorf("kept are %v", count)
	}
}

// The last runs of each module are kept, and the newest is the first. A run that is damaged is an
// error that names the file.
func TestRuns(t *testing.T) {
	s := store(t)
	other := Store{Dir: s.Dir, Module: "other"}
	keep(t, other, 0, begins("others", start))
	for i := range runsKept + 2 {
		keep(t, s, 0, begins(fmt.Sprintf("run/%d", i), start.Add(time.Duration(i)*time.Second)), says("pass", "", ""))
	}
	runs, err := s.Runs()
	if err != nil || len(runs) != runsKept || runs[0].ID != fmt.Sprintf("run/%d", runsKept+1) || !runs[0].Time.Equal(start.Add((runsKept+1)*time.Second)) {
		t.Errorf("%d runs, %+v, %v", len(runs), runs, err)
	}
	if runs, err := other.Runs(); err != nil || len(runs) != 1 {
		t.Errorf("of the other module there are %v, %v", runs, err)
	}
	if err := os.WriteFile(runs[0].file, []byte("no zstd"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Runs(); err == nil || !strings.Contains(err.Error(), runs[0].file) {
		t.Errorf("the error is %v", err)
	}
	if runs, err := (Store{Dir: filepath.Join(s.Dir, "nothing")}).Runs(); runs != nil || err != nil {
		t.Errorf("where nothing is there are %v, %v", runs, err)
	}
}

// Where nothing can be written the run is told, and goes on.
func TestNowhere(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var told error
	k := Store{Dir: filepath.Join(file, "outputs")}.Keep(func(err error) { told = err })
	k.Handle(begins("r", start))
	if err := k.Close(); err != nil || told == nil || !strings.Contains(told.Error(), "keep the outputs for xdist show: ") {
		t.Errorf("closing is %v, and told was %v", err, told)
	}
}

// What pieces and their names take is counted, too: of many small ones, of long names, and of a
// package that says as much as the build that it fails of. All that is written can be read.
func TestPiecesCount(t *testing.T) {
	s := store(t)
	long := strings.Repeat("n", 10<<10)
	control := strings.Repeat("\x01", recordKept/4)
	run := []event.Event{begins("r", start), says("run", "TestX", "")}
	for i := range recordKept / 8 {
		run = append(run, says("output", fmt.Sprintf("TestX/%d", i%2), "x"))
	}
	run = append(run, says("pass", "TestX", ""), says("run", "TestY", ""))
	for i := range 100 {
		run = append(run, says("output", fmt.Sprintf("TestY/%d%s", i, long), "y"))
	}
	run = append(run, says("pass", "TestY", ""), says("run", "TestZ", ""), says("output", "TestZ", strings.Repeat("z", 2*recordKept)), says("pass", "TestZ", ""))
	run = append(run, says("run", "Test"+strings.Repeat("n", lineLimit), ""), says("pass", "Test"+strings.Repeat("n", lineLimit), ""))
	for range 8 {
		run = append(run, event.Test{Event: test2json.Event{Action: "build-output", ImportPath: "m/q", Output: control}}, event.Test{Event: test2json.Event{Action: "output", Package: "m/q", Output: control}})
	}
	run = append(run, event.Test{Event: test2json.Event{Action: "fail", Package: "m/q", FailedBuild: "m/q"}})
	keep(t, s, 0, run...)
	var tests []string
	for _, r := range kept(t, s) {
		tests = append(tests, r.Test)
		size, text := 0, 0
		for _, p := range r.Pieces {
			size += pieceHead + len(p.Test) + len(p.Output)
			text += len(p.Output)
		}
		most := recordKept + recordKept/4
		if r.Package == "m/q" {
			most *= 2
		}
		if size > most || r.Lost == 0 || r.Test == "TestX" && text+r.Lost != recordKept/8 || r.Test == "TestZ" && text+r.Lost != 2*recordKept {
			t.Errorf("%s::%s has %d bytes in %d pieces, and lost %d", r.Package, r.Test, size, len(r.Pieces), r.Lost)
		}
	}
	if diff := cmp.Diff([]string{"TestX", "TestY", "TestZ", ""}, tests); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// A file with more than a run may have is an error, and not read to its end.
func TestTooLong(t *testing.T) {
	s := store(t)
	keep(t, s, 0, begins("r", start), says("run", "TestX", ""), says("output", "TestX", strings.Repeat("x", 10_000)), says("pass", "TestX", ""))
	runs, err := s.Runs()
	if err != nil {
		t.Fatal(err)
	}
	for limit, want := range map[int64]error{1000: errTooLong, 20_000: nil} {
		var last error
		for _, err := range lines(runs[0].file, limit) {
			last = err
		}
		if last != want {
			t.Errorf("with %d bytes the error is %v, want %v", limit, last, want)
		}
	}
}
