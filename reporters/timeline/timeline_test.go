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
	line := Timeline{Limit: 6}
	for _, e := range []event.Event{
		event.RunStarted{Time: at(0)},
		event.GatewayUp{Gateway: "gw0", Hostname: "a"}, event.GatewayUp{Gateway: "gw1", Hostname: "b"},
		event.UnitStarted{Time: at(-5), Gateway: "gw1", Package: "p"},
		tell(1, "run", "TestX"), tell(2, "run", "TestX/sub"), tell(3, "pass", "TestX/sub"), tell(4, "pass", "TestX"),
		tell(5, "run", "TestZ"), tell(6, "run", "TestY"), tell(7, "pause", "TestY"),
		event.UnitEnded{Time: at(9), Gateway: "gw1", Package: "p"},
		event.GatewayUp{Gateway: "gw1", Hostname: "c"},
		tell(10, "run", "TestX"), tell(11, "fail", "TestX"), tell(14, "run", "TestY"), tell(15, "pass", "TestY"), tell(16, "run", "TestX"), tell(17, "skip", "TestX"),
		event.Progress{Time: at(1), Gateway: "gw9", Action: "run", Package: "p", Test: "TestX"},
	} {
		line.Add(e)
	}
	bar := func(test string, from, to int, o Outcome) Bar {
		b := Bar{Package: "p", Test: test, From: time.Duration(from) * time.Millisecond, To: time.Duration(to) * time.Millisecond, Gateway: 1, Attempt: 1, Outcome: o}
		if o == Process {
			b.Attempt = 0
		}
		return b
	}
	third := bar("TestY", 14, 15, Passed)
	third.Attempt = 2
	want := Timeline{
		Limit: 6, Lost: 1, Gateways: []Gateway{{"gw0", "a"}, {"gw1", "c"}},
		Bars: []Bar{bar("TestX", 1, 4, Passed), bar("TestZ", 5, 9, Ended), bar("TestY", 6, 9, Ended), bar("", 0, 9, Process), bar("TestX", 10, 11, Failed), third},
	}
	if diff := cmp.Diff(want, line, cmpopts.IgnoreUnexported(Timeline{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := want.Bars[0].ID() + " " + want.Bars[3].ID() + " " + Failed.String() + Ended.String(); got != "p::TestX p failended" {
		t.Errorf("ids and outcomes are %s", got)
	}
}

// What the run stood still is in no bar: of a process that stood in the middle of a test, of one
// that began later, and of an event that was on its way when the run was suspended.
func TestBarsWithoutStandstill(t *testing.T) {
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	at := func(s int) time.Time { return began.Add(time.Duration(s) * time.Second) }
	tell := func(s int, action, test string) event.Progress {
		return event.Progress{Time: at(s), Gateway: "gw0", Action: action, Package: "p", Test: test}
	}
	line := Timeline{Limit: 5}
	for _, e := range []event.Event{
		event.RunStarted{Time: at(0)}, event.GatewayUp{Gateway: "gw0"},
		event.UnitStarted{Time: at(1), Gateway: "gw0", Package: "p"},
		tell(2, "run", "TestX"),
		event.Suspended{Time: at(5)}, event.Resumed{Time: at(105), Stood: 100 * time.Second},
		tell(3, "pass", "TestX"), tell(4, "run", "TestY"), tell(107, "pass", "TestY"),
		event.Suspended{Time: at(108)}, event.Resumed{Time: at(118), Stood: 10 * time.Second},
		tell(119, "run", "TestZ"), tell(120, "pass", "TestZ"),
		event.UnitEnded{Time: at(121), Gateway: "gw0", Package: "p"},
	} {
		line.Add(e)
	}
	bar := func(test string, from, to int, o Outcome) Bar {
		b := Bar{Package: "p", Test: test, From: time.Duration(from) * time.Second, To: time.Duration(to) * time.Second, Outcome: o}
		if o != Process {
			b.Attempt = 1
		}
		return b
	}
	want := []Bar{bar("TestX", 2, 3, Passed), bar("TestY", 4, 7, Passed), bar("TestZ", 9, 10, Passed), bar("", 1, 11, Process)}
	if diff := cmp.Diff(want, line.Bars); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// What is done so that tests can run: gateways are connected to, packages are built one after the
// other, what is sent to a host is one step until there was nothing for a while. A gateway that
// never answered, and a package that was there already, are no steps.
func TestSteps(t *testing.T) {
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	at := func(ms int) time.Time { return began.Add(time.Duration(ms) * time.Millisecond) }
	const platform = "linux/amd64"
	line := Timeline{Limit: 5}
	for _, e := range []event.Event{
		event.RunStarted{Time: at(0), Hostname: "here"},
		event.GatewayOpening{Time: at(10), Gateway: "gw0"}, event.GatewayOpening{Time: at(10), Gateway: "gw1"},
		event.Collected{Time: at(300), Platform: platform}, event.Collected{Time: at(310), Platform: platform},
		event.Built{Time: at(300), Platform: platform, Package: "m/kept", Ready: true},
		event.Sending{Time: at(400), Hostname: "far", Bytes: 100}, event.Sending{Time: at(900), Hostname: "far", Bytes: 500},
		event.GatewayUp{Time: at(950), Gateway: "gw1", Hostname: "far"},
		event.Built{Time: at(1300), Platform: platform, Package: "m/p", Ready: true},
		event.Built{Time: at(1400), Platform: platform, Package: "m/q"},
		event.Sending{Time: at(2000), Hostname: "far", Bytes: 600}, event.Sending{Time: at(2100), Hostname: "far", Bytes: 650},
	} {
		line.Add(e)
	}
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	want := []Step{
		{Kind: Collect, Of: platform, Host: "here", To: ms(300)},
		{Kind: Send, Of: "far", Host: "far", Bytes: 500, From: ms(400), To: ms(900)},
		{Kind: Connect, Of: "gw1", Host: "far", From: ms(10), To: ms(950)},
		{Kind: Build, Of: platform, Host: "here", Package: "m/p", From: ms(300), To: ms(1300)},
		{Kind: Build, Of: platform, Host: "here", Package: "m/q", From: ms(1300), To: ms(1400), Failed: true},
		{Kind: Send, Of: "far", Host: "far", Bytes: 150, From: ms(2000), To: ms(2100)},
	}
	if diff := cmp.Diff(want, line.Steps); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for range stepsKept + 10 {
		line.Add(event.GatewayOpening{Time: at(10), Gateway: "gw0"})
		line.Add(event.GatewayUp{Time: at(20), Gateway: "gw0", Hostname: "h"})
	}
	if n := len(line.Steps); n != len(want)-1+stepsKept {
		t.Errorf("%d steps are kept", n)
	}
}
