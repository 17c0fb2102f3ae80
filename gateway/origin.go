package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/xdist-go/xdist/internal/netsock"
	"github.com/xdist-go/xdist/xspec"
)

// origin is a host from which agents are started and reached: the controller's own, or that of the
// gateway that a spec goes via. Transports touch network and processes through it alone, so that
// each of them works over any number of hops. Methods may be called concurrently.
type origin interface {
	// dialTCP connects to addr, host:port, as it is seen from there. Errors: *PhaseError of the
	// phases resolve and connect.
	dialTCP(ctx context.Context, addr string) (net.Conn, error)
	// dialNet connects to the process of a deployment network of the user there.
	dialNet(ctx context.Context, name string) (net.Conn, error)
	// start starts a program there. Its standard input and output are the endpoint's conn. ctx
	// bounds the start alone.
	start(ctx context.Context, c command) (*endpoint, error)
}

// command is a program to start.
type command struct {
	args []string    // program and arguments; empty is the origin's own agent
	env  []xspec.Var // added to the environment that the origin's processes have
}

// localOrigin is the controller's own host.
type localOrigin struct{ cfg Config }

func (o localOrigin) dialTCP(ctx context.Context, addr string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, &PhaseError{Phase: PhaseResolve, Host: addr, Err: err}
	}
	ips, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		var notFound *net.DNSError
		if errors.As(err, &notFound) && notFound.IsNotFound {
			err = fmt.Errorf("%w: %w", ErrHostNotFound, err)
		}
		return nil, &PhaseError{Phase: PhaseResolve, Host: host, Err: err}
	}
	lap(ctx, PhaseResolve)
	var dialer net.Dialer
	var errs []error
	for _, ip := range ips {
		conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(ip, port))
		if err == nil {
			return conn, nil
		}
		errs = append(errs, err)
	}
	return nil, &PhaseError{Phase: PhaseConnect, Host: host, Err: errors.Join(errs...)}
}

// dialNet implements origin.
func (o localOrigin) dialNet(ctx context.Context, name string) (net.Conn, error) {
	return netsock.Dial(ctx, name)
}

func (o localOrigin) start(_ context.Context, c command) (*endpoint, error) {
	args := c.args
	if len(args) == 0 {
		var err error
		if args, err = o.cfg.command(); err != nil {
			return nil, err
		}
	}
	return startProcess(args, c.env, o.cfg.Stderr)
}

// origin is where a gateway with this via= is opened from.
func (g *Group) origin(via string) (origin, error) {
	if via == "" {
		return localOrigin{g.cfg}, nil
	}
	gw, ok := g.Lookup(via)
	if !ok {
		return nil, fmt.Errorf("via gateway %q: %w", via, errNoGateway)
	}
	return relayOrigin{gw}, nil
}
