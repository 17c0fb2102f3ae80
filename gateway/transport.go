package gateway

import (
	"context"
	"fmt"
	"io"

	"github.com/xdist-go/xdist/xspec"
)

// dialer starts an agent, or reaches one, as spec says, seen from a host. ctx bounds the call and
// not what it returns. Each transport is one, in a file of its own.
type dialer func(ctx context.Context, from origin, spec xspec.Spec, cfg Config) (*endpoint, error)

// endpoint is an agent as its transport gives it: its bytes and its process. The gateway owns it.
type endpoint struct {
	// conn carries the protocol. Close must wake a blocked Read and Write.
	conn io.ReadWriteCloser
	proc process
	// mux carries the streams after the handshake. Nil is yamux over conn.
	mux mux
}

// process is the agent's process, or what a transport knows in its place. Methods may be called
// concurrently, and at any time.
type process interface {
	// wait blocks until the agent has ended and everything that it started was ended too, and the
	// end of its stderr was read. It returns how the agent ended: "exit status 3", "signal:
	// killed"; empty when that cannot be known. It is called once.
	wait() (status string)
	// stderr returns the end of what the agent has written to its standard error so far.
	stderr() string
	// interrupt asks the agent to end. It does nothing when it has ended.
	interrupt()
	// kill ends the agent and everything that it started, whatever they do.
	kill()
}

// dial chooses the transport.
func dial(ctx context.Context, from origin, spec xspec.Spec, cfg Config) (*endpoint, error) {
	switch {
	case spec.Popen:
		return startPopen(ctx, from, spec, cfg)
	case spec.Socket != "" || spec.InstallVia != "":
		return dialSocket(ctx, from, spec, cfg)
	case spec.SSH != "":
		return startSSH(ctx, from, spec, cfg)
	case spec.Cmd != "":
		return startCmd(ctx, from, spec, cfg)
	case spec.Net != "":
		return dialNetwork(ctx, from, spec, cfg)
	case spec.Listen != "":
		return nil, fmt.Errorf("%w: it is for agents that connect by themselves, which Group.Listen waits for", ErrNoTransport)
	}
	return nil, fmt.Errorf("%w: the transport that it names is not available", ErrNoTransport)
}
