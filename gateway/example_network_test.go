package gateway_test

import (
	"context"
	"fmt"
	"log"

	"github.com/xdist-go/xdist/gateway"
)

// A program uses the hosts of a network that "xdist net start mynet" has started.
func ExampleConnect() {
	gateway.Main(nil) // the first statement of main: what runs on the hosts is this program
	ctx := context.Background()
	net, err := gateway.Connect(ctx, "mynet")
	if err != nil {
		log.Fatal(err)
	}
	gw, err := net.Open(ctx, gateway.On("linux", "arm64"), gateway.OnLabel("big"))
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
