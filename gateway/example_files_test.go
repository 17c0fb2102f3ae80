package gateway_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"sync"

	"github.com/xdist-go/xdist/gateway"
)

// upper processes a file: it is what a remote system does with what lies in its data_in.
var upper = gateway.Func("upper", func(_ context.Context, files [2]string) (int, error) {
	text, err := os.ReadFile(files[0])
	if err != nil {
		return 0, err
	}
	return len(text), os.WriteFile(files[1], bytes.ToUpper(text), 0o666)
})

// A remote system processes what lies in data_in and puts what it makes into data_out. Nothing is
// there by halves: a file has its name when all of it has come, and the call returns when its
// result is complete. So many may use the system at once.
func ExampleGateway_WriteFile() {
	ctx := context.Background()
	g := gateway.NewGroup(config())
	defer g.Close()
	remote, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(remote)
	gw, err := g.Open(ctx, "popen//chdir="+remote)
	if err != nil {
		log.Fatal(err)
	}
	if err := gw.Command(ctx, "mkdir", "data_in", "data_out").Run(); err != nil {
		log.Fatal(err)
	}

	jobs := []string{"anne", "bert", "cleo"}
	results := make([]string, len(jobs))
	var users sync.WaitGroup
	for i, name := range jobs {
		users.Go(func() {
			in, out := filepath.Join("data_in", name), filepath.Join("data_out", name)
			if err := gw.WriteFile(ctx, in, []byte("hello, "+name), 0o600); err != nil {
				log.Fatal(err)
			}
			if _, err := upper.Call(ctx, gw, [2]string{in, out}); err != nil {
				log.Fatal(err)
			}
			text, err := fs.ReadFile(gw.FS("data_out"), name)
			if err != nil {
				log.Fatal(err)
			}
			results[i] = string(text)
		})
	}
	users.Wait()
	for _, text := range results {
		fmt.Println(text)
	}
	// Output:
	// HELLO, ANNE
	// HELLO, BERT
	// HELLO, CLEO
}

// Serve HTTP, or whatever else, on the host of an agent.
func ExampleGateway_Listen() {
	ctx := context.Background()
	g := gateway.NewGroup(config())
	defer g.Close()
	gw, err := g.Open(ctx, "popen")
	if err != nil {
		log.Fatal(err)
	}
	l, err := gw.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()
	go func() { // ends with the listener
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprintf(c, "hello from the controller")
			c.Close()
		}
	}()
	c, err := gw.Dial(ctx, "tcp", l.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	text := make([]byte, 100)
	n, _ := c.Read(text)
	fmt.Println(string(text[:n]))
	// Output: hello from the controller
}
