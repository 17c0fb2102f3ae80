package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
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
	naiveRole      = "naive"
	newcomerRole   = "newcomer"
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
		os.Setenv("XDG_RUNTIME_DIR", cacheHome) // for the sockets of networks
		goleak.VerifyTestMain(m, goleak.Cleanup(func(status int) {
			os.RemoveAll(cacheHome)
			os.Exit(status)
		}))
	case controllerRole:
		controllerMain()
	case serverRole:
		serverMain(os.Args[2], len(os.Args) > 3)
	case openRole:
		openMain(os.Args[2])
	case naiveRole:
		naiveMain(os.Args[2])
	case newcomerRole:
		newcomerMain()
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
	return gateway.Config{Command: []string{os.Args[0], agentRole}, Stderr: io.Discard}
}

// taken is what "flood and take" was sent.
var taken texts

type texts struct {
	mu  sync.Mutex
	all []string
}

func (t *texts) add(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all = append(t.all, text)
}

func init() {
	gateway.Func("taken", func(context.Context, any) ([]string, error) {
		taken.mu.Lock()
		defer taken.mu.Unlock()
		return taken.all, nil
	})
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
		if err := g.Terminate(context.Background(), 20*time.Second); err != nil {
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
