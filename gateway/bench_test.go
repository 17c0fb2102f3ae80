package gateway_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/xspec"
)

func newB(b *testing.B) *gateway.Gateway {
	b.Helper()
	g := gateway.NewGroup(config())
	b.Cleanup(func() { g.Terminate(context.Background(), time.Second) })
	return must(g.OpenSpec(b.Context(), must(xspec.Parse("popen"))))
}

func BenchmarkOpen(b *testing.B) {
	g := gateway.NewGroup(config())
	b.Cleanup(func() { g.Terminate(context.Background(), time.Second) })
	for b.Loop() {
		gw := must(g.OpenSpec(b.Context(), must(xspec.Parse("popen"))))
		b.StopTimer()
		gw.Exit()
		<-gw.Done()
		b.StartTimer()
	}
}

func BenchmarkSmallItems(b *testing.B) {
	gw := newB(b)
	c := must(gw.RemoteExec(b.Context(), "count", 1<<60))
	var n int
	for b.Loop() {
		if err := c.Receive(b.Context(), &n); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBulk(b *testing.B) {
	gw := newB(b)
	c := must(gw.RemoteExec(b.Context(), "flood", 1<<20))
	b.SetBytes(1 << 20)
	for b.Loop() {
		if _, err := c.ReceiveItem(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRoundTrip(b *testing.B) {
	c := must(newB(b).RemoteExec(b.Context(), "echo", nil))
	for i := 0; b.Loop(); i++ {
		if err := c.Send(b.Context(), i); err != nil {
			b.Fatal(err)
		}
		var n int
		if err := c.Receive(b.Context(), &n); err != nil || n != i {
			b.Fatal(n, err)
		}
	}
}

// BenchmarkCall is the round trip of a call, next to one over a channel that is open.
func BenchmarkCall(b *testing.B) {
	gw := newB(b)
	b.Run("call", func(b *testing.B) {
		for b.Loop() {
			if n, err := gateway.Call[int](b.Context(), gw, "sum", []int{1, 2}); err != nil || n != 3 {
				b.Fatal(n, err)
			}
		}
	})
	b.Run("channel", func(b *testing.B) {
		ch, err := gw.RemoteExec(b.Context(), "echo", nil)
		if err != nil {
			b.Fatal(err)
		}
		defer ch.Close()
		for b.Loop() {
			var got []int
			if err := errors.Join(ch.Send(b.Context(), []int{1, 2}), ch.Receive(b.Context(), &got)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("in flight", func(b *testing.B) { // 10,000 at once
		for b.Loop() {
			var futures []*gateway.Future[int]
			for range 10_000 {
				futures = append(futures, gateway.Go[int](b.Context(), gw, "sum", []int{1, 2}))
			}
			for _, f := range futures {
				if _, err := f.Wait(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}

// BenchmarkScript is a Python source up to its first item, in an interpreter that is there.
func BenchmarkScript(b *testing.B) {
	gw := newB(b)
	for b.Loop() {
		ch, err := gw.RunScript(b.Context(), "python3", "channel.send(1)", nil)
		if err != nil {
			b.Fatal(err)
		}
		var n int
		if err := ch.Receive(b.Context(), &n); err != nil {
			b.Fatal(err)
		}
	}
}
