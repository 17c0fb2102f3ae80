package scheduler

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/scheduler/event"
	"github.com/xdist-go/xdist/scheduler/hosts"
	"github.com/xdist-go/xdist/xspec"
)

// fakeDoor lets in who knocks.
type fakeDoor struct {
	arrivals chan arrival
	once     sync.Once
	closedc  chan struct{}
	broken   error
}

func newFakeDoor() *fakeDoor {
	return &fakeDoor{arrivals: make(chan arrival, 10), closedc: make(chan struct{})}
}

func (d *fakeDoor) accept(ctx context.Context) (arrival, error) {
	select {
	case a := <-d.arrivals:
		return a, nil
	case <-d.closedc:
		return arrival{}, net.ErrClosed
	case <-ctx.Done():
		return arrival{}, ctx.Err()
	}
}

func (d *fakeDoor) addr() string { return "here:1" }
func (d *fakeDoor) close()       { d.once.Do(func() { close(d.closedc) }) }

const doorText = "listen=here:1//insecure"

func parse(t *testing.T, text string) xspec.Spec {
	t.Helper()
	s, err := xspec.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// knock has an agent come under an id.
func (d *fakeDoor) knock(t *testing.T, id string) {
	d.arrivals <- arrival{spec: parse(t, doorText+"//id="+id)}
}

// runWithDoor is run with a door besides the gateways of w.
func (w *world) runWithDoor(d *fakeDoor) (event.Summary, *record, error) {
	w.cfg.Specs = append(w.cfg.Specs, parse(w.t, doorText))
	r := new(record)
	w.cfg.Reporter = r
	c := newController(w.cfg)
	c.connect = w.connect
	c.listen = func(context.Context, xspec.Spec) (door, error) { return d, d.broken }
	s, err := c.run(w.t.Context())
	return s, r, err
}

// ranOn are the gateways that tests ran on.
func (r *record) ranOn() map[string]string {
	on := map[string]string{}
	for _, e := range r.events {
		if t, ok := e.(event.Test); ok && t.Test != "" && t.Terminal() {
			on[t.Test] = t.Gateway
		}
	}
	return on
}

func TestJoinersAlone(t *testing.T) {
	w := newWorld(t, 1, map[string][]string{"a": names("Pass", "Fail"), "b": names("Pass")})
	w.cfg.Specs = nil
	d := newFakeDoor()
	d.knock(t, "j1")
	s, r, err := w.runWithDoor(d)
	if err != nil {
		t.Fatal(err)
	}
	w.check(s, r)
	w.wantCounts(s, map[event.Verdict]int{event.Pass: 2, event.Fail: 1})
}

// TestJoinerComesLate has one that comes when all others are busy.
func TestJoinerComesLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, map[string][]string{"a": {"TestPass_a"}, "b": {"TestPass_b"}})
		held := make(chan struct{})
		w.holds["TestPass_a"], w.holds["TestPass_b"] = held, held
		d := newFakeDoor()
		time.AfterFunc(time.Second, func() { d.knock(t, "late") })
		time.AfterFunc(time.Minute, func() { close(held) })
		s, r, err := w.runWithDoor(d)
		if err != nil {
			t.Fatal(err)
		}
		w.check(s, r)
		w.wantCounts(s, map[event.Verdict]int{event.Pass: 2})
		if on := r.ranOn(); on["TestPass_a"] == on["TestPass_b"] {
			t.Errorf("the tests ran on %v", on)
		}
	})
}

func TestMinNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, map[string][]string{"a": names("Pass")})
		w.cfg.MinNodes = 3
		d := newFakeDoor()
		d.knock(t, "j1")
		time.AfterFunc(time.Minute, func() { d.knock(t, "j2") })
		start := time.Now()
		s, r, err := w.runWithDoor(d)
		if err != nil {
			t.Fatal(err)
		}
		w.check(s, r)
		w.wantCounts(s, map[event.Verdict]int{event.Pass: 1})
		if took := time.Since(start); took != time.Minute {
			t.Errorf("the run took %v, and its third node came after a minute", took)
		}
	})
}

// TestNodesWait has runs that give up after the time that is set, and not before.
func TestNodesWait(t *testing.T) {
	for _, tt := range []struct {
		name   string
		min    int
		popens int
		tests  []string
		knock  []string
		want   string
		counts map[event.Verdict]int
	}{
		{"nobody comes", 0, 0, names("Pass"), nil, "0 of 1 have come", map[event.Verdict]int{}},
		{"too few come", 3, 1, names("Pass", "Pass"), []string{"j1"}, "2 of 3 have come", map[event.Verdict]int{event.NotRun: 2}},
		{"all go and nobody else comes", 0, 0, names("Loser", "Pass"), []string{"j1"}, "no gateway is left to run the tests: the last one, j1", map[event.Verdict]int{event.NotRun: 2}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, max(tt.popens, 1), map[string][]string{"a": tt.tests})
				w.cfg.Specs = w.cfg.Specs[:tt.popens]
				w.cfg.MinNodes, w.cfg.NodesWait = tt.min, time.Hour
				d := newFakeDoor()
				for _, id := range tt.knock {
					d.knock(t, id)
				}
				start := time.Now()
				s, r, err := w.runWithDoor(d)
				if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "within 1h0m0s") {
					t.Errorf("got %v", err)
				}
				if took := time.Since(start); took != time.Hour {
					t.Errorf("gave up after %v", took)
				}
				if tt.knock != nil {
					w.check(s, r)
				}
				w.wantCounts(s, tt.counts)
			})
		})
	}
}

