package gateway_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xdist-go/xdist/gateway"
)

// naiveMain is a program that does not know that it is its own agent. It writes down that it runs.
func naiveMain(file string) {
	f := must(os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600))
	fmt.Fprintln(f, "started")
	f.Close()
	g := gateway.NewGroup(gateway.Config{Command: []string{os.Args[0], naiveRole, file}})
	defer g.Close()
	if _, err := g.Open(context.Background(), "popen"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// A program without Main starts one process, which says what to write, and not all that there can
// be.
func TestProgramWithoutMain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "starts")
	out, err := exec.Command(os.Args[0], naiveRole, file).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "call gateway.Main (or gateway.ServeStdio) as the first statement of main or TestMain") {
		t.Errorf("it ended with %v: %s", err, out)
	}
	if starts := string(must(os.ReadFile(file))); starts != "started\nstarted\n" {
		t.Errorf("it was started %d times", strings.Count(starts, "\n"))
	}
}

// newcomerMain is a program of a new user: all that it has is Main.
func newcomerMain() {
	gateway.Main(gateway.Handlers{
		"who": func(ctx context.Context, ch *gateway.Channel, _ gateway.Item) error {
			return ch.Send(ctx, fmt.Sprint(gateway.InAgent(), " ", os.Getenv("XDIST_AGENT") == "", " ", len(os.Args)))
		},
	})
	ctx := context.Background()
	g := gateway.NewGroup(gateway.Config{Command: []string{os.Args[0], newcomerRole}})
	defer g.Close()
	var said string
	ch := must(must(g.Open(ctx, "popen")).RemoteExec(ctx, "who", nil))
	if err := ch.Receive(ctx, &said); err != nil {
		panic(err)
	}
	fmt.Println(gateway.InAgent(), said)
}

// Main serves in agents and returns elsewhere. What an agent starts is no agent.
func TestMainServesInAgents(t *testing.T) {
	out, err := exec.Command(os.Args[0], newcomerRole).CombinedOutput()
	if want := "false true true 2\n"; err != nil || string(out) != want {
		t.Errorf("%q, want %q (%v)", out, want, err)
	}
}

// OpenAll opens all, in order, or none.
func TestOpenAll(t *testing.T) {
	g := newGroup(t, config())
	gws, err := g.OpenAll(t.Context(), "2*popen", "popen//id=b//via=a", "popen//id=a")
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, gw := range gws {
		ids = append(ids, gw.ID())
	}
	if got := strings.Join(ids, " "); got != "gw0 gw1 b a" || g.Len() != 4 {
		t.Errorf("opened %s; the %v", got, g)
	}
	if _, err := g.OpenAll(t.Context(), "popen//id=c", "popen//id=d//chdir=/dev/null/x"); err == nil || !strings.Contains(err.Error(), `"popen//id=d`) {
		t.Errorf("got %v", err)
	}
	if g.Len() != 4 {
		t.Errorf("after an error the %v", g)
	}
	if _, err := g.Open(t.Context(), "popen//popen"); err == nil {
		t.Error("a spec that makes no sense was opened")
	}
}

var _ io.Closer = (*gateway.Group)(nil)
