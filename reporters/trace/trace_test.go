package trace

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xdist-go/xdist/scheduler/event"
)

// A run with a test that fails on one gateway and passes on another has a bar for each attempt, an
// arrow between them, and each bar within the process that ran it.
func TestTrace(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	file := filepath.Join(t.TempDir(), "out", "trace.json")
	tr, err := New(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []event.Event{
		event.RunStarted{Time: at(0), Hostname: "here", RunID: "r"},
		event.GatewayOpening{Time: at(0), Gateway: "gw0"}, event.GatewayUp{Time: at(5), Gateway: "gw0", Hostname: "a"},
		event.GatewayOpening{Time: at(0), Gateway: "gw1"}, event.GatewayUp{Time: at(9), Gateway: "gw1", Hostname: "b"},
		event.Collected{Time: at(3), Platform: "linux/amd64"},
		event.Sending{Time: at(6), Hostname: "b", Bytes: 10}, event.Sending{Time: at(8), Hostname: "b", Bytes: 20},
		event.Built{Time: at(10), Platform: "linux/amd64", Package: "m/p", Ready: true},
		event.UnitStarted{Time: at(10), Gateway: "gw0", Package: "m/p"},
		event.Progress{Time: at(11), Gateway: "gw0", Action: "run", Package: "m/p", Test: "TestX"},
		event.Progress{Time: at(12), Gateway: "gw0", Action: "run", Package: "m/p", Test: "TestX/sub"},
		event.Progress{Time: at(21), Gateway: "gw0", Action: "fail", Package: "m/p", Test: "TestX"},
		event.Progress{Time: at(22), Gateway: "gw0", Action: "run", Package: "m/p", Test: "TestCut"},
		event.UnitEnded{Time: at(25), Gateway: "gw0", Package: "m/p"},
		event.UnitStarted{Time: at(30), Gateway: "gw1", Package: "m/p"},
		event.Progress{Time: at(31), Gateway: "gw1", Action: "run", Package: "m/p", Test: "TestX"},
		event.Progress{Time: at(35), Gateway: "gw1", Action: "pass", Package: "m/p", Test: "TestX"},
		event.UnitEnded{Time: at(36), Gateway: "gw1", Package: "m/p"},
		event.RunEnded{Time: at(40)},
	} {
		if err := tr.Handle(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var read struct {
		TraceEvents []entry `json:"traceEvents"`
	}
	if err := json.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	var tests, processes, steps []entry
	names := map[[2]int]string{} // of threads
	for _, e := range read.TraceEvents {
		count[e.Phase]++
		switch e.Category {
		case "test":
			tests = append(tests, e)
		case "process":
			processes = append(processes, e)
		case "step":
			steps = append(steps, e)
		}
		if e.Name == "thread_name" {
			names[[2]int{e.Process, e.Thread}] = e.Args["name"].(string)
		}
	}
	var told []string
	for _, e := range steps {
		told = append(told, fmt.Sprintf("%s in %s of %d, %d+%d", e.Name, names[[2]int{e.Process, e.Thread}], e.Process, e.Time/1000, e.Duration/1000))
	}
	if want := []string{"connect in gw0 of 2, 0+5", "connect in gw1 of 3, 0+9", "collect in linux/amd64 of 1, 0+3", "send in to b of 3, 6+2", "build m/p in linux/amd64 of 1, 3+7"}; !slices.Equal(told, want) {
		t.Errorf("steps %q, want %q", told, want)
	}
	if count["M"] != 7 || count["s"] != 1 || count["f"] != 1 || count["i"] != 0 || len(tests) != 3 || len(processes) != 2 {
		t.Errorf("events by phase %v, %d tests, %d processes", count, len(tests), len(processes))
	}
	for _, e := range tests {
		if !slices.ContainsFunc(processes, func(p entry) bool {
			return p.Process == e.Process && p.Thread == e.Thread && p.Time <= e.Time && e.Time+e.Duration <= p.Time+p.Duration
		}) {
			t.Errorf("%+v is in no process", e)
		}
	}
	if _, err := New(filepath.Join("trace.go", "x")); err == nil || !strings.Contains(err.Error(), "prepare trace") {
		t.Errorf("the error is %v", err)
	}
}
