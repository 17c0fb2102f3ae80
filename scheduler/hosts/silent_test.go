package hosts

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/rsync"
	"github.com/xdist-go/xdist/scheduler/wire"
)

// silent is a handler that neither says nor takes anything.
func silent(ctx context.Context, _ *gateway.Channel, _ gateway.Item) error {
	<-ctx.Done()
	return ctx.Err()
}

// served opens a gateway to an agent in this process that has these handlers. It answers beats.
func served(t *testing.T, handlers gateway.Handlers) *gateway.Gateway {
	t.Helper()
	near, far := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		gateway.Serve(context.Background(), far, handlers) // ends with the group
	}()
	g := gateway.NewGroup(gateway.Config{})
	t.Cleanup(func() {
		if err := g.Terminate(context.Background(), 5*time.Second); err != nil {
			t.Error(err)
		}
		<-done
	})
	gw, err := g.Attach(t.Context(), near, "")
	if err != nil {
		t.Fatal(err)
	}
	return gw
}

// A host whose disk hangs, or that lies, is given up when it is asked where it is, and when its
// tree is sent.
func TestSilentHosts(t *testing.T) {
	for name, handlers := range map[string]gateway.Handlers{
		"no answer":     {wire.HostHandler: silent},
		"takes no tree": {wire.HostHandler: DescribeHost, rsync.Handler: silent},
	} {
		t.Run(name, func(t *testing.T) {
			m := numbered(t.TempDir())
			m.Source.Root = t.TempDir()
			hs := New(m, nil, "", func(any) {})
			hs.patience = 20 * time.Millisecond
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			gw := served(t, handlers)
			_, err := hs.Join(ctx, gw)
			if !errors.Is(err, ErrSilent) {
				t.Errorf("got %v, want %v", err, ErrSilent)
			}
			gw.Exit()
			hs.Wait()
		})
	}
}

// A host calls itself by a name that the run would have to remember.
func TestLongToken(t *testing.T) {
	gw := served(t, gateway.Handlers{wire.HostHandler: func(ctx context.Context, ch *gateway.Channel, _ gateway.Item) error {
		return ch.Send(ctx, wire.HostReport{Token: strings.Repeat("x", longestToken+1)})
	}})
	hs := New(numbered(t.TempDir()), nil, "", func(any) {})
	if _, err := hs.settle(t.Context(), gw); err == nil || !strings.Contains(err.Error(), "it calls itself by 129 bytes") {
		t.Errorf("got %v", err)
	}
}
