package reporters

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fatih/color"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/scheduler/event"
)

// The recorded streams are made in testdata/fixture by
//
//	go test -json -count=1 -trimpath ./... > ../recorded.jsonl
//	go test -json -count=1 -trimpath -bench . -benchtime 10x ./bench > ../recorded-bench.jsonl
//
// with Go 1.26 and no go.work. Then the goldens are made anew by `go test ./reporters -update`.
const (
	recordedRun   = "recorded.jsonl"
	recordedBench = "recorded-bench.jsonl"
)

var update = flag.Bool("update", false, "write the golden files")

func TestMain(m *testing.M) {
	// The goldens have no colours and do not depend on where the tests run.
	color.NoColor = true
	os.Unsetenv("GITHUB_ACTIONS")
	goleak.VerifyTestMain(m)
}

// recordedEvents reads a recorded stream.
func recordedEvents(t *testing.T, file string) []test2json.Event {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var events []test2json.Event
	for in := bufio.NewScanner(f); in.Scan(); {
		var e test2json.Event
		if err := json.Unmarshal(in.Bytes(), &e); err != nil {
			t.Fatalf("%s: %s: %v", file, in.Bytes(), err)
		}
		events = append(events, e)
	}
	return events
}

// recordedAsRun makes of a recorded stream the run that a controller with three gateways would have
// reported, one package per gateway in turn.
func recordedAsRun(t *testing.T, file string) []event.Event {
	t.Helper()
	return asRun(recordedEvents(t, file))
}

func isItem(e test2json.Event) bool { return e.Test != "" && !strings.Contains(e.Test, "/") }

func asRun(events []test2json.Event) []event.Event {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	run := []event.Event{event.RunStarted{Time: start, Hostname: "controller.example"}}
	total := 0
	for _, e := range events {
		if isItem(e) && e.Terminal() {
			total++
		}
	}
	run = append(run, event.Collected{Platform: "linux/amd64", Items: total})
	for i := range 3 {
		run = append(run, event.GatewayUp{Gateway: fmt.Sprintf("gw%d", i), Hostname: fmt.Sprintf("host%d.example", i)})
	}
	summary := event.Summary{Collected: total, Counts: map[event.Verdict]int{}}
	gateways := map[string]string{}
	done := 0
	for _, e := range events {
		te := event.Test{Event: e, Attempt: 1, Total: total}
		if e.Package != "" && gateways[e.Package] == "" {
			gateways[e.Package] = fmt.Sprintf("gw%d", len(gateways)%3)
			run = append(run, event.UnitStarted{Time: e.Time, Gateway: gateways[e.Package], Package: e.Package})
		}
		if e.Test != "" {
			te.Gateway = gateways[e.Package]
		}
		if isItem(e) && e.Terminal() {
			done++
			summary.Counts[event.Verdict(e.Action)]++
			summary.Durations = append(summary.Durations, event.ItemSeconds{
				ID: e.Package + "::" + e.Test, Gateway: te.Gateway, Verdict: event.Verdict(e.Action),
				Elapsed: time.Duration(len(summary.Durations)%4) * 250 * time.Millisecond,
			})
		}
		te.Done = done
		run = append(run, te)
		if e.Package != "" && e.Test == "" && e.Terminal() {
			run = append(run, event.UnitEnded{Time: e.Time, Gateway: gateways[e.Package], Package: e.Package})
			switch {
			case e.FailedBuild != "":
				summary.BuildFailed++
			case e.Action == test2json.ActionFail:
				summary.Failed++
			}
		}
	}
	return append(run, event.RunEnded{Time: start.Add(2 * time.Second), Elapsed: 2 * time.Second, Summary: summary})
}

// play hands a whole run to r and closes it; no error is expected.
func play(t *testing.T, r event.Reporter, run []event.Event) {
	t.Helper()
	for _, e := range run {
		if err := r.Handle(e); err != nil {
			t.Errorf("Handle(%+v): %v", e, err)
			break
		}
	}
	if err := r.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// golden compares got with a file in testdata/golden.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", "golden", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// event is a Test event of an example package on gw1.
func testEvent(action, test, output string) event.Test {
	return event.Test{
		Event:   test2json.Event{Action: action, Package: "example.com/p", Test: test, Output: output},
		Gateway: "gw1", Attempt: 1, Total: 1,
	}
}

// oneFailure is the run of a package whose only test fails after that output.
func oneFailure(outputs ...string) []event.Event {
	run := []event.Event{testEvent("start", "", ""), testEvent("run", "TestX", "")}
	for _, o := range outputs {
		run = append(run, testEvent("output", "TestX", o))
	}
	return append(run, testEvent("output", "TestX", "--- FAIL: TestX (0.00s)\n"), testEvent("fail", "TestX", ""),
		testEvent("output", "", "FAIL\n"), testEvent("fail", "", ""), event.RunEnded{})
}
