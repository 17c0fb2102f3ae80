package sshclient

import (
	"fmt"
	"net"
	"time"
)

// Host is everything that is to be known for a connection, from the Target and from the
// configuration. It does not change, and may be used concurrently. Dialer.Host makes it; the zero
// value is of no use.
type Host struct {
	alias      string // as the user names it
	name       string // to connect to
	port, user string

	identityFiles   []string
	certificates    []string // files
	identitiesGiven bool     // the files were named by somebody, and are not the usual ones
	identitiesOnly  bool     // offer no other keys of an agent
	identityAgent   string   // socket of the agent; empty for none
	noPublicKey     bool
	noPassword      bool
	noInteractive   bool
	batch           bool // ask nothing

	keyAlias         string // name in the files of known hosts; empty for name and port
	userKnownHosts   []string
	globalKnownHosts []string
	revokedHostKeys  []string // files of keys that are never accepted
	strict           strictness
	hashNames        bool // a new name is not to be read in the file

	connectTimeout time.Duration // 0 is none of its own
	aliveInterval  time.Duration
	aliveCount     int

	jumps   []Host // to go through, the nearest first
	command string // whose input and output are the connection; empty for none
}

// strictness is what to do with a host whose key is not known. A changed key is refused always.
type strictness int

const (
	refuseUnknown strictness = iota
	acceptNew
)

// addr is host:port.
func (h *Host) addr() string { return net.JoinHostPort(h.name, h.port) }

// Alias is the host's name as the user gives it.
func (h *Host) Alias() string { return h.alias }

// Key tells the way to the host from others: two Hosts with the same may share a connection that
// begins at the same place.
func (h *Host) Key() string { return fmt.Sprintf("%+v", *h) }
