package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net"
	"os"

	"github.com/xdist-go/xdist/gateway"
)

// A program is its own agent: the first statement of main serves where the process was started as
// one, and returns at once elsewhere.
func ExampleMain() {
	gateway.Main(nil) // with what Func and Stream have registered, and no other handlers

	fmt.Println("in an agent:", gateway.InAgent())
	// Output: in an agent: false
}

// Open a gateway in the group that all of the program shares.
func ExampleOpen() {
	ctx := context.Background()
	gw, err := gateway.Open(ctx, "cmd="+os.Args[0]+" agent") // a program that calls Main says "popen"
	if err != nil {
		log.Fatal(err)
	}
	defer gw.Exit()
	n, err := square.Call(ctx, gw, 7)
	fmt.Println(n, err)
	// Output: 49 <nil>
}

// Open several gateways at once: all of them, or none.
func ExampleGroup_OpenAll() {
	ctx := context.Background()
	g := gateway.NewGroup(config())
	defer g.Close()

	gws, err := g.OpenAll(ctx, "popen//id=door", "popen//via=door", "2*popen")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(gws, g.Len())
	// Output: [door gw0 gw1 gw2] 4
}

// Call a function by its name, where its types are not at hand.
func ExampleCall() {
	ctx := context.Background()
	g := gateway.NewGroup(config())
	defer g.Close()

	gw, err := g.Open(ctx, "popen")
	if err != nil {
		log.Fatal(err)
	}
	n, err := gateway.Call[int](ctx, gw, "square", 12)
	fmt.Println(n, err)
	_, err = gateway.Call[int](ctx, gw, "squire", 12)
	fmt.Println(err)
	// Output:
	// 144 <nil>
	// call "squire" on gateway gw0: remote: call "squire": no handler has this name; did you mean "square"?
}

// Call a function and do something else meanwhile.
func ExampleGo() {
	ctx := context.Background()
	g := gateway.NewGroup(config())
	defer g.Close()

	gw, err := g.Open(ctx, "popen")
	if err != nil {
		log.Fatal(err)
	}
	var calls []*gateway.Future[int]
	for n := range 4 {
		calls = append(calls, gateway.Go[int](ctx, gw, "square", n))
	}
	for _, c := range calls {
		n, err := c.Wait(ctx)
		fmt.Println(n, err)
	}
	// Output:
	// 0 <nil>
	// 1 <nil>
	// 4 <nil>
	// 9 <nil>
}

// The function countdown of these examples is registered by Stream, and yields what Range takes.
func ExampleStream() {
	// In a variable or an init function, so that agents have it, too:
	//
	//	gateway.Stream("countdown", func(_ context.Context, from int) iter.Seq2[int, error] {
	//		return func(yield func(int, error) bool) {
	//			for n := from; n > 0 && yield(n, nil); n-- {
	//			}
	//		}
	//	})
	ctx := context.Background()
	g := gateway.NewGroup(config())
	defer g.Close()

	gw, err := g.Open(ctx, "popen")
	if err != nil {
		log.Fatal(err)
	}
	for n, err := range gateway.Range[int](ctx, gw, "countdown", 1000) {
		if err != nil {
			log.Fatal(err)
		}
		if n == 998 {
			break // which ends the function
		}
		fmt.Println(n)
	}
	// Output:
	// 1000
	// 999
}

// A function returns a value that stays in its agent: what Export makes of it is a reference.
func ExampleExport() {
	// The function is registered with a type of its own, and an interface that says what may be
	// called:
	//
	//	gateway.Func("counter", func(ctx context.Context, n int) (gateway.Object, error) {
	//		return gateway.Export[adder](ctx, &counter{n: n})
	//	})
	ctx := context.Background()
	g := gateway.NewGroup(config())
	defer g.Close()

	gw, err := g.Open(ctx, "popen")
	if err != nil {
		log.Fatal(err)
	}
	object, err := gateway.Call[gateway.Object](ctx, gw, "counter", 40)
	if err != nil {
		log.Fatal(err)
	}
	for range 2 {
		n, err := gateway.CallOn[int](ctx, object, "Add", 1)
		fmt.Println(n, err)
	}
	object.Close(ctx)
	_, err = gateway.CallOn[int](ctx, object, "Add", 1)
	fmt.Println("after its end:", err != nil)
	// Output:
	// 41 <nil>
	// 42 <nil>
	// after its end: true
}

