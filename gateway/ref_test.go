package gateway

import (
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
