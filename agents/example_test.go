package agents_test

import (
	"context"
	"fmt"
	"log"

	"github.com/xdist-go/xdist/agents"
	"github.com/xdist-go/xdist/gateway"
)

// A program uses hosts of another platform, here those of a network that "xdist net start mynet"
// has started. It is compiled for them from its sources, once for each version of it.
func ExampleSelf() {
	gateway.Main(nil) // the first statement of main: what runs on the hosts is this program
	ctx := context.Background()
	net, err := gateway.Connect(ctx, "mynet", gateway.Config{Agent: agents.Self()})
	if err != nil {
		log.Fatal(err)
	}
	gw, err := net.Open(ctx, gateway.On("linux", "arm64"), gateway.OnLabel("big"))
	if err != nil {
		log.Fatal(err)
	}
	defer gw.Exit()
	fmt.Println(gw.Info().Hostname, gw.Info().GOARCH)
}
