package gateway_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/xspec"
)

// A program that has agents is its own agent: started with the argument "agent", it serves what can
// be run in it. The examples below use this one's handlers, by way of Config.Command; a program
// whose agents are started as "program agent" needs no Config at all.
func Example() {
	if len(os.Args) > 1 && os.Args[1] == "agent" {
		err := gateway.ServeStdio(context.Background(), gateway.Handlers{
			"increment": func(ctx context.Context, ch *gateway.Channel, _ gateway.Item) error {
				var n int
				if err := ch.Receive(ctx, &n); err != nil {
					return err
				}
				return ch.Send(ctx, n+1)
			},
		})
		if err != nil {
			log.Fatal(err)
		}
		return
	}
	fmt.Println("controller")
	// Output: controller
}

// Spawn an agent, run a function in it, send it a number and receive one.
func ExampleGroup_OpenSpec() {
	ctx := context.Background()
	g := gateway.NewGroup(config())
	defer g.Terminate(ctx, 0)

	spec, err := xspec.Parse("popen//env:LANG=C")
	if err != nil {
		log.Fatal(err)
	}
	gw, err := g.OpenSpec(ctx, spec)
	if err != nil {
		log.Fatal(err)
	}
	ch, err := gw.RemoteExec(ctx, "increment", nil)
	if err != nil {
		log.Fatal(err)
	}
	if err := ch.Send(ctx, 41); err != nil {
		log.Fatal(err)
	}
	var n int
	if err := ch.Receive(ctx, &n); err != nil {
		log.Fatal(err)
	}
	fmt.Println(gw, "answers", n)
	fmt.Println(errors.Is(ch.Receive(ctx, &n), io.EOF))
	// Output:
	// gw0 answers 42
	// true
}

// Run the same function in two agents and talk to both at once.
func ExampleMultiChannel() {
	ctx := context.Background()
	g := gateway.NewGroup(config())
	defer g.Terminate(ctx, 0)

	specs, err := xspec.Expand([]string{"2*popen"}, nil)
	if err != nil {
		log.Fatal(err)
	}
	for _, spec := range specs {
		if _, err := g.OpenSpec(ctx, spec); err != nil {
			log.Fatal(err)
		}
	}
	m, err := g.RemoteExec(ctx, "increment", nil)
	if err != nil {
		log.Fatal(err)
	}
	if err := m.SendEach(ctx, 41); err != nil {
		log.Fatal(err)
	}
	sum := 0
	for {
		ch, it, err := m.Receive(ctx)
		if ch == nil {
			break // all have ended
		}
		if errors.Is(err, io.EOF) {
			continue // ch has ended
		}
		var n int
		if err := errors.Join(err, it.Decode(&n)); err != nil {
			log.Fatal(err)
		}
		sum += n
	}
	fmt.Println(sum)
	// Output: 84
}

// Read a file where the agent is, line by line, through a channel.
func ExampleChannel_Reader() {
	ctx := context.Background()
	g := gateway.NewGroup(config())
	defer g.Terminate(ctx, 0)

	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "poem")
	if err := os.WriteFile(name, []byte("roses are red\nviolets are blue\n"), 0o666); err != nil {
		log.Fatal(err)
	}

	gw, err := g.OpenSpec(ctx, xspec.Spec{})
	if err != nil {
		log.Fatal(err)
	}
	ch, err := gw.RemoteExec(ctx, "read file", name)
	if err != nil {
		log.Fatal(err)
	}
	lines := bufio.NewScanner(ch.Reader(ctx))
	for lines.Scan() {
		fmt.Println(strings.ToUpper(lines.Text()))
	}
	if err := lines.Err(); err != nil {
		log.Fatal(err)
	}

	ch, err = gw.RemoteExec(ctx, "read file", filepath.Join(dir, "missing"))
	if err != nil {
		log.Fatal(err)
	}
	_, failed := errors.AsType[*gateway.RemoteError](ch.WaitClose(ctx))
	fmt.Println("missing file is a remote error:", failed)
	// Output:
	// ROSES ARE RED
	// VIOLETS ARE BLUE
	// missing file is a remote error: true
}
