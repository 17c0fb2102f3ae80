package hosts

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/rsync"
	"github.com/xdist-go/xdist/scheduler/wire"
)

// Who does not want to wait for files to come back need not, whatever the host does.
func TestPullEndsWithItsContext(t *testing.T) {
	asked := make(chan struct{})
	gw := served(t, gateway.Handlers{wire.HostHandler: DescribeHost, rsync.FetchHandler: func(ctx context.Context, ch *gateway.Channel, it gateway.Item) error {
		close(asked)
		return silent(ctx, ch, it)
	}})
	m := numbered(t.TempDir())
	m.Source.Root, m.Pull = t.TempDir(), []string{"*"}
	hs := New(m, nil, "", func(any) {})
	h, err := hs.settle(t.Context(), gw)
	if err != nil {
		t.Fatal(err)
	}
	h.used = true
	hs.byToken["gone"] = &Host{mirror: filepath.Join("z", "gone"), used: true} // nobody asks for it any more
	interrupted := errors.New("interrupted")
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		<-asked
		cancel(interrupted)
	}()
	if err := hs.Pull(ctx, []*gateway.Gateway{gw, gw}); !errors.Is(err, interrupted) || strings.Contains(err.Error(), "gone") {
		t.Errorf("got %v", err)
	}
}
