package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/xspec"
)

// What this test binary is when its first argument says so.
const (
	agentRole      = "agent"
	controllerRole = "controller"
	serverRole     = "server"
	openRole       = "open"
	proxyRole      = "proxy"
)

// prompt bounds what must not wait for the lease of 15 s to run out. It says nothing of speed: a
// busy machine may take its time.
const prompt = 10 * time.Second

// cacheHome is a home or cache directory for tests that do not care whether the agent is uploaded.
var cacheHome string

func TestMain(m *testing.M) {
	role := ""
	if len(os.Args) > 1 {
		role = os.Args[1]
	}
	switch role {
	default:
		// The race detector has every process sleep for a second before it exits, agents too. What
		// the caller has set wins.
		os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE"))
		var err error
		if cacheHome, err = os.MkdirTemp("", "xdist-cache"); err != nil {
			panic(err)
		}
		goleak.VerifyTestMain(m, goleak.Cleanup(func(status int) {
			os.RemoveAll(cacheHome)
			os.Exit(status)
		}))
	case controllerRole:
		controllerMain()
	case serverRole:
		serverMain(os.Args[2], false)
	case openRole:
		openMain(os.Args[2])
	case proxyRole:
		proxyMain(net.JoinHostPort(os.Args[2], os.Args[3]))
	case agentRole:
		if err := gateway.ServeStdio(context.Background(), handlers()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

// warnings is a logger that writes one line for each warning.
func warnings(out *bytes.Buffer) *slog.Logger {
	return slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// openMain opens two gateways as its argument says, and prints what it was warned of, and an echo.
func openMain(text string) {
	var warned bytes.Buffer
	cfg := config()
	cfg.Logger = warnings(&warned)
	g := gateway.NewGroup(cfg)
	ctx := context.Background()
	fail := func(err error) {
		if err != nil {
			fmt.Println(err)
			g.Terminate(ctx, 0)
			os.Exit(1)
		}
	}
	var said string
	for range 2 {
		gw, err := g.OpenSpec(ctx, must(xspec.Parse(text)))
		fail(err)
		c, err := gw.RemoteExec(ctx, "echo", nil)
		fail(err)
		fail(c.Send(ctx, "hello"))
		fail(c.Receive(ctx, &said))
	}
	g.Terminate(ctx, 0)
	fmt.Printf("%s%s\n", warned.String(), said)
}

// proxyMain copies between its input and output and a connection, as nc does.
func proxyMain(addr string) {
	conn := must(net.Dial("tcp", addr)).(*net.TCPConn)
	go func() {
		io.Copy(conn, os.Stdin)
		conn.CloseWrite()
	}()
	io.Copy(os.Stdout, conn)
}

// config returns a config whose agents are this test binary.
func config() gateway.Config {
	return gateway.Config{Command: []string{os.Args[0], agentRole}}
}

// handlers are what the agents of these tests offer.
func handlers() gateway.Handlers {
	all := gateway.Handlers{
		"echo": func(ctx context.Context, ch *gateway.Channel, _ gateway.Item) error {
			for it, err := range ch.Items(ctx) {
				if err != nil {
					return err
				}
				if err := ch.Send(ctx, it); err != nil {
					return err
				}
			}
			return nil
		},
		"increment": func(ctx context.Context, ch *gateway.Channel, _ gateway.Item) error {
			var n int
			if err := ch.Receive(ctx, &n); err != nil {
				return err
			}
			return ch.Send(ctx, n+1)
		},
		"send": func(ctx context.Context, ch *gateway.Channel, args gateway.Item) error { // its arguments
			var values []any
			if err := args.Decode(&values); err != nil {
				return err
			}
			for _, v := range values {
				if err := ch.Send(ctx, v); err != nil {
					return err
				}
			}
			return nil
		},
		"send42 and fail": func(ctx context.Context, ch *gateway.Channel, _ gateway.Item) error {
			return errors.Join(ch.Send(ctx, 42), errors.New("out of luck"))
		},
		"count": func(ctx context.Context, ch *gateway.Channel, args gateway.Item) error {
			var n int
			if err := args.Decode(&n); err != nil {
				return err
			}
			for i := range n {
				if err := ch.Send(ctx, i); err != nil {
					return err
				}
			}
			return nil
		},
		"flood": func(ctx context.Context, ch *gateway.Channel, args gateway.Item) error { // until nobody reads
			var size int
			if err := args.Decode(&size); err != nil {
				return err
			}
			for block := make([]byte, size); ; {
				if err := ch.Send(ctx, block); err != nil {
					return err
				}
			}
		},
		"panic":  func(context.Context, *gateway.Channel, gateway.Item) error { panic("at the disco") },
		"goexit": func(context.Context, *gateway.Channel, gateway.Item) error { runtime.Goexit(); return nil },
		"exit": func(_ context.Context, _ *gateway.Channel, args gateway.Item) error {
			var code int
			if err := args.Decode(&code); err != nil {
				return err
			}
			fmt.Fprintln(os.Stderr, "last words")
			os.Exit(code)
			return nil
		},
		"close": func(_ context.Context, ch *gateway.Channel, _ gateway.Item) error { return ch.Close() },
		"block": func(ctx context.Context, ch *gateway.Channel, _ gateway.Item) error {
			if err := ch.Send(ctx, "blocking"); err != nil {
				return err
			}
			<-ctx.Done()
			return ctx.Err()
		},
		"noise": func(ctx context.Context, ch *gateway.Channel, _ gateway.Item) error {
			fmt.Println("to standard output")
			fmt.Fprintln(os.Stderr, "to standard error")
			b, err := io.ReadAll(os.Stdin)
			if err != nil {
				return err
			}
			return ch.Send(ctx, len(b))
		},
		"getenv": func(ctx context.Context, ch *gateway.Channel, args gateway.Item) error {
			var name string
			if err := args.Decode(&name); err != nil {
				return err
			}
			return ch.Send(ctx, os.Getenv(name))
		},
		"getwd": func(ctx context.Context, ch *gateway.Channel, _ gateway.Item) error {
			dir, err := os.Getwd()
			return errors.Join(err, ch.Send(ctx, dir))
		},
		"two channels": func(ctx context.Context, ch *gateway.Channel, args gateway.Item) error {
			var pair struct{ From, To gateway.Ref }
			if err := args.Decode(&pair); err != nil {
				return err
			}
			from, err := ch.Resolve(ctx, pair.From)
			if err != nil {
				return err
			}
			to, err := ch.Resolve(ctx, pair.To)
			if err != nil {
				return err
			}
			for it, err := range from.Items(ctx) {
				if err != nil {
					return err
				}
				if err := to.Send(ctx, it); err != nil {
					return err
				}
			}
			return to.CloseSend()
		},
		"echo and report": func(ctx context.Context, ch *gateway.Channel, args gateway.Item) error { // how the echo ended
			var ref gateway.Ref
			if err := args.Decode(&ref); err != nil {
				return err
			}
			report, err := ch.Resolve(ctx, ref)
			if err != nil {
				return err
			}
			for it, err := range ch.Items(ctx) {
				if err != nil {
					return report.Send(context.WithoutCancel(ctx), err.Error())
				}
				if err := ch.Send(ctx, it); err != nil {
					return err
				}
			}
			return report.Send(context.WithoutCancel(ctx), "in order")
		},
		"read file": readFile,
	}
	maps.Copy(all, systemHandlers())
	return all
}

// readFile sends the lines of the file that its argument names, through a writer.
func readFile(ctx context.Context, ch *gateway.Channel, args gateway.Item) error {
	var name string
	if err := args.Decode(&name); err != nil {
		return err
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(ch.Writer(ctx), f)
	return err
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// newGroup returns a group that is terminated at the end of the test.
func newGroup(t *testing.T, cfg gateway.Config) *gateway.Group {
	t.Helper()
	g := gateway.NewGroup(cfg)
	t.Cleanup(func() {
		if err := g.Terminate(context.Background(), 2*time.Second); err != nil {
			t.Error(err)
		}
	})
	return g
}

// open opens a gateway in a group of its own.
func open(t *testing.T, text string) *gateway.Gateway {
	t.Helper()
	return openIn(t, newGroup(t, config()), text)
}

func openIn(t *testing.T, g *gateway.Group, text string) *gateway.Gateway {
	t.Helper()
	gw, err := g.OpenSpec(t.Context(), spec(t, text))
	if err != nil {
		t.Fatal(err)
	}
	return gw
}

func spec(t *testing.T, text string) xspec.Spec {
	t.Helper()
	s, err := xspec.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func remoteExec(t *testing.T, gw *gateway.Gateway, name string, args any) *gateway.Channel {
	t.Helper()
	c, err := gw.RemoteExec(t.Context(), name, args)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func receive[T any](t *testing.T, c *gateway.Channel) T {
	t.Helper()
	var v T
	if err := c.Receive(t.Context(), &v); err != nil {
		t.Fatalf("receive: %v", err)
	}
	return v
}

func send(t *testing.T, c *gateway.Channel, v any) {
	t.Helper()
	if err := c.Send(t.Context(), v); err != nil {
		t.Fatal(err)
	}
}

// wantEnd checks that the channel has ended in order, for good.
func wantEnd(t *testing.T, c *gateway.Channel) {
	t.Helper()
	for range 3 {
		if err := c.Receive(t.Context(), new(any)); !errors.Is(err, io.EOF) {
			t.Fatalf("receive at the end: got %v, want EOF", err)
		}
	}
}
