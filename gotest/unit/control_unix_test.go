//go:build unix

package unit

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// controlled runs a unit with a Control, and calls reach when the output has come.
func controlled(t *testing.T, u Unit, prefix string, reach func(c *Control, rest string)) (Result, *recorder) {
	t.Helper()
	c, rec := new(Control), &recorder{}
	u.Control = c
	r := newRun(u, rec.emit)
	r.limits = short(limits{})
	said := rec.await(prefix)
	reachedc := make(chan struct{})
	go func() {
		defer close(reachedc)
		reach(c, <-said)
	}()
	res := r.run(context.Background())
	<-reachedc
	return res, rec
}

// The process that is asked for its stacks dies of that, as under go test. The test that runs is to
// blame and has them, whatever waits beside it.
func TestQuit(t *testing.T) {
	t.Parallel()
	for _, held := range []bool{false, true} {
		u := part(fixture(t, "moody", "."), "TestWaitsForHang", "TestPass", "TestHang")
		res, rec := controlled(t, u, "hanging", func(c *Control, _ string) {
			if held {
				c.Hold() // who is to end goes on
			}
			c.Quit()
		})
		want := outcome{
			Items:    map[string]string{"TestWaitsForHang": "", "TestPass": "pass", "TestHang": ""},
			ExitCode: 2, Failed: true, Culprit: "TestHang",
		}
		if diff := cmp.Diff(want, outcomeOf(res)); diff != "" {
			t.Errorf("outcome (-want +got):\n%s", diff)
		}
		if got := rec.output("TestHang"); !strings.Contains(got, "SIGQUIT: quit") || !strings.Contains(got, "goroutine 1 ") || strings.Contains(got, "ran too long") {
			t.Errorf("output %q, want the stacks", got)
		}
	}
}

// A process is not started after Quit, nor while it is held.
func TestNoStartAfterQuit(t *testing.T) {
	t.Parallel()
	u := fixture(t, "moody", "TestPass")
	u.Control = new(Control)
	u.Control.Hold()
	u.Control.Quit()
	if res := Run(t.Context(), u, func([]event) { t.Error("it said something") }); res.Started || !res.Interrupted {
		t.Errorf("the result is %+v", res)
	}
}

// While a process is held nothing of it runs, and its time stands still; then it goes on.
func TestHold(t *testing.T) {
	t.Parallel()
	u := fixture(t, "moody", "TestHangTellingPid")
	u.Names, u.TestTimeout = []string{"TestHangTellingPid"}, time.Second
	start := time.Now()
	res, _ := controlled(t, u, "child ", func(c *Control, pid string) {
		c.Hold()
		awaitState(t, pid, "T")
		time.Sleep(2 * u.TestTimeout) // a limit that must not be reached
		c.GoOn()
	})
	if held := time.Since(start) - res.Wall; res.TestTimeout != time.Second || res.Culprit != "TestHangTellingPid" || held < 2*u.TestTimeout || res.Wall < u.TestTimeout {
		t.Errorf("it was held for %v, and the result is %+v", held, res)
	}
}
