// Read asks hosts for a file: a program that sends itself to each of them.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/xdist-go/xdist/agents"
	"github.com/xdist-go/xdist/gateway"
)

func main() {
	read := gateway.Func("read", func(_ context.Context, name string) ([]byte, error) { return os.ReadFile(name) })
	gateway.Main(nil) // what runs on the hosts is this program, and ends here
	ctx, g := context.Background(), gateway.NewGroup(gateway.Config{Agent: agents.Self()})
	defer g.Close()
	if _, err := g.OpenAll(ctx, os.Args[2:]...); err != nil { // 2*popen ssh=user@host
		panic(err)
	}
	for gw, r := range read.CallEach(ctx, g, os.Args[1]) { // as they answer
		fmt.Printf("%s on %s: %q, missing: %t\n", gw, gw.Info().Hostname, r.Value, errors.Is(r.Err, os.ErrNotExist))
	}
}
