package gateway

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"strings"

	"github.com/xdist-go/xdist/internal/netsock"
)

// Network is a deployment network of this user: hosts that a process keeps gateways to, which
// outlives the programs that use it. Connect returns one. It holds nothing open; all methods may be
// called concurrently.
//
// What the network's process does is to start programs on its hosts and to pass bytes on. The
// agents of gateways that are opened through it are this program, whatever version the network is
// of. They end with this program, or with the network's process.
type Network struct {
	group *Group
	name  string
}

// Connect finds the network of this user with this name, whose gateways are opened in a group that
// all of the program shares; see Group.Connect. As in Open, that group opens gateways on hosts of
// this program's own platform. A Config that is given is that of a group of the network's own:
//
//	net, err := gateway.Connect(ctx, "mynet", gateway.Config{Agent: agents.Self()})
func Connect(ctx context.Context, name string, cfg ...Config) (*Network, error) {
	g, err := groupOf(cfg)
	if err != nil {
		return nil, fmt.Errorf("connect to network %s: %w", name, err)
	}
	return g.Connect(ctx, name)
}

// Connect finds the network of this user with this name. Its gateways are members of the group; the
// group need not open them by the Network, "net=NAME" in a spec is the same. Errors: ErrNoNetwork;
// ctx's; that its process is of a version with another protocol.
func (g *Group) Connect(ctx context.Context, name string) (*Network, error) {
	n := &Network{group: g, name: name}
	if _, err := n.Status(ctx); err != nil {
		return nil, err
	}
	return n, nil
}

// On is a choice by platform, as Go names it. An empty text is any.
func On(goos, goarch string) Choice { return Choice{GOOS: goos, GOARCH: goarch} }

// OnHost is the choice of the host with an id.
func OnHost(id string) Choice { return Choice{Host: id} }

// OnLabel is a choice of hosts that have all of these labels.
func OnLabel(labels ...string) Choice { return Choice{Labels: labels} }

// and is the choice of what fits both.
func (c Choice) and(d Choice) Choice {
	return Choice{
		Host: cmp.Or(d.Host, c.Host), GOOS: cmp.Or(d.GOOS, c.GOOS), GOARCH: cmp.Or(d.GOARCH, c.GOARCH),
		Labels: append(c.Labels[:len(c.Labels):len(c.Labels)], d.Labels...),
	}
}

// Name is the network's.
func (n *Network) Name() string { return n.name }

// Open opens a gateway on a host that fits all choices and is up: that with the fewest programs for
// each of its processors, and of several the one with the least load. Errors: as Group.Open's; that
// no host fits, or is up.
func (n *Network) Open(ctx context.Context, choices ...Choice) (*Gateway, error) {
	var all Choice
	for _, c := range choices {
		all = all.and(c)
	}
	return n.group.Open(ctx, strings.Join(append([]string{"net=" + n.name}, all.Fields()...), "//"))
}

// Fields is the choice as fields of a spec: goos=linux, label=big.
func (c Choice) Fields() []string {
	var fields []string
	for _, f := range []struct{ key, value string }{
		{"host", c.Host}, {"goos", c.GOOS}, {"goarch", c.GOARCH}, {"label", strings.Join(c.Labels, ",")},
	} {
		if f.value != "" {
			fields = append(fields, f.key+"="+f.value)
		}
	}
	return fields
}

// Status asks the network's process what it is and which hosts it has. Errors: ErrNoNetwork; ctx's.
func (n *Network) Status(ctx context.Context) (NetworkStatus, error) {
	a, err := n.ask(ctx, "ask network %s for its status", networkRequest{Op: networkStatus})
	return a.State, err
}

// Pick returns the ids of hosts for count gateways that are to be opened: they would be spread over
// the hosts that fit so.
func (n *Network) Pick(ctx context.Context, c Choice, count int) ([]string, error) {
	a, err := n.ask(ctx, "choose hosts of network %s", networkRequest{Op: networkPick, Choice: c, Count: count})
	if err == nil && len(a.IDs) != count {
		err = fmt.Errorf("choose hosts of network %s: %w: %d ids for %d gateways", n.name, ErrProtocol, len(a.IDs), count)
	}
	return a.IDs, err
}

// Add gives the network hosts, by the specs of gateways, until it ends. It does not wait for them
// to be reached. It returns their ids, which are those of the specs or h1, h2 and so on. No host is
// added when there is an error.
func (n *Network) Add(ctx context.Context, specs ...string) ([]string, error) {
	a, err := n.ask(ctx, "add hosts to network %s", networkRequest{Op: networkAdd, Specs: specs})
	return a.IDs, err
}

// Remove takes hosts out of the network, and ends what runs there through it. No host is removed
// when there is an error.
func (n *Network) Remove(ctx context.Context, ids ...string) error {
	_, err := n.ask(ctx, "remove hosts from network %s", networkRequest{Op: networkRemove, IDs: ids})
	return err
}

// Stop ends the network, and all that runs on its hosts through it. It does not wait for that.
func (n *Network) Stop(ctx context.Context) error {
	_, err := n.ask(ctx, "stop network %s", networkRequest{Op: networkStop})
	return err
}

// ask sends a request that has one answer.
func (n *Network) ask(ctx context.Context, what string, req networkRequest) (a networkAnswer, err error) {
	var conn net.Conn
	if conn, err = netsock.Dial(ctx, n.name); err == nil {
		defer conn.Close()
		a, err = askNetwork(ctx, conn, req)
	}
	if err != nil {
		return networkAnswer{}, fmt.Errorf(what+": %w", n.name, err)
	}
	return a, nil
}
