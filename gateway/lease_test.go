package gateway

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// silentController opens the control stream and says nothing more.
func silentController(t *testing.T, m *memMux) stream {
	t.Helper()
	st, err := m.open()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(st, "\x01\x01\xa0"); err != nil { // frameOpen of an empty map
		t.Fatal(err)
	}
	return st
}

func testHello() hello {
	return hello{Gateway: "gw", MaxItem: minItemSize, MaxChannels: 10, Frame: minFrame, Lease: 15_000, Grace: 2_000}
}

func TestAgentEndsWithItsLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cm, am := memMuxes()
		silentController(t, cm)
		start := time.Now()
		err := serveMux(context.Background(), am, testHello(), nil)
		if d := time.Since(start); !errors.Is(err, ErrLease) || d != 15*time.Second {
			t.Errorf("got %v after %v, want the end of the lease after 15 s", err, d)
		}
	})
}

// The connection may freeze before the hello, which would bring a lease.
func TestAgentEndsWithoutAHello(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		go io.Copy(io.Discard, theirs) // ends with ours
		start := time.Now()
		err := Serve(context.Background(), ours, nil)
		if d := time.Since(start); !errors.Is(err, ErrLease) || d != 20*time.Second {
			t.Errorf("got %v after %v, want the end after 20 s", err, d)
		}
	})
}

func TestAnyByteRenewsTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cm, am := memMuxes()
		silentController(t, cm)
		st, err := cm.open()
		if err != nil {
			t.Fatal(err)
		}
		go func() { // bulk that a beat is stuck behind
			time.Sleep(10 * time.Second)
			io.WriteString(st, "\x01")
		}()
		start := time.Now()
		err = serveMux(context.Background(), am, testHello(), nil)
		// The byte of the 10th second is noticed at the third of four looks, after 11.25 s.
		if d := time.Since(start); !errors.Is(err, ErrLease) || d != 26250*time.Millisecond {
			t.Errorf("got %v after %v, want the end of the lease after 26.25 s", err, d)
		}
	})
}

func TestBeatsKeepBothAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		controller, agent := pair(t, nil, func(c *sessionConfig) { c.beat, c.lease = 5*time.Second, 15*time.Second })
		time.Sleep(24 * time.Hour)
		if err := errors.Join(context.Cause(controller.ending), context.Cause(agent.ending)); err != nil {
			t.Errorf("after a quiet day: %v", err)
		}
	})
}

func TestSilentAgentIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cm, am := memMuxes()
		start := time.Now()
		n, err := startSession(t.Context(), cm, controllerSide, sessionConfig{
			name: "gw", sendLimit: minItemSize, recvLimit: minItemSize, maxChannels: 1, beat: 5 * time.Second, lease: 15 * time.Second,
		})
		if err != nil {
			t.Fatal(err)
		}
		control, err := am.accept()
		if err != nil {
			t.Fatal(err)
		}
		c, err := n.newChannel(t.Context(), "x", nil)
		if err != nil {
			t.Fatal(err)
		}
		err = c.WaitClose(t.Context())
		if d := time.Since(start); !errors.Is(err, ErrLease) || d != 15*time.Second {
			t.Errorf("got %v after %v", err, d)
		}
		n.wait()
		beats := 0
		fr := &frameReader{r: byteStream{control}, limit: minItemSize}
		for {
			kind, _, err := fr.next()
			if err != nil {
				break
			}
			if kind == frameItem {
				beats++
			}
		}
		if beats != 2 && beats != 3 { // the third is due at the very end of the lease
			t.Errorf("%d beats in 15 s, want one each 5 s", beats)
		}
	})
}

// byteStream reads single bytes without buffering.
type byteStream struct{ io.Reader }

func (s byteStream) ReadByte() (byte, error) {
	var b [1]byte
	_, err := io.ReadFull(s.Reader, b[:])
	return b[0], err
}

func TestGoodbyeWaitsForHandlersNoLongerThanGrace(t *testing.T) {
	for _, tc := range []struct {
		name string
		deaf time.Duration
		want time.Duration
	}{
		{"obedient", 0, 0}, {"slow", time.Second, time.Second}, {"deaf", time.Hour, 2 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cm, am := memMuxes()
				ready := make(chan struct{})
				h := Handlers{"stay": func(ctx context.Context, _ *Channel, _ Item) error {
					close(ready)
					<-ctx.Done()
					time.Sleep(tc.deaf)
					return nil
				}}
				served := make(chan error, 1)
				go func() { served <- serveMux(context.Background(), am, testHello(), h) }()
				n, err := startSession(t.Context(), cm, controllerSide, sessionConfig{
					name: "gw", sendLimit: minItemSize, recvLimit: minItemSize, maxChannels: 1,
				})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := n.newChannel(t.Context(), "stay", nil); err != nil {
					t.Fatal(err)
				}
				<-ready
				start := time.Now()
				n.tell(controlMessage{Kind: controlGoodbye})
				if err := <-served; err != nil || time.Since(start) != tc.want {
					t.Errorf("got %v after %v, want nil after %v", err, time.Since(start), tc.want)
				}
				n.end(ErrExited)
				n.wait()
				time.Sleep(tc.deaf) // until the handler that was left behind is gone
			})
		})
	}
}

func TestHandlerContextEndsWithItsChannel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		endc := make(chan error, 1)
		controller, _ := pair(t, Handlers{"stay": func(ctx context.Context, _ *Channel, _ Item) error {
			<-ctx.Done()
			endc <- context.Cause(ctx)
			return nil
		}}, nil)
		c, err := controller.newChannel(t.Context(), "stay", nil)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		c.Close()
		if err := <-endc; !errors.Is(err, ErrClosed) {
			t.Errorf("cause is %v", err)
		}
	})
}

func TestReceiveDeadlineIsExact(t *testing.T) { // conformance 54
	synctest.Test(t, func(t *testing.T) {
		controller, _ := pair(t, Handlers{"stay": func(ctx context.Context, _ *Channel, _ Item) error {
			<-ctx.Done()
			return nil
		}}, nil)
		c, err := controller.newChannel(t.Context(), "stay", nil)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		start := time.Now()
		if err := c.Receive(ctx, new(any)); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 200*time.Millisecond {
			t.Errorf("got %v after %v", err, time.Since(start))
		}
	})
}

func TestWhatHasArrivedOutlivesTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size, count = 10_000, 150 // more than the queue takes, less than queue and window
		controller, agent := pair(t, Handlers{"send": func(ctx context.Context, ch *Channel, _ Item) error {
			for range count {
				if err := ch.Send(ctx, make([]byte, size)); err != nil {
					return err
				}
			}
			<-ctx.Done()
			return ctx.Err()
		}}, nil)
		c, err := controller.newChannel(t.Context(), "send", nil)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		controller.mux.close()
		if err := agent.reason(); err == nil {
			t.Error("the agent goes on")
		}
		for i := range count {
			if _, err := c.ReceiveItem(t.Context()); err != nil {
				t.Fatalf("item %d: %v", i, err)
			}
		}
		if err := c.Receive(t.Context(), new(any)); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("the loss is told as %v", err)
		}
		if err := c.Receive(t.Context(), new(any)); !errors.Is(err, io.EOF) {
			t.Errorf("and then as %v", err)
		}
	})
}
