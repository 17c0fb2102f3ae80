package otel

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/scheduler/event"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func at(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }

// aRun has a test that fails on one gateway and passes on another, and one that was cut off.
func aRun() []event.Event {
	test := func(gateway, action, name, output string) event.Event {
		return event.Test{Event: test2json.Event{Time: at(21), Action: action, Package: "m/p", Test: name, Output: output}, Gateway: gateway, Attempt: 1}
	}
	return []event.Event{
		event.RunStarted{Time: at(0), Hostname: "here", RunID: "r", Command: []string{"./..."}},
		event.GatewayOpening{Time: at(0), Gateway: "gw0"}, event.GatewayUp{Time: at(5), Gateway: "gw0", Hostname: "a"},
		event.GatewayOpening{Time: at(0), Gateway: "gw1"}, event.GatewayUp{Time: at(9), Gateway: "gw1", Hostname: "b"},
		event.Collected{Time: at(3), Platform: "linux/amd64"},
		event.Sending{Time: at(6), Hostname: "b", Bytes: 10}, event.Sending{Time: at(8), Hostname: "b", Bytes: 20},
		event.Built{Time: at(10), Platform: "linux/amd64", Package: "m/p", Ready: true}, event.Built{Time: at(20), Platform: "linux/amd64", Package: "m/q"},
		event.UnitStarted{Time: at(10), Gateway: "gw0", Package: "m/p"},
		event.Progress{Time: at(11), Gateway: "gw0", Action: "run", Package: "m/p", Test: "TestX"},
		event.Progress{Time: at(12), Gateway: "gw0", Action: "run", Package: "m/p", Test: "TestX/sub"},
		event.Progress{Time: at(21), Gateway: "gw0", Action: "fail", Package: "m/p", Test: "TestX"},
		event.Progress{Time: at(22), Gateway: "gw0", Action: "run", Package: "m/p", Test: "TestCut"},
		event.UnitEnded{Time: at(25), Gateway: "gw0", Package: "m/p"},
		test("gw0", "run", "TestX", ""), test("gw0", "output", "TestX", "    x_test.go:7: it is 3, not 4\n"), test("gw0", "fail", "TestX", ""),
		event.UnitStarted{Time: at(30), Gateway: "gw1", Package: "m/p"},
		event.Progress{Time: at(31), Gateway: "gw1", Action: "run", Package: "m/p", Test: "TestX"},
		event.Progress{Time: at(35), Gateway: "gw1", Action: "pass", Package: "m/p", Test: "TestX"},
		event.UnitEnded{Time: at(36), Gateway: "gw1", Package: "m/p"},
		event.RunEnded{Time: at(40), Summary: event.Summary{Counts: map[event.Verdict]int{event.Flaky: 1}}},
	}
}

// send returns what is sent of events, and what is warned of.
func send(t *testing.T, fails error, events []event.Event) (sent tracetest.SpanStubs, warned []error, env []string) {
	t.Helper()
	tr, err := newTrace(t.Context(), Config{Version: "v1", Warn: func(err error) { warned = append(warned, err) }}, exporter{tracetest.NewInMemoryExporter(), fails, &sent})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if err := tr.Handle(e); err != nil {
			t.Fatal(err)
		}
	}
	env = tr.Env()
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	return sent, warned, env
}

// Each attempt has a span in its process, and a failure its message and place.
func TestTrace(t *testing.T) {
	t.Setenv("TRACEPARENT", "")
	sent, warned, env := send(t, nil, aRun())
	byID, attempts := map[string]tracetest.SpanStub{}, map[string]codes.Code{}
	for _, s := range sent {
		byID[s.SpanContext.SpanID().String()] = s
	}
	for _, s := range sent {
		above := byID[s.Parent.SpanID().String()]
		inside := !s.StartTime.Before(above.StartTime) && !s.EndTime.After(above.EndTime)
		want := map[string]string{"xdist": "", "m/p": "xdist", "connect gw0": "xdist", "connect gw1": "xdist", "collect linux/amd64": "xdist", "build m/p": "xdist", "build m/q": "xdist", "send b": "xdist", "TestX": "m/p", "TestCut": "m/p"}[s.Name]
		if above.Name != want || want == "m/p" && !inside {
			t.Errorf("%s is in %q, %v to %v", s.Name, above.Name, s.StartTime, s.EndTime)
		}
		var text strings.Builder
		for _, kv := range s.Attributes {
			text.WriteString(string(kv.Key) + "=" + kv.Value.String() + " ")
		}
		attempts[s.Name+" "+text.String()] = s.Status.Code
		if s.Status.Code == codes.Error && s.Name == "TestX" && (s.Status.Description != "it is 3, not 4" || !strings.Contains(text.String(), "x_test.go")) {
			t.Errorf("the failure: %v %s", s.Status, &text)
		}
		if s.Name == "xdist" && (len(env) != 1 || env[0] != "TRACEPARENT=00-"+s.SpanContext.TraceID().String()+"-"+s.SpanContext.SpanID().String()+"-01") {
			t.Errorf("tests see %q", env)
		}
	}
	for _, want := range []struct {
		has  []string
		code codes.Code
	}{
		{[]string{"TestX ", "result.status=fail", "attempt=1"}, codes.Error},
		{[]string{"TestX ", "result.status=pass", "attempt=2"}, codes.Unset},
		{[]string{"TestCut ", "result.status=ended"}, codes.Error},
		{[]string{"xdist ", "xdist.run.id=r", "xdist.tests.flaky=1", "xdist.gateways=2"}, codes.Unset},
		{[]string{"build m/p ", "xdist.platform=linux/amd64", "host.name=here"}, codes.Unset},
		{[]string{"build m/q "}, codes.Error},
		{[]string{"send b ", "xdist.bytes=20"}, codes.Unset},
		{[]string{"collect linux/amd64 "}, codes.Unset},
		{[]string{"m/p ", "xdist.gateway=gw1", "host.name=b"}, codes.Unset},
	} {
		found := false
		for span, code := range attempts {
			all := code == want.code
			for _, part := range want.has {
				all = all && strings.Contains(span, part)
			}
			found = found || all
		}
		if !found {
			t.Errorf("no span with %q and status %v in %v", want.has, want.code, attempts)
		}
	}
	if len(sent) != 12 || len(warned) > 0 {
		t.Errorf("%d spans, warned of %v", len(sent), warned)
	}
}

