package gateway_test

import (
	"context"
	"fmt"
	"log"
	"runtime"

	"github.com/xdist-go/xdist/gateway"
)

// A program uses the hosts of a network that "xdist net start mynet" has started. Those of other
// platforms than its own need a Config: see the example of agents.Self.
func ExampleConnect() {
	gateway.Main(nil) // the first statement of main: what runs on the hosts is this program
	ctx := context.Background()
	net, err := gateway.Connect(ctx, "mynet")
	if err != nil {
		log.Fatal(err)
	}
	gw, err := net.Open(ctx, gateway.On(runtime.GOOS, runtime.GOARCH), gateway.OnLabel("big"))
	if err != nil {
		log.Fatal(err)
	}
	defer gw.Exit()
	fmt.Println(gw.Info().Hostname)
}

// What a network has, and what is wrong with it.
func ExampleNetwork_Status() {
	net, err := gateway.Connect(context.Background(), "mynet")
	if err != nil {
		log.Fatal(err)
	}
	st, err := net.Status(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	for _, h := range st.Hosts {
		fmt.Println(h.ID, h.Up, h.Info.Hostname, h.Users, h.Error)
	}
}
