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
	// ErrExplicitClose is returned to a handler that closes its own channel: the channel of a
	// handler ends when the handler returns, and at no other time.
	ErrExplicitClose = errors.New("explicit close of a handler's own channel: return from the handler instead")
	// ErrCallback is returned by Receive while a callback takes the items, and by a second
	// SetCallback.
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
	// ErrHostNotFound means that a host's name does not resolve.
	ErrHostNotFound = errors.New("host not found")
	// ErrTooLarge is returned by Send for an item above the smaller of both sides' limits.
	ErrTooLarge = errors.New("item is too large")
)

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

// Phase is a step on the way to an agent on another host.
type Phase string

// The phases, in their order.
const (
	PhaseResolve   Phase = "resolve"   // the host's name
	PhaseConnect   Phase = "connect"   // to its address
	PhaseHostKey   Phase = "host key"  // of the host, or the peer's proof of the shared key
	PhaseAuth      Phase = "auth"      // of this side
	PhaseProbe     Phase = "probe"     // which platform it is, and whether it has the agent
	PhaseUpload    Phase = "upload"    // of the agent
	PhaseStart     Phase = "start"     // of the agent
	PhaseHandshake Phase = "handshake" // with the agent
)

// PhaseError says in which step the way to an agent ended.
type PhaseError struct {
	Phase  Phase
	Host   string // as the spec names it
	Status string // of what ran on the host, as in LostError; may be empty
	Stderr string // the end of what the host wrote to its standard error; bounded, may be empty
	Err    error  // never nil
}

// Error implements error.
func (e *PhaseError) Error() string {
	text := fmt.Sprintf("%s: %s: %v", e.Host, e.Phase, e.Err)
	if e.Status != "" {
		text += ": " + e.Status
	}
	if tail := strings.TrimSpace(e.Stderr); tail != "" {
		text += ": " + tail
	}
	return text
}

// Unwrap returns the cause.
func (e *PhaseError) Unwrap() error { return e.Err }

// VersionError says that the two sides speak different versions of the protocol.
type VersionError struct{ Ours, Theirs uint16 }

// Error implements error.
func (e *VersionError) Error() string {
	return fmt.Sprintf("peer speaks protocol version %d, this side %d", e.Theirs, e.Ours)
}
