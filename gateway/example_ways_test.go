package gateway_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"os"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/xspec"
)

// A connection that the program has already is a gateway: somebody serves at its other end.
func ExampleGroup_Attach() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	served := make(chan error)
	go func() { // the other program, which serves whoever connects first
		conn, err := l.Accept()
		if err == nil {
			err = gateway.Serve(context.Background(), conn, nil) // what Func has registered
		}
		served <- err
	}()

	ctx := context.Background()
	g := gateway.NewGroup(gateway.Config{})
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	gw, err := g.Attach(ctx, conn, "id=other")
	if err != nil {
		log.Fatal(err)
	}
	n, err := square.Call(ctx, gw, 12)
	fmt.Println(gw, "says", n, err)
	g.Close()
	l.Close()
	fmt.Println("served until the end:", <-served)
	// Output:
	// other says 144 <nil>
	// served until the end: <nil>
}

// Agents come by themselves: from hosts that cannot be reached, but reach this one.
func ExampleGroup_Listen() {
	ctx := context.Background()
	g := gateway.NewGroup(config())
	defer g.Close()

	spec, err := xspec.Parse("listen=127.0.0.1:0//insecure") // on a network: listen=:7000//key=FILE
	if err != nil {
		log.Fatal(err)
	}
	l, err := g.Listen(ctx, spec)
	if err != nil {
		log.Fatal(err)
	}
	joined := make(chan error)
	go func() { // on the other host this is: xdist join HOST:PORT --key FILE
		j := gateway.Joiner{Keyless: true, Command: []string{os.Args[0], "agent"}}
		joined <- j.Join(ctx, l.Addr().String())
	}()

	gw, err := l.Accept(ctx)
	if err != nil {
		log.Fatal(err)
	}
	n, err := square.Call(ctx, gw, 12)
	fmt.Println(n, err)
	g.Close()
	fmt.Println("joined until the end:", <-joined)
	// Output:
	// 144 <nil>
	// joined until the end: <nil>
}

// Compile a package of the program's module for the agent's host, and run its func Remote there.
func ExampleGateway_RunPackage() {
	// package hello
	//
	//	func Remote(ctx context.Context, ch *gateway.Channel) error {
	//		var name string
	//		if err := ch.Args().Decode(&name); err != nil {
	//			return err
	//		}
	//		return ch.Send(ctx, "hello, "+name)
	//	}
	ctx := context.Background()
	g := gateway.NewGroup(config())
	defer g.Close()

	gw, err := g.Open(ctx, "popen")
	if err != nil {
		log.Fatal(err)
	}
	ch, err := gw.RunPackage(ctx, "./testdata/hello", "you") // or "example.com/m/hello"
	if err != nil {
		log.Fatal(err)
	}
	var said string
	err = ch.Receive(ctx, &said)
	fmt.Println(said, err)
	// Output: hello, you <nil>
}

// Run a Python source on the agent's host: it has a channel as py.execnet's remote_exec gives one.
func ExampleGateway_RunScript_python() {
	ctx := context.Background()
	g := gateway.NewGroup(config())
	defer g.Close()

	gw, err := g.Open(ctx, "popen")
	if err != nil {
		log.Fatal(err)
	}
	ch, err := gw.RunScript(ctx, "python3", `
		import statistics
		for numbers in channel:
		    channel.send({"mean": statistics.mean(numbers), "of": len(numbers), "unit": unit})
	`, map[string]any{"unit": "ms"})
	if err != nil {
		log.Fatal(err)
	}
	defer ch.Close()
	if err := ch.Send(ctx, []int{10, 20, 60}); err != nil {
		log.Fatal(err)
	}
	var result struct {
		Mean float64 `cbor:"mean"`
		Of   int     `cbor:"of"`
		Unit string  `cbor:"unit"`
	}
	if err := ch.Receive(ctx, &result); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%g %s, of %d numbers\n", result.Mean, result.Unit, result.Of)
}
