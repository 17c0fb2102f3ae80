package gateway

import (
	"errors"
	"fmt"
	"strings"
)

// Errors that a caller may look for with errors.Is.
var (
	// ErrClosed is returned by an operation on a channel that this side or the peer has closed.
	ErrClosed = errors.New("channel is closed")
	// ErrExplicitClose is returned to a handler that closes its own channel: the channel of a handler
	// ends when the handler returns, and at no other time.
	ErrExplicitClose = errors.New("explicit close of a handler's own channel: return from the handler instead")
	// ErrCallback is returned by Receive while a callback takes the items, and by a second SetCallback.
	ErrCallback = errors.New("channel has a callback")
	// ErrNoTransport is returned by Open for a spec that does not say how to reach an agent.
	ErrNoTransport = errors.New("no gateway type found")
	// ErrIDTaken is returned by Open and Allocate for an id that the group has given away already.
	ErrIDTaken = errors.New("id is taken")
	// ErrExited is the end of a gateway that was asked to end: by Exit, by Terminate, or, on the
	// agent's side, by the controller.
	ErrExited = errors.New("gateway has ended")
	// ErrLease means that the peer was silent for longer than the lease.
	ErrLease = errors.New("peer is silent")
	// ErrProtocol means that the peer sent what the protocol does not allow.
	ErrProtocol = errors.New("protocol violation")
	// ErrTooLarge is returned by Send for an item above the smaller of both sides' limits.
	ErrTooLarge = errors.New("item is too large")
)

// RemoteError is the failure of code on the other side of a channel: what its handler returned, the
// panic that ended it, or what the peer passed to CloseWith.
type RemoteError struct {
	Text  string `cbor:"1,keyasint"`
	Stack string `cbor:"2,keyasint,omitempty"` // goroutine stack of a panic, else empty
}

// Error returns the remote text, with the stack below it when there is one.
func (e *RemoteError) Error() string {
	if e.Stack == "" {
		return "remote: " + e.Text
	}
	return "remote: " + e.Text + "\n" + strings.TrimRight(e.Stack, "\n")
}

// LostError says that a gateway ended without being asked to, and what is known about it.
type LostError struct {
	Gateway string // id
	Status  string // "exit status 3", "signal: killed"; empty when the agent's process is not known to have ended
	Stderr  string // the end of what the agent wrote to its standard error; bounded
	Cause   error  // what was noticed first; never nil
}

// Error implements error.
func (e *LostError) Error() string { return fmt.Sprintf("gateway %s is lost: %s", e.Gateway, e.what()) }

// what tells the status, or else what was noticed, and the end of stderr.
func (e *LostError) what() string {
	what := e.Status
	if what == "" {
		what = e.Cause.Error()
	}
	if tail := strings.TrimSpace(e.Stderr); tail != "" {
		what += ": " + tail
	}
	return what
}

// Unwrap returns the cause.
func (e *LostError) Unwrap() error { return e.Cause }

// StartError says that an agent ended or complained before it answered.
type StartError struct {
	Status string // as in LostError
	Stderr string // as in LostError
	Cause  error  // what was noticed first; never nil
}

// Error implements error.
func (e *StartError) Error() string {
	text := "start agent: "
	tail := strings.TrimSpace(e.Stderr)
	if e.Status == "" || tail == "" { // what came instead of a hello may say it
		text += e.Cause.Error() + ": "
	}
	if e.Status != "" {
		text += e.Status + ": "
	}
	return strings.TrimSuffix(text+tail, ": ")
}

// Unwrap returns the cause.
func (e *StartError) Unwrap() error { return e.Cause }

// VersionError says that the two sides speak different versions of the protocol.
type VersionError struct{ Ours, Theirs uint16 }

// Error implements error.
func (e *VersionError) Error() string {
	return fmt.Sprintf("peer speaks protocol version %d, this side %d", e.Theirs, e.Ours)
}
