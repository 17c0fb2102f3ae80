package reporters

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/history"
	"github.com/xdist-go/xdist/scheduler/event"
)

// kinds are the forms of the lines by the names of their events.
var kinds = map[string][]any{
	"run": {runLine{}}, "collected": {collectedLine{}}, "built": {builtLine{}}, "build-step": {buildStepLine{}}, "listening": {listeningLine{}},
	"gateway": {gatewayLine{}, "gateway-opening", "gateway-up", "gateway-down"}, "unit": {unitLine{}, "unit-started", "unit-ended"},
	"test": {testLine{}}, "progress": {progressLine{}}, "suspected": {suspicionLine{}}, "sending": {sendingLine{}}, "estimate": {estimateLine{}}, "slow": {slowLine{}}, "running": {runningLine{}}, "standstill": {standstillLine{}, "suspended", "resumed"},
	"text": {textLine{}, "stderr", "warning"}, "learned": {learnedLine{}}, "verdict": {verdictLine{}}, "end": {endLine{}},
}

// everyEvent has each kind of event once, with all of its fields.
func everyEvent() []event.Event {
	at := time.Date(2026, 1, 2, 3, 4, 5, 600, time.UTC)
	elapsed := 0.25
	return []event.Event{
		event.RunStarted{Time: at, RunID: "r", Dist: "load", Specs: []string{"popen"}, Command: []string{"./..."}, Workdir: "/m", Hostname: "h", Shard: "1/2", Version: "v1", GoVersion: "go1.26.0", Platform: "linux/amd64"},
		event.Collected{Time: at, Platform: "linux/amd64", Packages: 1, Items: 2, Dirs: map[string]string{"m/p": "/m/p"}},
		event.Built{Time: at, Platform: "linux/amd64", Package: "m/p", Ready: true},
		event.Listening{Spec: "listen=:0", Addr: "127.0.0.1:1"},
		event.GatewayOpening{Time: at, Gateway: "gw0", Spec: "popen"},
		event.GatewayUp{Time: at, Gateway: "gw0", Spec: "popen", Hostname: "h", Platform: "linux/amd64", Pid: 1},
		event.UnitStarted{Time: at, Gateway: "gw0", Package: "m/p", Items: 2, Tests: []string{"TestX/..."}, Skip: []string{"a"}, Key: "k"},
		event.Progress{Time: at, Gateway: "gw0", Action: "run", Package: "m/p", Test: "TestX", Expected: time.Second},
		event.Suspected{Time: at, Gateway: "gw0", Package: "m/p", Test: "TestX", Why: "w", Said: []test2json.Event{{Action: "output", Output: "    x_test.go:3: m\n"}}},
		event.BuildStep{Time: at, Platform: "linux/amd64", Step: "link a.test"},
		event.Sending{Time: at, Hostname: "h", Bytes: 1},
		event.Estimate{Time: at, Left: time.Minute},
		event.SlowTest{Time: at, Gateway: "gw0", Package: "m/p", Test: "TestX", Running: time.Minute},
		event.Running{Time: at, Gateways: []event.GatewayRuns{{
			Gateway: "gw0", Package: "m/p", For: time.Minute, More: 1, Output: "o",
			Tests: []event.TestRuns{{Test: "TestX/a", For: time.Second, Expected: time.Second, Waits: true, Output: "o"}},
		}}},
		event.Suspended{Time: at}, event.Resumed{Time: at, Stood: time.Minute},
		event.UnitEnded{Time: at, Gateway: "gw0", Package: "m/p"},
		event.Test{Event: test2json.Event{Time: at, Action: "fail", ImportPath: "i", Package: "m/p", Test: "TestX", Elapsed: &elapsed, Output: "<o>", FailedBuild: "b", Key: "k", Value: "v", Path: "p"},
			Gateway: "gw0", Platform: "linux/amd64", Attempt: 2, Again: true},
		event.Stderr{Text: "s"}, event.Warning{Text: "w"},
		event.Learned{Lesson: history.Lesson{Platform: "linux/amd64", Package: "m/p", Test: "TestX", Kind: history.Red, Undone: true}},
		event.GatewayDown{Time: at, Gateway: "gw0", Reason: "gone"},
		event.RunEnded{Time: at, Elapsed: time.Minute, Fatal: errors.New("f"), Summary: event.Summary{
			Collected: 2, Counts: map[event.Verdict]int{event.Flaky: 1, event.NotRun: 1}, Failed: 1, BuildFailed: 1, Interrupted: true, Stopped: "s",
			Coverage: "c", Unbalanced: "u", NothingRan: "n", LeftOut: 1, Shards: "d", Flags: "f", NotRun: []event.NotRunItem{{ID: "m/p::TestY", Reason: "r"}},
			Durations: []event.ItemSeconds{{ID: "m/p::TestX", Platform: "linux/amd64", Gateway: "gw0", Verdict: event.Flaky, Elapsed: time.Second, Expected: time.Second, Failures: 1}},
		}},
	}
}

// written are the lines of a run.
func written(t *testing.T, run []event.Event) []string {
	t.Helper()
	var out bytes.Buffer
	e, err := OpenEvents("-", &out)
	if err != nil {
		t.Fatal(err)
	}
	play(t, e, run)
	return strings.SplitAfter(strings.TrimSuffix(out.String(), "\n"), "\n")
}

