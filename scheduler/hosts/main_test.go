package hosts

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/scheduler/wire"
)

// The first argument of this test binary when it is an agent: an honest one, or one that says of
// every name that it is another user's.
const (
	honestRole   = "honest agent"
	refusingRole = "refusing agent"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && (os.Args[1] == honestRole || os.Args[1] == refusingRole) {
		describe := DescribeHost
		if os.Args[1] == refusingRole {
			describe = func(ctx context.Context, ch *gateway.Channel, _ gateway.Item) error {
				return ch.Send(ctx, wire.HostReport{Taken: "it is none of yours"})
			}
		}
		if err := gateway.ServeStdio(context.Background(), gateway.Handlers{wire.HostHandler: describe}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE")) // of agents; what the caller has set wins
	goleak.VerifyTestMain(m)
}

// open opens a popen gateway whose agent has a role.
func open(t *testing.T, role string) *gateway.Gateway {
	t.Helper()
	g := gateway.NewGroup(gateway.Config{Command: []string{os.Args[0], role}})
	t.Cleanup(func() {
		if err := g.Terminate(context.Background(), 5*time.Second); err != nil {
			t.Error(err)
		}
	})
	gw, err := g.Open(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	return gw
}
