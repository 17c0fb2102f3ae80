package reporters

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xdist-go/xdist/scheduler/event"
)

type recorder struct {
	name string
	log  *[]string
	err  error
}

func (r recorder) Handle(event.Event) error {
	*r.log = append(*r.log, "handle "+r.name)
	return r.err
}

func (r recorder) Close() error {
	*r.log = append(*r.log, "close "+r.name)
	return r.err
}

func TestMultiCallsAllInOrderAndJoinsErrors(t *testing.T) {
	var log []string
	errA, errC := errors.New("a"), errors.New("c")
	m := Multi(recorder{"a", &log, errA}, recorder{"b", &log, nil}, recorder{"c", &log, errC})
	for _, err := range []error{m.Handle(event.Warning{}), m.Close()} {
		if !errors.Is(err, errA) || !errors.Is(err, errC) {
			t.Errorf("error is %v", err)
		}
	}
	want := []string{"handle a", "handle b", "handle c", "close a", "close b", "close c"}
	if diff := cmp.Diff(want, log); diff != "" {
		t.Error(diff)
	}
	if err := Multi().Handle(event.Warning{}); err != nil {
		t.Errorf("none: %v", err)
	}
}

func TestDurations(t *testing.T) {
	run := recordedAsRun(t, recordedRun)
	for name, n := range map[string]int{"durations-3.txt": 3, "durations-all.txt": 0} {
		var out bytes.Buffer
		play(t, NewDurations(DurationsConfig{Out: &out, Count: n}), run)
		golden(t, name, out.String())
	}
}

func TestDurationsOff(t *testing.T) {
	var out bytes.Buffer
	play(t, NewDurations(DurationsConfig{Out: &out, Count: -1}), recordedAsRun(t, recordedRun))
	play(t, NewDurations(DurationsConfig{Out: &out}), []event.Event{event.RunEnded{}})
	if out.Len() != 0 {
		t.Errorf("wrote %q", out.String())
	}
}

func TestDurationsWriterFails(t *testing.T) {
	run := recordedAsRun(t, recordedRun)
	d := NewDurations(DurationsConfig{Out: &fullWriter{}})
	if err := d.Handle(run[len(run)-1]); !errors.Is(err, errFull) {
		t.Errorf("Handle returned %v", err)
	}
}

func TestNotices(t *testing.T) {
	var out bytes.Buffer
	play(t, NewNotices(&out), []event.Event{
		testEvent("output", "TestX", "not for Notices\n"),
		event.Stderr{Text: "go: note\n"}, event.Warning{Text: "slow"},
		event.GatewayDown{Gateway: "gw0"}, event.GatewayDown{Gateway: "gw1", Reason: "signal: killed"},
		event.RunEnded{Summary: event.Summary{Collected: 1, Counts: map[event.Verdict]int{event.Pass: 1}}},
	})
	want := "go: note\nwarning: slow\nwarning: gateway gw1 is down: signal: killed\n1 item: 1 pass\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}
