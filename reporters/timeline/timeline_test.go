package timeline

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/xdist-go/xdist/scheduler/event"
)

// A process and its top-level tests have bars, also those that it left open, in the order in which
// they began. What came before the run by a clock that is off begins with it, and bars beyond the
// limit are counted.
func TestBars(t *testing.T) {
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	at := func(ms int) time.Time { return began.Add(time.Duration(ms) * time.Millisecond) }
	tell := func(ms int, action, test string) event.Progress {
		return event.Progress{Time: at(ms), Gateway: "gw1", Action: action, Package: "p", Test: test}
	}
	line := Timeline{Limit: 5}
	for _, e := range []event.Event{
		event.RunStarted{Time: at(0)},
		event.GatewayUp{Gateway: "gw0", Hostname: "a"}, event.GatewayUp{Gateway: "gw1", Hostname: "b"},
		event.UnitStarted{Time: at(-5), Gateway: "gw1", Package: "p"},
		tell(1, "run", "TestX"), tell(2, "run", "TestX/sub"), tell(3, "pass", "TestX/sub"), tell(4, "pass", "TestX"),
		tell(5, "run", "TestZ"), tell(6, "run", "TestY"), tell(7, "pause", "TestY"),
		event.UnitEnded{Time: at(9), Gateway: "gw1", Package: "p"},
		event.GatewayUp{Gateway: "gw1", Hostname: "c"},
		tell(10, "run", "TestX"), tell(11, "fail", "TestX"), tell(12, "run", "TestX"), tell(13, "skip", "TestX"),
		event.Progress{Time: at(1), Gateway: "gw9", Action: "run", Package: "p", Test: "TestX"},
	} {
		line.Add(e)
	}
	bar := func(test string, from, to int, o Outcome) Bar {
		return Bar{Package: "p", Test: test, From: time.Duration(from) * time.Millisecond, To: time.Duration(to) * time.Millisecond, Gateway: 1, Outcome: o}
	}
	want := Timeline{
		Limit: 5, Lost: 1, Gateways: []Gateway{{"gw0", "a"}, {"gw1", "c"}},
		Bars: []Bar{bar("TestX", 1, 4, Passed), bar("TestZ", 5, 9, Ended), bar("TestY", 6, 9, Ended), bar("", 0, 9, Process), bar("TestX", 10, 11, Failed)},
	}
	if diff := cmp.Diff(want, line, cmpopts.IgnoreUnexported(Timeline{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := want.Bars[0].ID() + " " + want.Bars[3].ID() + " " + Failed.String() + Ended.String(); got != "p::TestX p failended" {
		t.Errorf("ids and outcomes are %s", got)
	}
}
