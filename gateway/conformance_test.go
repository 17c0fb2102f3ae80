package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/gateway/keyed"
	"github.com/xdist-go/xdist/integration/sshd"
	"github.com/xdist-go/xdist/internal/netsock"
)

// transport is one way to an agent. Whatever the way is, gateways, their end and their channels
// behave the same: tests of that take a transport and are run over all of them.
type transport struct {
	name string
	// spec opens in g what the way needs and returns the spec of gateways that take it, to which
	// fields may be added. It may be called more than once for a group. Where the way is not to be
	// had it skips the test and says why.
	spec func(t *testing.T, g *gateway.Group) string
	// come opens a gateway where Group.Open does not; nil elsewhere.
	come func(t *testing.T, g *gateway.Group, text string) *gateway.Gateway
	// cfg is the configuration of groups; nil is config for popen, and unraced for others.
	cfg func() gateway.Config
}

func transports() []transport {
	return []transport{
		{name: "popen", spec: func(*testing.T, *gateway.Group) string { return "popen" }},
		{name: "via", spec: func(t *testing.T, g *gateway.Group) string { return through(t, g, "p1", "popen") }},
		{name: "via via", spec: func(t *testing.T, g *gateway.Group) string {
			return through(t, g, "p2", through(t, g, "p1", "popen"))
		}},
		{name: "socket", spec: func(t *testing.T, g *gateway.Group) string {
			through(t, g, "p3", "popen")
			return "socket//installvia=p3"
		}},
		{name: "listen", spec: func(t *testing.T, g *gateway.Group) string {
			_, name := keyIn(t)
			return "listen=127.0.0.1:0//key=" + name
		}, come: joinAt},
		{name: "cmd", spec: func(*testing.T, *gateway.Group) string { return "cmd=env XDG_CACHE_HOME=" + cacheHome + " sh" }},
		{name: "ssh", spec: func(t *testing.T, g *gateway.Group) string {
			return sshd.Start(t, sshd.Options{Home: cacheHome, Env: []string{"XDG_CACHE_HOME=" + cacheHome}}).Spec()
		}},
		{name: "net", spec: func(t *testing.T, g *gateway.Group) string {
			return networkOf(t, "popen//env:XDG_CACHE_HOME="+cacheHome)
		}},
		{name: "net ssh", spec: func(t *testing.T, g *gateway.Group) string {
			return networkOf(t, sshd.Start(t, sshd.Options{Home: cacheHome, Env: []string{"XDG_CACHE_HOME=" + cacheHome}}).Spec())
		}},
	}
}

// networks counts those of the tests.
var networks atomic.Int64

// networkOf serves a network with one host until the test ends, and returns the spec of gateways
// through it.
func networkOf(t *testing.T, host string) string {
	t.Helper()
	name := fmt.Sprintf("n%d", networks.Add(1))
	ln, err := netsock.Listen(name)
	if errors.Is(err, netsock.ErrUnsupported) {
		t.Skipf("skipped: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Release() })
	relay := openIn(t, newGroup(t, unraced()), host)
	ctx, cancel := context.WithCancel(context.Background())
	endc := make(chan error, 1)
	go func() { endc <- (&gateway.NetworkServer{Hosts: oneHost{relay}}).Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-endc; err != nil {
			t.Error(err)
		}
	})
	return "net=" + name
}

// oneHost is the hosts of a network that has one, and knows nothing of what becomes of it.
type oneHost struct{ relay *gateway.Gateway }

func (h oneHost) Take(gateway.Choice) (gateway.NetworkHost, *gateway.Gateway, func(), error) {
	return gateway.NetworkHost{ID: "one", Spec: h.relay.Spec().String(), Up: true, Info: h.relay.Info()}, h.relay, func() {}, nil
}

func (oneHost) Pick(gateway.Choice, int) ([]string, error) { return nil, errors.ErrUnsupported }
func (oneHost) Change(_, _ []string) ([]string, error)     { return nil, errors.ErrUnsupported }
func (oneHost) Status() (none gateway.NetworkStatus)       { return none }

// through opens a gateway with this id in g, unless it is there, and returns the spec of a popen
// through it.
func through(t *testing.T, g *gateway.Group, id, text string) string {
	t.Helper()
	if _, ok := g.Lookup(id); !ok {
		openIn(t, g, text+"//id="+id)
	}
	return "popen//via=" + id
}

// overTransports runs a test over each transport. With the race detector it is popen and each
// second one of the others, by the name of the test: a process with it costs several times as much.
func overTransports(t *testing.T, test func(*testing.T, transport)) {
	for i, tr := range transports() {
		if raceEnabled && i > 0 && (i+len(t.Name()))%2 == 0 {
			continue
		}
		t.Run(tr.name, func(t *testing.T) { test(t, tr) })
	}
}

// open opens a gateway in a group of its own, with fields added to its spec.
func (tr transport) open(t *testing.T, fields ...string) *gateway.Gateway {
	t.Helper()
	return tr.openIn(t, tr.group(t), fields...)
}

// group returns a group with the transport's configuration.
func (tr transport) group(t *testing.T) *gateway.Group {
	t.Helper()
	switch {
	case tr.cfg != nil:
		return newGroup(t, tr.cfg())
	case tr.name == "popen": // whose agents look for races
		return newGroup(t, config())
	default:
		return newGroup(t, unraced())
	}
}

func (tr transport) openIn(t *testing.T, g *gateway.Group, fields ...string) *gateway.Gateway {
	t.Helper()
	text := tr.spec(t, g)
	for _, f := range fields {
		text += "//" + f
	}
	if tr.come != nil {
		return tr.come(t, g, text)
	}
	return openIn(t, g, text)
}

// joinAt has an agent come to a listener of its own.
func joinAt(t *testing.T, g *gateway.Group, text string) *gateway.Gateway {
	t.Helper()
	sp := spec(t, text)
	key, err := keyed.Read(sp.Key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := g.Listen(t.Context(), sp)
	if err != nil {
		t.Fatal(err)
	}
	join(t, &gateway.Joiner{Key: key}, l.Addr().String())
	return accept(t, l)
}

// openable skips a test of Group.Open where that is not how gateways come about.
func (tr transport) openable(t *testing.T) {
	t.Helper()
	if tr.come != nil {
		t.Skipf("skipped: gateways of %s are not opened by Group.Open", tr.name)
	}
}
