package gateway

import (
	"bytes"
	"testing"
	"testing/synctest"
)

func TestChannelThatEndedBeforeItWasResolved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		controller, agent := pair(t, nil, nil)
		var refs []Ref
		for i := range unclaimedAtMost + 1 {
			c, err := controller.newChannel(t.Context(), "", nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Send(t.Context(), i); err != nil {
				t.Fatal(err)
			}
			c.Close()
			refs = append(refs, c.Ref())
			synctest.Wait()
		}
		if st := agent.status(); st.Channels != 0 {
			t.Errorf("%d channels count as open", st.Channels)
		}
		for i, ref := range refs {
			c, err := agent.resolve(t.Context(), ref)
			if i == 0 {
				if err == nil {
					t.Error("the oldest of too many was kept")
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			var n int
			if err := c.Receive(t.Context(), &n); err != nil || n != i {
				t.Errorf("channel %d: got %d, %v", i, n, err)
			}
		}
		if _, err := agent.resolve(t.Context(), refs[1]); err == nil {
			t.Error("a channel that has ended was resolved twice")
		}
	})
}

// A reference may arrive before the opening of its channel, whose receiver is through with it at
// once. The answer to its Close is then no Close without an opening, which would be a violation.
func TestChannelThatIsClosedBeforeItsOpeningIsWritten(t *testing.T) {
	for name, said := range map[string][]any{"nothing": nil, "small": {1, 2}, "large": {make([]byte, 2*smallFrame), 1}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				controller, agent := pair(t, nil, nil)
				st, err := controller.mux.open()
				check(t, err)
				c := newChannel(controller, st)
				c.writing = true // but nobody writes
				buf := new(bytes.Buffer)
				frame, err := encodeFrame(buf, frameOpen, openMessage{}, minItemSize)
				check(t, err)
				c.open(frame, buf)
				for _, v := range said {
					check(t, c.Send(t.Context(), v))
				}
				controller.spawn(func() { c.readLoop(true) })
				other, err := agent.resolve(t.Context(), c.Ref())
				check(t, err)
				other.Close()
				synctest.Wait()
				controller.spawn(c.writeLoop)
				synctest.Wait()
				if agent.over() || controller.over() {
					t.Fatal("the connection has ended: ", controller.reason())
				}
				if n := agent.status().Channels; n != 0 {
					t.Errorf("%d channels are left", n)
				}
				if c.outSize != 0 {
					t.Errorf("%d bytes are to be written", c.outSize)
				}
			})
		})
	}
}
