package gateway_test

import (
	"context"
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
