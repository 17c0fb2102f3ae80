package gateway

import (
	"context"
	"testing"
)

// FuzzCallReply has an agent answer calls with any bytes.
func FuzzCallReply(f *testing.F) {
	for _, r := range []callReply{
		{ID: 1, Result: []byte{0xf6}}, {ID: 2, Result: []byte{0xf6}}, {ID: 1}, {ID: 1, Error: &RemoteError{Text: "x", Kinds: []string{"fs.ErrExist"}, Type: "t", Value: []byte{1}}},
	} {
		it, err := NewItem(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(it))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c := newCaller(2)
		answerc := make(chan answered, 1)
		c.waiting[1] = answerc
		c.slots <- struct{}{}
		for range 2 {
			err := c.answer(Item(b))
			if _, waits := c.waiting[1]; waits && err == nil {
				t.Fatal("what settles nothing is no error")
			}
			if len(c.waiting) != len(c.slots) {
				t.Fatalf("%d calls have %d places", len(c.waiting), len(c.slots))
			}
		}
		if len(answerc) == 1 {
			if a := <-answerc; a.err != nil {
				_ = a.err.Error()
			} else if a.result == nil {
				t.Fatal("neither a result nor an error")
			}
		}
	})
}

type fuzzed struct{ n int }

func (f *fuzzed) Set(_ context.Context, n int, _ []string) (int, error) { f.n = n; return n, nil }

// FuzzCallRequest has a controller ask for calls with any bytes.
func FuzzCallRequest(f *testing.F) {
	object := func(c objectCall) []byte {
		it, err := NewItem(c)
		if err != nil {
			f.Fatal(err)
		}
		return it
	}
	for _, r := range []callRequest{
		{ID: 1, Name: "sum", Args: []byte{0x81, 1}}, {ID: 1, Name: "smu"}, {Cancel: true}, {Name: objectFunction},
		{Name: objectFunction, Args: object(objectCall{Object: Object{Nonce: 7, ID: 1}, Method: "Set", Args: []Item{{1}, {0x80}}})},
		{Name: objectFunction, Args: object(objectCall{Object: Object{Nonce: 7, ID: 1}, Release: true})},
	} {
		it, err := NewItem(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(it))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var req callRequest
		if Item(b).Decode(&req) != nil {
			return
		}
		n := &session{sessionConfig: sessionConfig{nonce: 7, name: "gw0", handlers: withBuiltins(nil)}}
		ctx, _ := n.visit(t.Context())
		if _, err := Export(ctx, new(fuzzed)); err != nil {
			t.Fatal(err)
		}
		if _, err := callFunction(ctx, n, req); err != nil {
			if re := remoteError(err); len(re.Text) > maxErrorText+8 || re.Stack != "" {
				t.Fatalf("%d bytes, stack %s", len(re.Text), re.Stack)
			}
		}
	})
}
