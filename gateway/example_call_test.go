package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"log"

	"github.com/xdist-go/xdist/gateway"
)

// A function of the program, which every agent has, too: it is registered before Main.
var square = gateway.Func("square", func(_ context.Context, n int) (int, error) {
	if n < 0 {
		return 0, fmt.Errorf("square of %d: %w", n, fs.ErrInvalid)
	}
	return n * n, nil
})

func init() {
	gateway.Stream("countdown", func(_ context.Context, from int) iter.Seq2[int, error] {
		return func(yield func(int, error) bool) {
			for n := from; n > 0 && yield(n, nil); n-- {
			}
		}
	})
}

// Call a function in an agent, with its types, and see of what kind its error is.
func ExampleFunc() {
	ctx := context.Background()
	g := gateway.NewGroup(config())
	defer g.Close()

	gw, err := g.Open(ctx, "popen")
	if err != nil {
		log.Fatal(err)
	}
	n, err := square.Call(ctx, gw, 12)
	fmt.Println(n, err)
	_, err = square.Call(ctx, gw, -1)
	fmt.Println("invalid:", errors.Is(err, fs.ErrInvalid))
	// Output:
	// 144 <nil>
	// invalid: true
}

// Call a function on all gateways of a group at once.
func ExampleCallEach() {
	ctx := context.Background()
	g := gateway.NewGroup(config())
	defer g.Close()

	if _, err := g.OpenAll(ctx, "3*popen"); err != nil {
		log.Fatal(err)
	}
	sum := 0
	for gw, r := range gateway.CallEach[int](ctx, g, "square", 4) {
		if r.Err != nil {
			log.Fatal(gw, r.Err)
		}
		sum += r.Value
	}
	fmt.Println(sum)
	// Output: 48
}

// Take the results of a function as they come.
func ExampleRange() {
	ctx := context.Background()
	g := gateway.NewGroup(config())
	defer g.Close()

	gw, err := g.Open(ctx, "popen")
	if err != nil {
		log.Fatal(err)
	}
	for n, err := range gateway.Range[int](ctx, gw, "countdown", 3) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(n)
	}
	// Output:
	// 3
	// 2
	// 1
}

// Use a value that stays in its agent.
func ExampleProxy() {
	ctx := context.Background()
	g := gateway.NewGroup(config())
	defer g.Close()

	gw, err := g.Open(ctx, "popen")
	if err != nil {
		log.Fatal(err)
	}
	object, err := gateway.Call[gateway.Object](ctx, gw, "counter", 40) // which returns what Export made
	if err != nil {
		log.Fatal(err)
	}
	defer object.Close(ctx)
	counter := gateway.Proxy[struct {
		Add func(ctx context.Context, n int) (int, error)
	}](object)
	fmt.Println(counter.Add(ctx, 2))
	// Output: 42 <nil>
}

// Run a program where the agent is, and read one of its files.
func ExampleGateway_Command() {
	ctx := context.Background()
	g := gateway.NewGroup(config())
	defer g.Close()

	gw, err := g.Open(ctx, "popen")
	if err != nil {
		log.Fatal(err)
	}
	out, err := gw.Command(ctx, "go", "env", "GOOS").Output()
	fmt.Println(string(out) == gw.Info().GOOS+"\n", err)
	_, err = fs.ReadFile(gw.FS("."), "no-such-file")
	fmt.Println("missing:", errors.Is(err, fs.ErrNotExist))
	// Output:
	// true <nil>
	// missing: true
}
