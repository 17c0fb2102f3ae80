package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/xdist-go/xdist/internal/netsock"
	"github.com/xdist-go/xdist/xspec"
)

// ErrNoNetwork says that no network of this name is running.
var ErrNoNetwork = netsock.ErrNone

// networkWay is the opening of a gateway to a host of a network. The network starts a shell there,
// and its process relays; what the shell becomes is the user's own agent.
type networkWay struct {
	from origin
	spec xspec.Spec
	cfg  Config
	host NetworkHost // that the network has chosen
}

// dialNetwork starts an agent on a host of a network.
func dialNetwork(ctx context.Context, from origin, spec xspec.Spec, cfg Config) (*endpoint, error) {
	w := &networkWay{from: from, spec: spec, cfg: cfg}
	conn, err := w.claim(ctx, ChoiceOf(spec))
	if err != nil {
		return nil, &PhaseError{Phase: PhaseConnect, Host: "network " + spec.Net, Err: err}
	}
	lap(ctx, PhaseConnect)
	l, err := w.start(ctx, conn)
	if err != nil {
		conn.Close()
		return nil, err
	}
	return l, nil
}

// ChoiceOf is which hosts of its network will do for a spec. With exec= goos= and goarch= say what
// is run there, and not what the host is.
func ChoiceOf(spec xspec.Spec) Choice {
	c := Choice{Host: spec.Host}
	if spec.Exec == "" {
		c.GOOS, c.GOARCH = spec.GOOS, spec.GOARCH
	}
	if spec.Label != "" {
		c.Labels = strings.Split(spec.Label, ",")
	}
	return c
}

// claim connects to the network and has it choose a host.
func (w *networkWay) claim(ctx context.Context, c Choice) (net.Conn, error) {
	conn, err := w.from.dialNet(ctx, w.spec.Net)
	if err != nil {
		return nil, err
	}
	answer, err := askNetwork(ctx, conn, networkRequest{Op: networkOpen, Choice: c})
	if err != nil {
		conn.Close()
		return nil, err
	}
	w.host = answer.Host
	return conn, nil
}

// start begins with the hope that the agent is on the host: then all that is sent before the agent
// answers takes one way there, and the answer one way back.
func (w *networkWay) start(ctx context.Context, conn net.Conn) (*endpoint, error) {
	b := w.bootstrap()
	if b.goos == "windows" {
		b.shell = powerShell()
		return b.open(ctx, w.shell(conn))
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() }) // wakes the network, which waits for us
	agent, err := w.cfg.hosts.agents.get(ctx, b.goos, b.goarch)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, &PhaseError{Phase: PhaseProbe, Host: b.host, Err: err}
	}
	b.begin()
	b.fast = "1"
	l, err := w.run(ctx, conn, []string{"sh", "-c", bootstrapProgram(b, agent)})
	if err != nil {
		return nil, &PhaseError{Phase: PhaseStart, Host: b.host, Err: err}
	}
	b.fast = ""
	h := newHasty(ctx, l, b, func(ctx context.Context) (*endpoint, error) { return b.open(ctx, w.shell(nil)) })
	return &endpoint{conn: h, proc: h}, nil
}

// bootstrap makes the agent of a shell on the host. Its platform is that of the relay there, which
// may be emulated.
func (w *networkWay) bootstrap() *bootstrap {
	name := fmt.Sprintf("%s of network %s", w.host.ID, w.spec.Net)
	b := newBootstrap(w.cfg.hosts, fmt.Sprintf("via %q net %q host %q", w.spec.Via, w.spec.Net, w.host.ID), name, w.spec)
	if w.spec.Exec == "" {
		b.wrapper = nil
		if relay, err := xspec.Parse(w.host.Spec); err == nil && (relay.GOOS != "" || relay.GOARCH != "") {
			b.wrapper = relay.ExecWords()
		}
	}
	b.goos, b.goarch = cmp.Or(b.goos, w.host.Info.GOOS), cmp.Or(b.goarch, w.host.Info.GOARCH)
	return b
}

// shell opens shells on the host: the first over conn, unless that is nil.
func (w *networkWay) shell(conn net.Conn) shellOpener {
	args := []string{"sh", "-c", shellReader}
	if w.host.Info.GOOS == "windows" {
		args = strings.Fields(powerShellCommand())
	}
	return func(ctx context.Context) (_ *endpoint, ready bool, err error) {
		c := conn
		conn = nil
		if c == nil {
			if c, err = w.claim(ctx, Choice{Host: w.host.ID}); err != nil {
				return nil, false, &PhaseError{Phase: PhaseConnect, Host: "network " + w.spec.Net, Err: err}
			}
		}
		l, err := w.run(ctx, c, args)
		if err != nil {
			c.Close()
			return nil, false, &PhaseError{Phase: PhaseStart, Host: w.host.ID, Err: err}
		}
		return l, false, nil
	}
}

// run has the network start a program on the host that it has chosen.
func (w *networkWay) run(ctx context.Context, conn net.Conn, args []string) (*endpoint, error) {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	err := writeNetworkMessage(conn, networkStart{Args: slices.Clone(args), Grace: (w.cfg.Grace / 2).Milliseconds()})
	if !stop() {
		err = ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	c := newSocketConn(conn, conn, newSocketReader(conn), w.cfg.Stderr)
	c.cut = "network " + w.spec.Net + " has ended\n"
	go c.readLoop()
	return &endpoint{conn: c, proc: c}, nil
}

// askNetwork sends a request over a fresh connection and returns the answer. It closes conn when
// ctx ends meanwhile.
func askNetwork(ctx context.Context, conn net.Conn, req networkRequest) (answer networkAnswer, err error) {
	ctx, cancel := context.WithTimeout(ctx, networkPatience)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { conn.Close() }) // wakes the reads and writes below
	if err = writeNetworkHead(conn); err == nil {
		err = writeNetworkMessage(conn, req)
	}
	// What can be read tells more than a failed write.
	readErr := readNetworkHead(conn)
	if readErr == nil {
		readErr = readNetworkMessage(conn, &answer)
	}
	if readErr != nil {
		err = readErr
	} else if answer.Error != "" {
		err = errors.New(answer.Error)
	}
	var version *VersionError
	if errors.As(err, &version) {
		err = fmt.Errorf("its process is of another version, start it anew with this one: %w", err)
	}
	if !stop() {
		err = fmt.Errorf("the network does not answer: %w", ctx.Err())
	}
	return answer, err
}