// A test that failed for a subtest says what that has said.
func TestFailedSubtest(t *testing.T) {
	t.Setenv("TRACEPARENT", "")
	test := func(action, name, output string) event.Event {
		return event.Test{Event: test2json.Event{Time: at(21), Action: action, Package: "m/p", Test: name, Output: output}, Gateway: "gw0", Attempt: 1}
	}
	sent, _, _ := send(t, nil, []event.Event{
		event.RunStarted{Time: at(0)}, event.GatewayUp{Time: at(5), Gateway: "gw0"}, event.UnitStarted{Time: at(10), Gateway: "gw0", Package: "m/p"},
		event.Progress{Time: at(11), Gateway: "gw0", Action: "run", Package: "m/p", Test: "TestX"},
		event.Progress{Time: at(21), Gateway: "gw0", Action: "fail", Package: "m/p", Test: "TestX"}, event.UnitEnded{Time: at(25), Gateway: "gw0", Package: "m/p"},
		test("run", "TestX", ""), test("run", "TestX/sub", ""), test("output", "TestX/sub", "        x_test.go:9: it is 5\n"), test("fail", "TestX/sub", ""), test("fail", "TestX", ""),
		event.RunEnded{Time: at(40)},
	})
	for _, s := range sent {
		if s.Name == "TestX" && s.Status.Description != "it is 5" {
			t.Errorf("the failure is %+v", s.Status)
		}
	}
	if len(sent) != 3 {
		t.Errorf("%d spans", len(sent))
	}
}

// A caller that does not sample its trace gets none of this run, and tests are told so.
func TestUnsampled(t *testing.T) {
	t.Setenv("TRACEPARENT", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")
	sent, _, env := send(t, nil, aRun())
	if len(sent) > 0 || len(env) != 1 || !strings.HasPrefix(env[0], "TRACEPARENT=00-0af7651916cd43dd8448eb211c80319c-") || !strings.HasSuffix(env[0], "-00") {
		t.Errorf("%d spans, tests see %q", len(sent), env)
	}
}

// The first error ends the sending, and is told once.
func TestCollectorFails(t *testing.T) {
	t.Setenv("TRACEPARENT", "")
	events := aRun()
	for range 3 * batchSize {
		events = append(events[:len(events)-1:len(events)-1],
			event.UnitStarted{Time: at(36), Gateway: "gw1", Package: "m/p"}, event.UnitEnded{Time: at(37), Gateway: "gw1", Package: "m/p"}, events[len(events)-1])
	}
	refused := errors.New("it is full")
	sent, warned, _ := send(t, refused, events)
	if len(sent) != batchSize || len(warned) != 1 || !errors.Is(warned[0], refused) {
		t.Errorf("%d spans, warned of %v", len(sent), warned)
	}
	if sent, _, _ := send(t, nil, events); len(sent) != 12+3*batchSize {
		t.Errorf("%d spans of a collector that takes all", len(sent))
	}
	// A run that has not begun has no trace.
	if sent, warned, _ := send(t, nil, nil); len(sent)+len(warned) > 0 {
		t.Errorf("%d spans, warned of %v", len(sent), warned)
	}
}

// exporter keeps what it is given, and fails with an error, if any.
type exporter struct {
	*tracetest.InMemoryExporter
	fails error
	all   *tracetest.SpanStubs
}

func (e exporter) ExportSpans(_ context.Context, spans []sdk.ReadOnlySpan) error {
	*e.all = append(*e.all, tracetest.SpanStubsFromReadOnlySpans(spans)...)
	return e.fails
}
