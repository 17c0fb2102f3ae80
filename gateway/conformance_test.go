package gateway_test

import (
	"testing"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/integration/sshd"
)

// transport is one way to an agent. Whatever the way is, gateways, their end and their channels behave the same: tests of that
// take a transport and are run over all of them.
type transport struct {
	name string
	// spec opens in g what the way needs and returns the spec of gateways that take it, to which fields may be
	// added. It may be called more than once for a group. Where the way is not to be had it skips the test and says why.
	spec func(t *testing.T, g *gateway.Group) string
}

func transports() []transport {
	return []transport{
		{"popen", func(*testing.T, *gateway.Group) string { return "popen" }},
		{"via", func(t *testing.T, g *gateway.Group) string { return through(t, g, "p1", "popen") }},
		{"via via", func(t *testing.T, g *gateway.Group) string {
			return through(t, g, "p2", through(t, g, "p1", "popen"))
		}},
		{"socket", func(t *testing.T, g *gateway.Group) string {
			through(t, g, "p3", "popen")
			return "socket//installvia=p3"
		}},
		{"cmd", func(*testing.T, *gateway.Group) string { return "cmd=env XDG_CACHE_HOME=" + cacheHome + " sh" }},
		{"ssh", func(t *testing.T, g *gateway.Group) string {
			return sshd.Start(t, sshd.Options{Home: cacheHome, Env: []string{"XDG_CACHE_HOME=" + cacheHome}}).Spec()
		}},
	}
}

// through opens a gateway with this id in g, unless it is there, and returns the spec of a popen through it.
func through(t *testing.T, g *gateway.Group, id, text string) string {
	t.Helper()
	if _, ok := g.Lookup(id); !ok {
		openIn(t, g, text+"//id="+id)
	}
	return "popen//via=" + id
}

// overTransports runs a test over each transport.
func overTransports(t *testing.T, test func(*testing.T, transport)) {
	for _, tr := range transports() {
		t.Run(tr.name, func(t *testing.T) { test(t, tr) })
	}
}

// open opens a gateway in a group of its own, with fields added to its spec.
func (tr transport) open(t *testing.T, fields ...string) *gateway.Gateway {
	t.Helper()
	return tr.openIn(t, newGroup(t, config()), fields...)
}

func (tr transport) openIn(t *testing.T, g *gateway.Group, fields ...string) *gateway.Gateway {
	t.Helper()
	text := tr.spec(t, g)
	for _, f := range fields {
		text += "//" + f
	}
	return openIn(t, g, text)
}