// The schema in docs is that of the forms, and holds for what is written.
func TestEventsSchema(t *testing.T) {
	file := filepath.Join("..", "docs", "events.schema.json")
	made, err := json.MarshalIndent(schema(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	made = append(made, '\n')
	if *update {
		if err := os.WriteFile(file, made, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(kept), string(made)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
	valid := eventsSchema(t)
	for _, run := range [][]event.Event{everyEvent(), recordedAsRun(t, recordedRun), recordedAsRun(t, recordedBench), suspectedRun()} {
		for _, line := range written(t, run) {
			if err := valid(line); err != nil {
				t.Errorf("%s: %v", line, err)
			}
		}
	}
	for _, wrong := range []string{`{"event":"nothing"}`, `{"event":"warning"}`, `{"event":"warning","text":1}`, `{"event":"warning","text":"w","more":1}`, `{"text":"w"}`} {
		if valid(wrong) == nil {
			t.Errorf("%s is valid", wrong)
		}
	}
}

// eventsSchema returns what holds a line to the schema in docs.
func eventsSchema(t *testing.T) (valid func(line string) error) {
	t.Helper()
	compiled, err := jsonschema.NewCompiler().Compile(filepath.Join("..", "docs", "events.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	return func(line string) error {
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(line))
		if err != nil {
			return err
		}
		return compiled.Validate(value)
	}
}

// schema is made of the forms: fields that are always there are required.
func schema() any {
	type object = map[string]any
	var of func(t reflect.Type) any
	fields := func(t reflect.Type, properties object, required []string) object {
		for field := range t.Fields() {
			tag, option, _ := strings.Cut(field.Tag.Get("json"), ",")
			if tag == "" {
				continue // head
			}
			properties[tag] = of(field.Type)
			if option == "" {
				required = append(required, tag)
			}
		}
		return object{"type": "object", "properties": properties, "required": required, "additionalProperties": false}
	}
	of = func(t reflect.Type) any {
		switch {
		case t == reflect.TypeFor[time.Time]():
			return object{"type": "string", "format": "date-time"}
		case t.Kind() == reflect.Struct:
			return fields(t, object{}, nil)
		case t.Kind() == reflect.Pointer:
			return of(t.Elem())
		case t.Kind() == reflect.Slice:
			return object{"type": "array", "items": of(t.Elem())}
		case t.Kind() == reflect.Map:
			return object{"type": "object", "additionalProperties": of(t.Elem())}
		case t.Kind() == reflect.String:
			return object{"type": "string"}
		case t.Kind() == reflect.Bool:
			return object{"type": "boolean"}
		case t.Kind() == reflect.Int:
			return object{"type": "integer"}
		}
		return object{"type": "number"}
	}
	defs, choice := object{}, []any{}
	for name, form := range kinds {
		events := form[1:]
		if len(events) == 0 {
			events = []any{name}
		}
		properties, required := object{"event": object{"enum": events}, "time": of(reflect.TypeFor[time.Time]())}, []string{"event"}
		defs[name] = fields(reflect.TypeOf(form[0]), properties, required)
	}
	for _, name := range []string{"run", "collected", "built", "build-step", "listening", "gateway", "unit", "test", "progress", "suspected", "sending", "estimate", "slow", "running", "standstill", "text", "learned", "verdict", "end"} {
		choice = append(choice, object{"$ref": "#/$defs/" + name})
	}
	return object{"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A line of xdist --events, version 1", "oneOf": choice, "$defs": defs}
}

// The documentation names every event and every field, and every line of the run has what it is to
// have.
func TestEventsAreDocumented(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "docs", "events.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if cells := strings.Split(line, "|"); len(cells) > 3 {
			rows[strings.Trim(cells[1], " `")] = line
		}
	}
	seen := map[string]map[string]bool{}
	for _, line := range written(t, everyEvent()) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatal(err)
		}
		name := fields["event"].(string)
		if seen[name] == nil {
			seen[name] = map[string]bool{}
		}
		for field := range fields {
			seen[name][field] = true
			if row := rows[name]; field != "event" && field != "time" && !strings.Contains(row, "`"+field+"`") {
				t.Errorf("docs/events.md does not say what %s of %s is", field, name)
			}
		}
	}
	for name, form := range kinds {
		for i := range max(1, len(form)-1) {
			if len(form) > 1 {
				name = form[1+i].(string)
			}
			if seen[name] == nil {
				t.Errorf("no event is %s", name)
			}
		}
	}
	for name := range rows {
		if seen[name] == nil && name != "event" && !strings.HasPrefix(name, "---") {
			t.Errorf("docs/events.md has %s, which does not exist", name)
		}
	}
}

// What cannot be written is known before the run, or is the error of the run.
func TestEventsThatCannotBeWritten(t *testing.T) {
	for place, want := range map[string]string{
		"fd:x": "want fd:N with a number", "fd:987": "was given no such descriptor", filepath.Join("doc.go", "x"): "not a directory",
	} {
		if _, err := OpenEvents(place, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", place, err)
		}
	}
	e, err := OpenEvents("-", &fullWriter{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := e.Handle(event.Warning{Text: "w"}); err == nil || !strings.Contains(err.Error(), "write events to \"-\"") {
			t.Errorf("the error is %v", err)
		}
	}
}