// TestJoinerVanishes loses a node that came by itself: it is not replaced, its test runs on the
// next one, and the time to wait begins anew.
func TestJoinerVanishes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, map[string][]string{"a": names("Pass", "Lost", "Pass")})
		w.cfg.Specs, w.cfg.NodesWait = nil, time.Hour
		d := newFakeDoor()
		time.AfterFunc(59*time.Minute, func() { d.knock(t, "j1") })
		time.AfterFunc(118*time.Minute, func() { d.knock(t, "j2") })
		s, r, err := w.runWithDoor(d)
		if err != nil {
			t.Fatal(err)
		}
		w.check(s, r)
		w.wantCounts(s, map[event.Verdict]int{event.Pass: 3})
		if w.agents != 2 {
			t.Errorf("%d agents were connected, want the 2 that came", w.agents)
		}
		if on := r.ranOn(); on["TestLost_1"] != "j2" {
			t.Errorf("the tests ran on %v", on)
		}
	})
}

// TestJoinerNeverAnswers loses one before it is ready, which does not concern the others.
func TestJoinerNeverAnswers(t *testing.T) {
	w := newWorld(t, 1, map[string][]string{"a": names("Pass")})
	w.cfg.Specs = nil
	w.refuse = func(s xspec.Spec) error {
		if s.ID == "j1" {
			return &hosts.Error{Err: errors.New("its disk is full")}
		}
		return nil
	}
	d := newFakeDoor()
	d.knock(t, "j1")
	d.knock(t, "j2")
	s, r, err := w.runWithDoor(d)
	if err != nil {
		t.Fatal(err)
	}
	w.check(s, r)
	w.wantCounts(s, map[event.Verdict]int{event.Pass: 1})
}

func TestDoorCannotBeOpened(t *testing.T) {
	w := newWorld(t, 2, map[string][]string{"a": names("Pass")})
	d := newFakeDoor()
	d.broken = errors.New("address in use")
	_, _, err := w.runWithDoor(d)
	if !errors.Is(err, d.broken) || w.agents != 0 {
		t.Errorf("got %v with %d agents", err, w.agents)
	}
}

// TestSourceFailsBeforeAnybodyCame does not let the user wait for agents that could do no better.
func TestSourceFailsBeforeAnybodyCame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, nil)
		w.cfg.Specs = nil
		broken := errors.New("there is no module here")
		w.cfg.Source = func(context.Context, gotest.Platform, func(gotest.BuildEvent)) error { return broken }
		start := time.Now()
		if _, _, err := w.runWithDoor(newFakeDoor()); !errors.Is(err, broken) || time.Since(start) != 0 {
			t.Errorf("got %v after %v", err, time.Since(start))
		}
	})
}

// TestJoinerOfAPlatformThatWasDropped comes when what was built on the chance that somebody has it
// was given up.
func TestJoinerOfAPlatformThatWasDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, map[string][]string{"a": names("Pass")})
		w.cfg.Specs = []xspec.Spec{parse(t, "ssh=far")}
		w.info = func(s xspec.Spec) gateway.Info {
			if s.SSH != "" {
				return gateway.Info{Hostname: "far", GOOS: "linux", GOARCH: "s390x"}
			}
			return gateway.Info{Hostname: "here", GOOS: "linux", GOARCH: "amd64"}
		}
		held := make(chan struct{})
		w.holds["TestPass_0"] = held
		d := newFakeDoor()
		time.AfterFunc(time.Second, func() { d.knock(t, "j1") })
		time.AfterFunc(2*time.Second, func() { close(held) })
		s, _, err := w.runWithDoor(d)
		if err != nil {
			t.Fatal(err)
		}
		w.wantCounts(s, map[event.Verdict]int{event.Pass: 2})
	})
}

func TestSlots(t *testing.T) {
	var s slots
	var got []int
	take := func(host, node string) { got = append(got, s.take(host, node)) }
	take("a", "gw0")
	take("a", "gw1")
	take("b", "gw2")
	take("a", "gw3")
	s.release("gw1")
	s.release("gw9")
	take("a", "gw4")
	take("a", "gw5")
	if want := []int{0, 1, 0, 2, 1, 3}; !slices.Equal(got, want) {
		t.Errorf("slots %v, want %v", got, want)
	}
}
