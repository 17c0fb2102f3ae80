package gateway

import (
	"bytes"
	"context"
	"io"
	"testing"
)

// TestRecycledMemoryIsNobodyElses keeps all that was received, by every way that gives memory back,
// while more comes.
func TestRecycledMemoryIsNobodyElses(t *testing.T) {
	const items, size = 20, 20_000
	controller, _ := pair(t, Handlers{"send": func(ctx context.Context, ch *Channel, _ Item) error {
		for i := range items {
			if err := ch.Send(ctx, bytes.Repeat([]byte{byte(i)}, size)); err != nil {
				return err
			}
		}
		return nil
	}}, nil)
	for name, receive := range map[string]func(*Channel) []byte{
		"bytes": func(c *Channel) (b []byte) { check(t, c.Receive(t.Context(), &b)); return b },
		"any":   func(c *Channel) []byte { var v any; check(t, c.Receive(t.Context(), &v)); return v.([]byte) },
		"item": func(c *Channel) []byte {
			var it Item
			check(t, c.Receive(t.Context(), &it))
			b, err := it.Bytes()
			check(t, err)
			return b
		},
		"all": func(c *Channel) []byte {
			for b, err := range All[[]byte](t.Context(), c) {
				check(t, err)
				return b
			}
			return nil
		},
		"by hand": func(c *Channel) []byte {
			it, err := c.ReceiveItem(t.Context())
			check(t, err)
			b, err := it.Bytes()
			check(t, err)
			defer c.Recycle(it)
			return bytes.Clone(b)
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := controller.newChannel(t.Context(), "send", nil)
			check(t, err)
			var kept [][]byte
			for range items {
				kept = append(kept, receive(c))
			}
			for i, b := range kept {
				if !bytes.Equal(b, bytes.Repeat([]byte{byte(i)}, size)) {
					t.Errorf("item %d has changed", i)
				}
			}
		})
	}
	c, err := controller.newChannel(t.Context(), "send", nil)
	check(t, err)
	all, err := io.ReadAll(c.Reader(t.Context()))
	check(t, err)
	for i := range items {
		if !bytes.Equal(all[i*size:(i+1)*size], bytes.Repeat([]byte{byte(i)}, size)) {
			t.Errorf("item %d has changed in a reader", i)
		}
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestFrameReaderUsesRecycledMemory(t *testing.T) {
	const size = 100_000
	frame, err := encodeFrame(new(bytes.Buffer), frameItem, Item(make([]byte, size)), maxItemSize)
	check(t, err)
	var spare contentPool
	for range 100 { // the garbage collector may take what is spare, and the race detector drops some on purpose
		fr := &frameReader{r: bytes.NewReader(frame), limit: maxItemSize, spare: &spare}
		old := make([]byte, 2*size)
		spare.put(old)
		_, content, err := fr.next()
		if err != nil || len(content) != size {
			t.Fatal(len(content), err)
		}
		if &content[0] == &old[0] {
			return
		}
	}
	t.Error("none is used")
}

func TestPoolOfContentsRefuses(t *testing.T) {
	for _, n := range []int{0, 10, slabSize / 4, maxPooled + 1} {
		var p contentPool
		p.put(make([]byte, n))
		if b := p.pool.Get(); b != nil {
			t.Errorf("%d bytes were kept", n)
		}
	}
}
