package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/xdist-go/xdist/gateway"
)

// The agents of two gateways talk to each other over joined channels.
func TestJoinedChannels(t *testing.T) { overPlatforms(t, testJoinedChannels) }

func testJoinedChannels(t *testing.T, tr transport) {
	ctx := t.Context()
	count, echo := remoteExec(t, tr.open(t), "count", 1000), remoteExec(t, tr.open(t), "echo", nil)
	if err := gateway.Join(ctx, count, echo); err != nil {
		t.Errorf("got %v", err)
	}

	// What one sends the other receives, in order: here a handler that needs a number and tells it.
	ask, said := remoteExec(t, tr.open(t), "send", []any{41}), remoteExec(t, tr.open(t), "increment and report", nil)
	report := receive[gateway.Ref](t, said)
	told, err := said.Resolve(ctx, report)
	if err != nil {
		t.Fatal(err)
	}
	if err := gateway.Join(ctx, ask, said); err != nil {
		t.Errorf("got %v", err)
	}
	if n := receive[int](t, told); n != 42 {
		t.Errorf("it got %d", n)
	}
	// More than any buffer holds is dropped when nobody wants it.
	large := slices.Repeat([]any{strings.Repeat("x", 64<<10)}, 100)
	if err := gateway.Join(ctx, remoteExec(t, tr.open(t), "send", large), remoteExec(t, tr.open(t), "exit at once", nil)); err != nil {
		t.Errorf("got %v", err)
	}
	// But a flood ends, and what had been said before is carried.
	g := tr.group(t)
	flood, leaves := tr.openIn(t, g), tr.openIn(t, g)
	from, to := remoteExec(t, flood, "flood and take", 32<<10), remoteExec(t, leaves, "send", []any{"good", "bye"})
	if err := gateway.Join(ctx, from, to); !errors.Is(err, gateway.ErrClosed) || !strings.Contains(err.Error(), to.String()) {
		t.Errorf("got %v", err)
	}
	awaitRunning(t, flood)
	if got, err := gateway.Call[[]string](ctx, flood, "taken", nil); err != nil || fmt.Sprint(got) != "[good bye]" {
		t.Errorf("it took %q, %v", got, err)
	}
}

// A failure on one side ends the other with it.
func TestJoinedChannelFails(t *testing.T) {
	g := newGroup(t, config())
	fails, waits := remoteExec(t, openIn(t, g, "popen"), "send42 and fail", nil), remoteExec(t, openIn(t, g, "popen"), "block", nil)
	if err := gateway.Join(t.Context(), fails, waits); err == nil {
		t.Error("no error")
	} else if _, remote := errors.AsType[*gateway.RemoteError](err); !remote {
		t.Errorf("got %v", err)
	}
	for gw := range g.All() {
		awaitRunning(t, gw)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	a, b := remoteExec(t, g.At(0), "block", nil), remoteExec(t, g.At(1), "block", nil)
	if err := gateway.Join(ctx, a, b); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	for gw := range g.All() {
		awaitRunning(t, gw)
	}
}
