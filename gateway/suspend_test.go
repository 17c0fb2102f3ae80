package gateway

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// A suspended controller says nothing for hours, and its agent waits, with its handlers told; when
// the controller goes on, so do the leases.
func TestSuspend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []bool
		watching, endc := make(chan struct{}), make(chan struct{})
		handlers := Handlers{"watch": func(_ context.Context, ch *Channel, _ Item) error {
			defer ch.OnSuspend(func(suspended bool) { told = append(told, suspended) })()
			close(watching)
			<-endc
			return nil
		}}
		controller, agent := pair(t, handlers, func(c *sessionConfig) { c.beat, c.lease = 5*time.Second, 15*time.Second })
		if _, err := controller.newChannel(t.Context(), "watch", nil); err != nil {
			t.Fatal(err)
		}
		<-watching
		for range 2 {
			if err := controller.suspend(t.Context()); err != nil {
				t.Fatal(err)
			}
			before := controller.mux.received() + agent.mux.received()
			time.Sleep(SuspendLimit - time.Second) // virtual
			if said := controller.mux.received() + agent.mux.received() - before; said != 0 {
				t.Errorf("%d bytes were said meanwhile", said)
			}
			controller.resume()
			time.Sleep(24 * time.Hour)
			if controller.gone() != nil || agent.gone() != nil {
				t.Fatalf("a side has ended: %v, %v", controller.gone(), agent.gone())
			}
		}
		if err := controller.suspend(t.Context()); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		err := agent.reason()
		if d := time.Since(start); !errors.Is(err, ErrLease) || d != SuspendLimit {
			t.Errorf("the agent ended after %v: %v", d, err)
		}
		close(endc)
		synctest.Wait()
		if want := []bool{true, false, true, false, true}; !slices.Equal(told, want) {
			t.Errorf("the handler was told %v, want %v", told, want)
		}
	})
}

// What comes from a controller that is suspended, such as items that were on their way, does not
// bring the short lease back. What is asked of it is answered.
func TestSuspendedAgentTakesWhatComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		handlers := Handlers{"take": func(ctx context.Context, ch *Channel, _ Item) error {
			var n int
			for ch.Receive(ctx, &n) == nil {
			}
			return nil
		}}
		controller, agent := pair(t, handlers, func(c *sessionConfig) { c.beat, c.lease = 5*time.Second, 15*time.Second })
		ch, err := controller.newChannel(t.Context(), "take", nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := controller.suspend(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := ch.Send(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		if _, err := controller.ask(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour) // virtual
		if agent.gone() != nil {
			t.Errorf("the agent has ended: %v", agent.gone())
		}
	})
}

// Suspend waits for gateways that are being opened, and holds the clocks of those that do not come.
func TestSuspendWaitsForOpenings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGroup(Config{OpenTimeout: time.Minute})
		quick, opened := g.openTimeout(t.Context())
		time.AfterFunc(time.Second, opened)
		if err := g.Suspend(t.Context()); err != nil || quick.Err() == nil {
			t.Errorf("it did not wait: %v, %v", err, quick.Err())
		}
		g.Resume()
		slow, closed := g.openTimeout(t.Context())
		defer closed()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := g.Suspend(ctx); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Hour) // virtual
		if slow.Err() != nil {
			t.Error("its time ran out while nothing could go on")
		}
		start := time.Now()
		g.Resume()
		<-slow.Done()
		if d := time.Since(start); d != 59*time.Second {
			t.Errorf("it had %v left, want 59 s", d)
		}
	})
}
