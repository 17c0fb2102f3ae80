package gateway

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xdist-go/xdist/xspec"
)

// suspend tells the agent of a session, and waits until it knows.
func suspend(t *testing.T, n *session) {
	t.Helper()
	if _, err := n.answer(t.Context(), n.suspend()); err != nil {
		t.Fatal(err)
	}
}

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
			suspend(t, controller)
			synctest.Wait() // for what was under way
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
		suspend(t, controller)
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
		suspend(t, controller)
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

// asleep reports whether an agent knows that its controller is suspended. It serves sleepers.
func asleep(t *testing.T, gw *Gateway) (told bool) {
	t.Helper()
	synctest.Wait()
	ch, err := gw.RemoteExec(t.Context(), "asleep", nil)
	if err == nil {
		err = ch.Receive(t.Context(), &told)
	}
	if err != nil {
		t.Fatal(err)
	}
	return told
}

// sleepers dials agents that tell whether they are suspended. Those with a niceness wait for goc.
func sleepers(goc <-chan struct{}) dialer {
	return func(ctx context.Context, _ origin, spec xspec.Spec, _ Config) (*endpoint, error) {
		if spec.Nice != 0 {
			select {
			case <-goc:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		return serveBubble(ctx, spec, Handlers{"asleep": func(ctx context.Context, ch *Channel, _ Item) error {
			told := false
			ch.OnSuspend(func(suspended bool) { told = suspended })()
			return ch.Send(ctx, told)
		}})
	}
}

// Everybody is told who has a connection: members while others are still being opened, those that
// come while this is waited for or later, and those that are no members. Nobody's time to be opened
// runs out.
func TestSuspendTellsEverybody(t *testing.T) {
	for name, timeout := range map[string]time.Duration{"bounded": time.Minute, "for ever": -1} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				goc := make(chan struct{})
				g := newGroup(Config{OpenTimeout: timeout}, sleepers(goc))
				defer g.Terminate(t.Context(), time.Second)
				gws := make(chan *Gateway, 3)
				open := func(text string) {
					gw, err := g.Open(t.Context(), text)
					if err != nil {
						t.Error(err)
					}
					gws <- gw
				}
				open("popen//id=member")
				member := <-gws
				l, err := sleepers(nil)(t.Context(), nil, xspec.Spec{}, Config{})
				if err != nil {
					t.Fatal(err)
				}
				program, err := g.begin(t.Context(), parsed(t, "popen//id=program"), l)
				if err != nil || !g.attend(program) {
					t.Fatal(err)
				}
				go open("popen//nice=1//id=before")
				synctest.Wait()
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				told := make(chan bool, 1)
				time.AfterFunc(time.Second/2, func() { told <- member.n.suspended.limit() > 0 })
				start := time.Now()
				if err := g.Suspend(ctx); err != nil {
					t.Errorf("who could answer at once: %v", err)
				}
				if d := time.Since(start); d != time.Second || !<-told {
					t.Errorf("it waited %v for the one that was being opened, and did not tell others before", d)
				}
				go open("popen//nice=1//id=after")
				if _, err := g.Allocate(parsed(t, "popen//id=way")); err != nil {
					t.Fatal(err)
				}
				go open("popen//via=way//id=behind")
				time.Sleep(time.Hour) // virtual
				close(goc)
				for _, gw := range []*Gateway{member, program, <-gws, <-gws} {
					if gw != nil && !asleep(t, gw) {
						t.Errorf("%s was not told", gw)
					}
				}
				g.Resume()
				open("popen//id=way")
				for _, gw := range []*Gateway{member, program, <-gws, <-gws} {
					if gw != nil && asleep(t, gw) {
						t.Errorf("%s was not told that it goes on", gw)
					}
				}
				program.Exit()
				<-program.Done()
			})
		})
	}
}

// Suspend waits for a gateway that is being opened for as long as that takes.
func TestSuspendWaitsForEndlessOpening(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		goc := make(chan struct{})
		g := newGroup(Config{OpenTimeout: -1}, sleepers(goc))
		defer g.Terminate(t.Context(), time.Second)
		opened := make(chan error, 1)
		go func() { opened <- second(g.Open(t.Context(), "popen//nice=1")) }()
		synctest.Wait()
		time.AfterFunc(time.Minute, func() { close(goc) })
		start := time.Now()
		if err := g.Suspend(t.Context()); err != nil || time.Since(start) != time.Minute {
			t.Errorf("it returned after %v: %v", time.Since(start), err)
		}
		if err := <-opened; err != nil || !asleep(t, g.At(0)) {
			t.Errorf("it was not told: %v", err)
		}
	})
}

// An agent hears of changes in their order, however quickly they follow each other.
func TestSuspendInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		controller, agent := pair(t, nil, nil)
		for range 100 {
			controller.suspend()
			controller.resume()
			controller.suspend()
			synctest.Wait()
			if agent.suspended.limit() == 0 {
				t.Fatal("the agent goes on, and its controller is suspended")
			}
			controller.resume()
			synctest.Wait()
			if agent.suspended.limit() > 0 {
				t.Fatal("the agent stands still, and its controller goes on")
			}
		}
	})
}

// A limit is what it says, as far as SuspendLimit.
func TestSuspendLimit(t *testing.T) {
	for limit, want := range map[int64]time.Duration{
		1500: 1500 * time.Millisecond, 0: 0, -1: 0,
		math.MaxInt64: SuspendLimit, math.MaxInt64 / int64(time.Millisecond): SuspendLimit, math.MaxInt64/int64(time.Millisecond) + 1: SuspendLimit,
		math.MinInt64: 0, math.MinInt64/int64(time.Millisecond) - 1: 0,
	} {
		_, agent := pair(t, nil, nil)
		if err := agent.handleControl(controlMessage{Kind: controlSuspend, Limit: limit}); err != nil || agent.suspended.limit() != want {
			t.Errorf("%d ms: it waits %v, want %v; %v", limit, agent.suspended.limit(), want, err)
		}
	}
}