// Write, look for and read files on the host of an agent.
func ExampleGateway_FS() {
	ctx := context.Background()
	g := gateway.NewGroup(config())
	defer g.Close()

	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	gw, err := g.Open(ctx, "popen//chdir="+dir)
	if err != nil {
		log.Fatal(err)
	}
	if err := gw.WriteFile(ctx, "poem.txt", []byte("roses are red\n"), 0o644); err != nil {
		log.Fatal(err)
	}
	there := gw.FS(".")
	names, err := fs.Glob(there, "*.txt")
	fmt.Println(names, err)
	text, err := fs.ReadFile(there, "poem.txt")
	fmt.Printf("%q %v\n", text, err)
	// Output:
	// [poem.txt] <nil>
	// "roses are red\n" <nil>
}

// Connect to a server that the agent's host can reach.
func ExampleGateway_Dial() {
	ctx := context.Background()
	g := gateway.NewGroup(config())
	defer g.Close()

	l, err := net.Listen("tcp", "127.0.0.1:0") // somewhere behind that host
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()
	go func() {
		if conn, err := l.Accept(); err == nil {
			io.WriteString(conn, "welcome")
			conn.Close()
		}
	}()

	gw, err := g.Open(ctx, "popen")
	if err != nil {
		log.Fatal(err)
	}
	conn, err := gw.Dial(ctx, "tcp", l.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	text, err := io.ReadAll(conn)
	fmt.Println(string(text), err)
	// Output: welcome <nil>
}

// Run a source in the shell of the agent's host: it speaks lines of JSON. With "python3" in the
// place of "sh" it has a channel, as py.execnet has it, and with "node" it is JavaScript.
func ExampleGateway_RunScript() {
	ctx := context.Background()
	g := gateway.NewGroup(config())
	defer g.Close()

	gw, err := g.Open(ctx, "popen")
	if err != nil {
		log.Fatal(err)
	}
	ch, err := gw.RunScript(ctx, "sh", `
		while read -r n; do
			echo $((n * factor))
		done
	`, map[string]any{"factor": 2})
	if err != nil {
		log.Fatal(err)
	}
	for _, n := range []int{1, 20, 21} {
		if err := ch.Send(ctx, n); err != nil {
			log.Fatal(err)
		}
	}
	ch.CloseSend()
	for n, err := range gateway.All[int](ctx, ch) {
		fmt.Println(n, err)
	}
	// Output:
	// 2 <nil>
	// 40 <nil>
	// 42 <nil>
}

// Compile a Go source for the agent's host, and talk to it there.
func ExampleGateway_RunSource() {
	const source = `
package task

import (
	"context"
	"runtime"

	"github.com/xdist-go/xdist/gateway"
)

func Remote(ctx context.Context, ch *gateway.Channel) error {
	var name string
	if err := ch.Args().Decode(&name); err != nil {
		return err
	}
	return ch.Send(ctx, "hello "+name+" from "+runtime.GOOS)
}
`
	ctx := context.Background()
	g := gateway.NewGroup(config())
	defer g.Close()

	gw, err := g.Open(ctx, "popen")
	if err != nil {
		log.Fatal(err)
	}
	ch, err := gw.RunSource(ctx, source, "you")
	if err != nil {
		log.Fatal(err)
	}
	var said string
	err = ch.Receive(ctx, &said)
	fmt.Println(said == "hello you from "+gw.Info().GOOS, err)

	_, err = gw.RunSource(ctx, "package task\n\nfunc Remote() error { return nonsense }\n", nil)
	_, compiler := errors.AsType[*gateway.CompileError](err)
	fmt.Println("it does not compile:", compiler)
	// Output:
	// true <nil>
	// it does not compile: true
}

// Let the agents of two gateways talk to each other.
func ExampleJoin() {
	ctx := context.Background()
	g := gateway.NewGroup(config())
	defer g.Close()

	gws, err := g.OpenAll(ctx, "2*popen")
	if err != nil {
		log.Fatal(err)
	}
	numbers, err := gws[0].RunScript(ctx, "sh", "for n in 1 2 3; do echo $n; done", nil)
	if err != nil {
		log.Fatal(err)
	}
	sum, err := gws[1].RunScript(ctx, "sh", "while read -r n; do total=$((total + n)); done; echo $total >&2", nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(gateway.Join(ctx, numbers, sum))
	// Output: <nil>
}
