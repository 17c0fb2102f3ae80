package sshclient

import (
	"fmt"
	"strings"
)

// Phase is a step on the way to a host, jump hosts included.
type Phase string

// The phases, in their order.
const (
	PhaseResolve Phase = "resolve"  // the host's name; it is Origin.DialTCP that tells of it
	PhaseConnect Phase = "connect"  // to its address, or the start of the ProxyCommand; in errors also the exchange of keys
	PhaseHostKey Phase = "host key" // of the host
	PhaseAuth    Phase = "auth"     // of this side
)

// Error says in which phase the way to a host has ended.
type Error struct {
	Phase  Phase
	Host   string // as the user names it; the name or address where there was no connection to that
	Status string // how the ProxyCommand has ended, as an Explainer says; may be empty
	Stderr string // the end of what the ProxyCommand has written to its standard error; may be empty
	Err    error  // never nil
}

// Error implements error.
func (e *Error) Error() string {
	text := fmt.Sprintf("%s: %s: %v", e.Host, e.Phase, e.Err)
	for _, more := range []string{e.Status, strings.TrimSpace(e.Stderr)} {
		if more != "" {
			text += ": " + more
		}
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }
