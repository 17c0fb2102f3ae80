package gateway

import (
	"bufio"
	"bytes"
	"context"
	"runtime/metrics"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xdist-go/xdist/xspec"
)

// encoded is v as an item, for seeds.
func encoded(t testing.TB, v any) []byte {
	t.Helper()
	it, err := NewItem(v)
	if err != nil {
		t.Fatal(err)
	}
	return it
}

// confined changes the arguments of a handler so that they do no harm, and reports whether they
// are such. What does not decode into an R reaches the handler as it is. What does is also decoded
// again.
func confined[R any](t *testing.T, args []byte, change func(*R)) (_ []byte, ok bool) {
	t.Helper()
	var req, again R
	if Item(args).Decode(&req) != nil {
		return args, false
	}
	change(&req)
	b := encoded(t, req)
	if err := Item(b).Decode(&again); err != nil || !cmp.Equal(req, again) {
		t.Errorf("%+v is decoded again as %+v, %v", req, again, err)
	}
	return b, true
}

// spoken is what a controller says that keeps to nothing above frames.
type spoken struct {
	args    []byte   // of the handler
	items   [][]byte // on its channel; an empty one is left out
	carried [][]byte // on a channel that was opened before, of id 3; likewise
	ends    bool     // both channels have an end
}

// answer is what has become of that.
type answer struct {
	items   []Item
	failure *RemoteError // nil for an orderly end, or that which the controller has made
	over    bool         // the handler has returned by itself
}

// hear runs a handler of an agent in memory, in a bubble, until it has nothing more to do. Then the
// controller closes the channels, and nothing may be left of the handler. prepare may be nil.
func hear(t *testing.T, prepare func(agent *session), handlers Handlers, name string, s spoken) (a answer) {
	t.Helper()
	controller, agent := pair(t, handlers, nil)
	if prepare != nil {
		prepare(agent)
	}
	data := speak(t, controller, openMessage{}, s.carried)
	st := speak(t, controller, openMessage{Name: name, Args: s.args}, s.items)
	if s.ends {
		writeFrames(t, data, frameEnd, nil)
		writeFrames(t, st, frameEnd, nil)
	}
	synctest.Wait()
	a.over = agent.status().Executing == 0
	writeFrames(t, data, frameClose, nil)
	writeFrames(t, st, frameClose, nil)
	a.items, a.failure = answers(t, st)
	if a.failure != nil && a.failure.Stack != "" {
		t.Fatalf("it panics: %v", a.failure)
	}
	time.Sleep(endsWithin)
	synctest.Wait()
	if st := agent.status(); st.Executing != 0 || st.Channels != 0 {
		t.Errorf("it is left with %+v", st)
	}
	return a
}

// endsWithin is how long a handler may take, in a bubble, when its channel has been closed: longer
// than any of takeWait, flushWait and orphanWait.
const endsWithin = 30 * time.Second

// speak opens a channel from the controller's side and says items on it.
func speak(t *testing.T, controller *session, msg openMessage, items [][]byte) stream {
	t.Helper()
	st, err := controller.mux.open()
	if err != nil {
		t.Fatal(err)
	}
	writeFrames(t, st, frameOpen, msg)
	for _, it := range items {
		if len(it) > 0 {
			writeFrames(t, st, frameItem, Item(it))
		}
	}
	return st
}

func writeFrames(t *testing.T, st stream, kind frameKind, v any) {
	t.Helper()
	frame, err := encodeFrame(new(bytes.Buffer), kind, v, minItemSize)
	if err == nil {
		_, err = st.Write(frame)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// answers reads what an agent says on a channel until it closes that.
func answers(t *testing.T, st stream) (items []Item, failure *RemoteError) {
	t.Helper()
	fr := &frameReader{r: bufio.NewReader(st), limit: minItemSize}
	for {
		kind, content, err := fr.next()
		switch {
		case err != nil:
			t.Fatalf("the agent ends without a Close, after %d items: %v", len(items), err)
		case kind == frameItem:
			items = append(items, content)
		case kind == frameClose && len(content) > 0:
			failure = new(RemoteError)
			if err := Item(content).Decode(failure); err != nil {
				t.Fatal(err)
			}
			return items, failure
		case kind == frameClose:
			return items, nil
		}
	}
}

// sayer is a handler that sends items as they are and fails with a text, unless that is empty.
func sayer(end string, items ...[]byte) Handler {
	return func(ctx context.Context, ch *Channel, _ Item) error {
		for _, it := range items {
			if len(it) == 0 {
				continue
			}
			if err := ch.Send(ctx, Item(it)); err != nil {
				return err
			}
		}
		if end != "" {
			return &relayedError{text: end}
		}
		return nil
	}
}

// hostileBubble gives f a gateway to an agent in memory that has these handlers in the place of
// every agent's own. It is called in a bubble.
func hostileBubble(t *testing.T, handlers Handlers, f func(*Gateway)) {
	t.Helper()
	g := newGroup(Config{}, func(ctx context.Context, _ origin, spec xspec.Spec, _ Config) (*endpoint, error) {
		return serveBubble(ctx, spec, handlers)
	})
	f(opened(t, g, "popen//id=p1"))
	if err := g.Terminate(t.Context(), time.Second); err != nil {
		t.Error(err)
	}
}

// frugally runs f, which may allocate so many bytes.
func frugally(t *testing.T, most uint64, f func()) {
	t.Helper()
	before := allocated()
	f()
	if used := allocated() - before; used > most {
		t.Errorf("%d bytes are allocated, and %d are enough", used, most)
	}
}

// allocated is how many bytes this process has allocated since it began.
func allocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
