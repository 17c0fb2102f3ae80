package network

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/xdist-go/xdist/gateway"
)

// pid is the process that a call runs in.
var pid = gateway.Func("pid", func(context.Context, struct{}) (int, error) { return os.Getpid(), nil })

// userOf is the variable by which this program becomes a user of the network that it names, which
// says its agent's pid and waits to be killed.
const userOf = "XDIST_TEST_NETWORK"

func TestMain(m *testing.M) {
	gateway.Main(nil)
	if name := os.Getenv(userOf); name != "" {
		fmt.Println(use(name))
		time.Sleep(time.Minute) // the test does not wait for it
		os.Exit(1)
	}
	cache, err := os.MkdirTemp("", "net-cache") // the agent is large, and brought to it once
	if err == nil {
		err = os.Setenv("XDG_CACHE_HOME", cache)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(status int) {
		os.RemoveAll(cache)
		os.Exit(status)
	}))
}

// use opens a gateway through a network and returns its agent's pid.
func use(name string) string {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	n, err := gateway.Connect(ctx, name)
	if err != nil {
		return err.Error()
	}
	gw, err := n.Open(ctx)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprint(gw.Info().Pid)
}
