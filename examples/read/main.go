// Read asks hosts for a file: a program that sends itself to each of them.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"

	"github.com/xdist-go/xdist/agents"
	"github.com/xdist-go/xdist/gateway"
)

var read = gateway.Func("read", func(_ context.Context, name string) (string, error) {
	text, err := os.ReadFile(name)
	return string(text), err
})

func main() {
	gateway.Main(nil) // what runs on the hosts is this program, and ends here
	ctx, g := context.Background(), gateway.NewGroup(gateway.Config{Agent: agents.Self()})
	defer g.Close()
	gws, err := g.OpenAll(ctx, os.Args[2:]...) // 2*popen ssh=user@host
	if err != nil {
		log.Fatal(err)
	}
	for _, gw := range gws {
		text, err := read.Call(ctx, gw, os.Args[1])
		fmt.Printf("%s on %s: %q, missing: %t\n", gw, gw.Info().Hostname, text, errors.Is(err, os.ErrNotExist))
	}
}
