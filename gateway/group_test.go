package gateway_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/xspec"
)

func ids(g *gateway.Group) []string {
	var ids []string
	for gw := range g.All() {
		ids = append(ids, gw.ID())
	}
	return ids
}

func TestIDsAreAllocatedInOrder(t *testing.T) { // conformance 20
	g := newGroup(t, config())
	for i, want := range []string{"gw0", "gw1"} {
		gw := openIn(t, g, "popen")
		byID, ok := g.Lookup(want)
		if gw.ID() != want || !ok || byID != gw || g.At(i) != gw || g.Index(gw) != i {
			t.Errorf("gateway %d: id %q, lookup %v %v, index %d", i, gw.ID(), byID, ok, g.Index(gw))
		}
	}
	if _, ok := g.Lookup("gw2"); ok {
		t.Error("lookup found a gateway that was never opened")
	}
}

func TestOrderIsThatOfOpening(t *testing.T) { // conformance 21
	g := newGroup(t, config())
	for _, id := range []string{"3", "2", "5"} {
		openIn(t, g, "popen//id="+id)
	}
	if diff := cmp.Diff([]string{"3", "2", "5"}, ids(g)); diff != "" {
		t.Error(diff)
	}
	if err := g.Terminate(t.Context(), 0); err != nil {
		t.Error(err)
	}
	if g.Len() != 0 || len(ids(g)) != 0 {
		t.Errorf("after Terminate the group holds %v", ids(g))
	}
	if err := g.Terminate(t.Context(), 0); err != nil { // conformance 50
		t.Errorf("second Terminate: %v", err)
	}
	if _, err := g.OpenSpec(t.Context(), spec(t, "popen")); err == nil {
		t.Error("Open in a terminated group succeeded")
	}
}

func TestAllocatedIDWaitsForItsGateway(t *testing.T) { // conformance 22
	g := newGroup(t, config())
	first := must(g.Allocate(spec(t, "popen")))
	if hello := openIn(t, g, "popen//id=hello"); hello.ID() != "hello" {
		t.Errorf("id %q, want hello", hello.ID())
	}
	gw := must(g.OpenSpec(t.Context(), first))
	if gw.ID() != "gw0" {
		t.Errorf("id %q, want gw0", gw.ID())
	}
	gw.Exit()
	<-gw.Done()
	if again := openIn(t, g, "popen"); again.ID() != "gw1" {
		t.Errorf("id %q after gw0 had gone, want gw1", again.ID())
	}
	if _, err := g.Allocate(spec(t, "popen//id=hello")); !errors.Is(err, gateway.ErrIDTaken) {
		t.Errorf("allocate a taken id: %v", err)
	}
}

func TestTakenIDStartsNothing(t *testing.T) { // conformance 24
	cfg := config()
	mark := filepath.Join(t.TempDir(), "started")
	g := newGroup(t, cfg)
	openIn(t, g, "popen//id=x")
	_, err := g.OpenSpec(t.Context(), spec(t, "popen//id=x//chdir="+mark))
	if !errors.Is(err, gateway.ErrIDTaken) || !strings.Contains(err.Error(), "popen//id=x") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(mark); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the second agent was started: %v", err)
	}
}

func TestEmptySpecUsesDefault(t *testing.T) { // conformance 25
	cfg := config()
	cfg.Default = spec(t, "popen//env:GATEWAY_DEFAULT=yes")
	gw, err := newGroup(t, cfg).OpenSpec(t.Context(), xspec.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	if got := receive[string](t, remoteExec(t, gw, "getenv", "GATEWAY_DEFAULT")); got != "yes" {
		t.Errorf("variable of the default spec is %q", got)
	}
}

func TestFailedOpenLeavesIDToBeTriedAgain(t *testing.T) {
	cfg := config()
	cfg.Command = []string{filepath.Join(t.TempDir(), "missing")}
	g := newGroup(t, cfg)
	for range 2 {
		_, err := g.OpenSpec(t.Context(), spec(t, "popen//id=a"))
		if !errors.Is(err, os.ErrNotExist) || !strings.HasPrefix(err.Error(), `open gateway "popen//id=a": start agent: `) {
			t.Errorf("got %v", err)
		}
	}
	if g.Len() != 0 {
		t.Errorf("group holds %d gateways", g.Len())
	}
}

func TestSpecWithoutTransport(t *testing.T) { // conformance 7
	_, err := newGroup(t, config()).OpenSpec(t.Context(), spec(t, "hello=3"))
	if !errors.Is(err, gateway.ErrNoTransport) || !strings.Contains(err.Error(), "no gateway type found") {
		t.Errorf("got %v", err)
	}
}

func TestConcurrentOpen(t *testing.T) { overTransports(t, testConcurrentOpen) } // conformance 39

func testConcurrentOpen(t *testing.T, tr transport) {
	tr.openable(t)
	g := newGroup(t, config())
	sp := spec(t, tr.spec(t, g))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			gw, err := g.OpenSpec(t.Context(), sp)
			if err != nil {
				t.Error(err)
				return
			}
			c, err := gw.RemoteExec(t.Context(), "increment", nil)
			if err != nil {
				t.Error(err)
				return
			}
			var n int
			if err := errors.Join(c.Send(t.Context(), 41), c.Receive(t.Context(), &n)); err != nil || n != 42 {
				t.Errorf("%s answered %d, %v", gw, n, err)
			}
		})
	}
	wg.Wait()
	got := slices.DeleteFunc(ids(g), func(id string) bool { return !strings.HasPrefix(id, "gw") })
	slices.Sort(got)
	if diff := cmp.Diff([]string{"gw0", "gw1", "gw2", "gw3"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestGroupRemoteExec(t *testing.T) { // conformance 76
	g := newGroup(t, config())
	openIn(t, g, "popen")
	openIn(t, g, "popen")
	m, err := g.RemoteExec(t.Context(), "increment", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.SendEach(t.Context(), 41); err != nil {
		t.Fatal(err)
	}
	items, err := m.ReceiveEach(t.Context())
	if err != nil || len(items) != 2 {
		t.Fatalf("%d items, %v", len(items), err)
	}
	for _, it := range items {
		var n int
		if err := it.Decode(&n); err != nil || n != 42 {
			t.Errorf("got %d, %v", n, err)
		}
	}
	if err := m.WaitClose(t.Context()); err != nil {
		t.Error(err)
	}
}
