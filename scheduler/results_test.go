package scheduler

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xdist-go/xdist/scheduler/event"
)

// TestWarnOfHost shows that what all workers of a host say of it is shown once, and what those of
// another host say too.
func TestWarnOfHost(t *testing.T) {
	r := new(record)
	c := newController(Config{Reporter: r})
	for _, host := range []string{"h1", "h1", "h2"} {
		c.warnOfHost(host, "no room")
	}
	c.warnOfHost("h1", "no exec")
	want := []event.Event{event.Warning{Text: "host h1: no room"}, event.Warning{Text: "host h2: no room"}, event.Warning{Text: "host h1: no exec"}}
	if diff := cmp.Diff(want, r.events); diff != "" {
		t.Errorf("shown (-want +got):\n%s", diff)
	}
}
