package sshclient

import (
	"context"
	"net"
)

// Origin is a place where connections begin. Methods may be called concurrently.
type Origin interface {
	// DialTCP connects to addr, host:port, as it is seen from there. ctx bounds the call and not
	// the connection. An *Error is returned by Dial as it is. Any other error is taken for one of
	// PhaseConnect.
	DialTCP(ctx context.Context, addr string) (net.Conn, error)
	// RunProxy runs a ProxyCommand there, a line for a shell whose tokens have been replaced, and
	// returns its input and output. ctx bounds the start and not the program. Close ends the
	// program, and wakes a blocked Read and Write. Deadlines are not used. The connection may be an
	// Explainer. Every error is taken for one of PhaseConnect.
	RunProxy(ctx context.Context, command string) (net.Conn, error)
}

// Explainer is a connection that can tell more of its end, as one over a program's input and
// output.
type Explainer interface {
	net.Conn
	// Explain is called when the handshake on the connection has failed, after Close. It may wait
	// for the end of the program. It tells how that has ended by itself ("exit status 1"; empty
	// when it did not), and the end of what it has written to its standard error.
	Explain() (status, stderr string)
}
