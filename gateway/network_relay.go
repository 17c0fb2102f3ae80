package gateway

import (
	"context"
	"fmt"
	"io"
	"net"

	"github.com/xdist-go/xdist/internal/netsock"
)

// networkLink is the argument of the handler that connects to a network of the agent's user.
type networkLink struct {
	Name string `cbor:"1,keyasint"`
	Data Ref    `cbor:"2,keyasint"`
}

// networkLinked is the only item that it sends.
type networkLinked struct {
	Error string `cbor:"1,keyasint,omitempty"` // why there is no connection; absent when there is one
}

func (req networkLink) bytes() Ref { return req.Data }

// dialNet implements origin.
func (o relayOrigin) dialNet(ctx context.Context, name string) (net.Conn, error) {
	report, conn, err := openRelay[networkLinked](ctx, o, networkHandler, func(data Ref) any { return networkLink{name, data} })
	if err != nil {
		return nil, err
	}
	if report.Error != "" {
		conn.abandon()
		return nil, o.wrap(&relayedError{text: report.Error, is: ErrNoNetwork})
	}
	conn.closeControl = true
	return conn, nil
}

// relayNetwork connects to a network and carries the bytes.
func relayNetwork(ctx context.Context, ch, data *Channel, req networkLink) error {
	conn, err := netsock.Dial(ctx, req.Name)
	if err != nil {
		return ch.Send(ctx, networkLinked{Error: err.Error()})
	}
	p := startRelayPump(data, conn)
	defer p.cut()
	if err := ch.Send(ctx, networkLinked{}); err != nil {
		return err
	}
	p.await(ctx)
	return nil
}

// startAhead starts a process on the agent's host and does not wait to hear of it: what is written
// to it follows at once. When it cannot be started that is its status.
func (o relayOrigin) startAhead(ctx context.Context, args []string, stderr io.Writer) (*endpoint, error) {
	conn, err := o.openPair(ctx, startHandler, func(data Ref) any { return startRequest{Args: args, Data: data} })
	if err != nil {
		return nil, o.wrap(err)
	}
	return &endpoint{conn: conn, proc: followProcess(conn.control, stderr)}, nil
}

// lost says why the agent's host is out of reach, or "" when it is not.
func (o relayOrigin) lost() string {
	if err := o.gw.n.gone(); err != nil {
		return fmt.Sprintf("the network has lost the host: %v", err)
	}
	return ""
}
