package reporters

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xdist-go/xdist/scheduler/event"
)

// asked is what somebody sees who asks what runs.
func asked(at time.Time) event.Running {
	return event.Running{Time: at, Gateways: []event.GatewayRuns{
		{Gateway: "gw0", Package: "m/p", For: 12 * time.Second, More: 3, Tests: []event.TestRuns{
			{Test: "TestX/sub", For: 12 * time.Second, Expected: 4 * time.Second, Output: "    x_test.go:3: \x1b[31mred\x1b[0m\n\tlistening\n"},
			{Test: "TestY", For: 10 * time.Millisecond, Waits: true},
		}},
		{Gateway: "gw1", Package: "m/q", For: 3 * time.Second, Output: "starting a server\n"},
		{Gateway: "gw10"},
	}}
}

const askedText = `gw0   m/p.TestX/sub  12s of 4s expected
      x_test.go:3: red
      listening
gw0   m/p.TestY  10ms, waits for others (t.Parallel)
gw0   … and 3 more
gw1   m/q, no test of it, 3s
      starting a server
gw10  idle
`

// What the gateways run is told above the status, or where there is none on standard error: beside
// events of go test -json as well.
func TestRunning(t *testing.T) {
	l := newLiveConsole(t, FormatXdist, 80)
	l.handle(event.RunStarted{Time: startOfClock}, event.Collected{Items: 10, Packages: 2}, event.GatewayUp{Gateway: "gw0"})
	l.clock.advance(time.Second)
	l.handle(asked(startOfClock.Add(12 * time.Second)))
	l.clock.advance(11 * time.Second)
	head := "=== Running  0/10 0% · building 0/2 packages · 12s\n"
	l.shows(head + askedText + "0/10 0% · building 0/2 packages · 12s")

	stdout, stderr := consoleText(t, ConsoleConfig{}, []event.Event{asked(startOfClock), event.RunEnded{}})
	if !strings.Contains(stderr, askedText) || strings.Contains(stdout, "Running") {
		t.Errorf("standard output:\n%s\nstandard error:\n%s", stdout, stderr)
	}
	var notices bytes.Buffer
	play(t, NewNotices(&notices), []event.Event{asked(startOfClock)})
	if diff := cmp.Diff("=== Running\n"+askedText, notices.String()); diff != "" {
		t.Errorf("notices (-want +got):\n%s", diff)
	}
}

// While the run stands still the terminal is the shell's: there is no status. Then it goes on where
// it was, and the time in between has not passed.
func TestStatusWhileSuspended(t *testing.T) {
	l := newLiveConsole(t, FormatXdist, 80)
	l.handle(event.RunStarted{Time: startOfClock}, event.Collected{Items: 10}, event.GatewayUp{Gateway: "gw0"},
		event.UnitStarted{Gateway: "gw0", Package: "m/p", Time: startOfClock})
	l.clock.advance(2 * time.Second)
	l.shows("0/10 0% · 2s · gw0 m/p 2s")
	l.handle(event.Suspended{Time: l.clock.Now()})
	l.shows("")
	l.clock.advance(time.Hour)
	l.shows("")
	l.handle(event.Resumed{Time: l.clock.Now(), Stood: time.Hour})
	l.clock.advance(time.Second)
	l.shows("0/10 0% · 3s · gw0 m/p 3s")
}

// The time that a run stood still is in none of the times of its account.
func TestAccountWhileSuspended(t *testing.T) {
	at := func(s int) time.Time { return startOfClock.Add(time.Duration(s) * time.Second) }
	unit := event.UnitStarted{Gateway: "gw0", Package: "m/p"}
	resumed := event.Resumed{Stood: time.Hour}
	for name, run := range map[string][]event.Event{
		"before the first test": {event.Suspended{}, resumed, func() event.Event { unit.Time = at(3604); return unit }()},
		"after it":              {func() event.Event { unit.Time = at(4); return unit }(), event.Suspended{}, resumed},
	} {
		run = append([]event.Event{event.RunStarted{Time: at(0)}}, run...)
		run = append(run, event.RunEnded{Time: at(3606), Elapsed: 6 * time.Second, Summary: event.Summary{Collected: 1}})
		stdout, _ := consoleText(t, ConsoleConfig{}, run)
		if want := "6s (build 4s, tests 2s on 1 gateway)"; !strings.Contains(stdout, want) {
			t.Errorf("%s: %q is not in:\n%s", name, want, stdout)
		}
	}
}

// Where standard output is a file or a pipe the status is on the terminal of standard error, and
// goes away while something is written: a pipe may lead to the terminal too.
func TestStatusOnStandardError(t *testing.T) {
	term, clock := newTerminal(t, 80), newFakeClock()
	var out bytes.Buffer
	c := newConsole(t, ConsoleConfig{Out: &out, Err: term, Width: term.columns, Apart: true, Clock: clock.clock()})
	l := liveConsole{c, t, term, clock}
	l.handle(event.RunStarted{Time: startOfClock}, event.Collected{Items: 2}, event.GatewayUp{Gateway: "gw0"},
		event.UnitStarted{Gateway: "gw0", Package: "m/p", Time: startOfClock})
	clock.advance(time.Second)
	l.shows("0/2 0% · 1s · gw0 m/p 1s")
	l.handle(event.Warning{Text: "gw0 is slow"})
	clock.advance(time.Second)
	l.shows("warning: gw0 is slow", "0/2 0% · 2s · gw0 m/p 2s")
	l.handle(on(testEvent("pass", "", ""), "gw0", "m/p", 2, 1, 2))
	l.shows("warning: gw0 is slow")
	clock.advance(time.Second)
	l.shows("warning: gw0 is slow", "1/2 50% · 3s · gw0 m/p 3s")
	l.handle(event.RunEnded{Summary: event.Summary{Collected: 2}})
	l.shows("warning: gw0 is slow")
	if got := out.String(); !strings.HasPrefix(got, "✓  m/p (0s)\n") || strings.Contains(got, "\x1b") {
		t.Errorf("standard output is %q", got)
	}
}
