package scheduler

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/scheduler/event"
)

// A test that runs for long is announced after Slow, twice that, four times that; one that has
// ended or waits for others is not.
func TestSlowTests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2, map[string][]string{"a": {"TestPass_0", "TestPass_1"}})
		w.cfg.Slow, w.cfg.Dist, w.limit = time.Minute, DistLoadScope, time.Hour
		hold := make(chan struct{})
		w.holds["TestPass_1"] = hold
		timer := time.AfterFunc(5*time.Minute, func() { close(hold) })
		defer timer.Stop()
		s, r, err := w.run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		w.check(s, r)
		var got []string
		for _, e := range r.events {
			if e, ok := e.(event.SlowTest); ok {
				got = append(got, e.Test+" "+e.Running.String()+" "+e.Package+" "+e.Gateway[:2])
			}
		}
		if diff := cmp.Diff([]string{"TestPass_1 1m0s a gw", "TestPass_1 2m0s a gw", "TestPass_1 4m0s a gw"}, got); diff != "" {
			t.Errorf("slow tests (-want +got):\n%s", diff)
		}
	})
}

func TestStopwatchIgnoresWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s stopwatch
		for _, action := range []string{"run", "pause", "cont"} {
			s.observe(action)
			time.Sleep(time.Minute) // virtual
		}
		if got := s.soFar(time.Now()); got != 2*time.Minute {
			t.Errorf("ran for %v", got)
		}
		if s.observe("pass"); s.soFar(time.Now()) != 0 {
			t.Error("runs on when it has ended")
		}
	})
}

// A test that could not say so itself lasted until its process ended.
func TestCrashLasted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &node{id: "gw", job: &job{pkg: &pkg{shown: "a"}}}
		it := &itemRun{elapsed: time.Second}
		it.follow(test2json.Event{Action: test2json.ActionRun})
		time.Sleep(2504 * time.Millisecond) // virtual
		events := crashEvents(n, it, "TestA", jobEnd{how: "exit status 3"})
		if last := events[len(events)-1]; last.Elapsed == nil || *last.Elapsed != 3.5 {
			t.Errorf("it ended with %+v", last)
		}
	})
}
