package gateway_test

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/xdist-go/xdist/gateway"
)

func init() {
	gateway.Func("send to", func(ctx context.Context, ref gateway.Ref) (string, error) {
		ch, err := gateway.Resolve(ctx, ref)
		if err != nil {
			return "", err
		}
		return "sent", ch.Send(ctx, "from the function")
	})
	gateway.Func("fail with", func(ctx context.Context, ref gateway.Ref) (string, error) {
		if _, err := gateway.Resolve(ctx, ref); err != nil {
			return "", err
		}
		return "", errOutOfLuck
	})
}

// A channel that was passed by its reference ends with the function that has adopted it, and tells
// how that has ended.
func TestAdoptedChannelEndsWithItsHandler(t *testing.T) {
	ctx, gw := t.Context(), open(t, "popen")
	ch, err := gw.NewChannel(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if said, err := gateway.Call[string](ctx, gw, "send to", ch.Ref()); err != nil || said != "sent" {
		t.Fatal(said, err)
	}
	if got := receive[string](t, ch); got != "from the function" {
		t.Errorf("got %q", got)
	}
	wantEnd(t, ch)

	if ch, err = gw.NewChannel(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := gateway.Call[string](ctx, gw, "fail with", ch.Ref()); !errors.Is(err, errOutOfLuck) {
		t.Errorf("got %v", err)
	}
	if err := ch.Receive(ctx, new(any)); !errors.Is(err, errOutOfLuck) {
		t.Errorf("the channel ended with %v", err)
	}

	// A handler does the same, and one of two that have adopted a channel leaves it to the other.
	reports, err := gw.NewChannel(ctx)
	if err != nil {
		t.Fatal(err)
	}
	first, second := remoteExec(t, gw, "echo and report", reports.Ref()), remoteExec(t, gw, "echo and report", reports.Ref())
	for _, echo := range []*gateway.Channel{first, second} {
		send(t, echo, 1)
		receive[int](t, echo)
	}
	for _, echo := range []*gateway.Channel{first, second} {
		if err := echo.CloseSend(); err != nil {
			t.Fatal(err)
		}
		if got := receive[string](t, reports); got != "in order" {
			t.Errorf("got %q", got)
		}
	}
	if err := reports.Receive(ctx, new(any)); !errors.Is(err, io.EOF) {
		t.Errorf("got %v", err)
	}
}
