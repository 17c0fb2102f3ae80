package gateway

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A call that waits for others, which an agent does not answer, says so when its context ends.
func TestCallWaitsForAHungAgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(Config{MaxCalls: 2}, bubbleDialer)
		gw, err := g.Open(t.Context(), "popen")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		began := time.Now()
		var hung []*Future[int]
		for range 2 {
			hung = append(hung, Go[int](ctx, gw, "wait", nil))
		}
		synctest.Wait()
		time.Sleep(time.Minute)
		late, stop := context.WithTimeout(t.Context(), 30*time.Second)
		defer stop()
		_, err = Call[int](late, gw, "sum", []int{1})
		if want := "2 calls are in flight, and the agent has answered none since " + began.Format(time.TimeOnly) + ", 1m30s ago"; !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
		cancel()
		for _, f := range hung {
			f.Wait(t.Context())
		}
		if n, err := Call[int](t.Context(), gw, "sum", []int{1}); n != 1 || err != nil {
			t.Errorf("after that: %d, %v", n, err)
		}
		if err := g.Terminate(t.Context(), time.Second); err != nil {
			t.Error(err)
		}
	})
}
