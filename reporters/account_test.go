package reporters

import (
	"strings"
	"testing"
	"time"

	"github.com/xdist-go/xdist/scheduler/event"
)

// The account says what the run waited for before its first test, and what made it long.
func TestBound(t *testing.T) {
	at := func(s float64) time.Time { return startOfClock.Add(time.Duration(s * float64(time.Second))) }
	up, built := event.GatewayUp{Gateway: "gw0"}, event.Built{Package: "m/p", Ready: true}
	for _, tt := range []struct {
		name         string
		events       []event.Event // before the first test
		first, last  float64       // seconds
		longest      time.Duration
		times, bound string
	}{
		{"the build", []event.Event{up, built}, 8, 10, 0, "10s (build 8s, tests 2s on 1 gateway)", "bounded by the build: 8s of 10s"},
		{"connections", []event.Event{built, up}, 8, 10, 0, "10s (connect 8s, tests 2s on 1 gateway)", "bounded by the connections to gateways: 8s of 10s"},
		{"a test", []event.Event{event.Built{Package: "m/q"}, up, built}, 1, 10, 7 * time.Second, "10s (build 1s, tests 9s on 1 gateway)", "bounded by m/p.TestX on gw0: 7s of 9s"},
		{"nothing by itself", []event.Event{up, built}, 4, 10, 2 * time.Second, "10s (build 4s, tests 6s on 1 gateway)", ""},
		{"nothing that matters", []event.Event{up, built}, 1.5, 1.9, 0, "1.9s (build 1.5s, tests 400ms on 1 gateway)", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var a account
			for _, e := range append([]event.Event{event.RunStarted{Time: at(0)}}, append(tt.events, event.UnitStarted{Time: at(tt.first), Gateway: "gw0"})...) {
				a.learn(e)
			}
			e := &event.RunEnded{Elapsed: time.Duration(tt.last * float64(time.Second))}
			if tt.longest > 0 {
				e.Summary.Durations = []event.ItemSeconds{{ID: "m/p::TestX", Gateway: "gw0", Elapsed: tt.longest}, {ID: "m/p::TestY", Elapsed: time.Millisecond}}
			}
			d := &digest{console: &Console{cfg: ConsoleConfig{Out: new(strings.Builder)}}}
			if times, bound := a.times(e), a.bound(e, d); times != tt.times || bound != tt.bound {
				t.Errorf("%q, %q; want %q, %q", times, bound, tt.times, tt.bound)
			}
		})
	}
}
