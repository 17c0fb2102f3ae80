package wire

// HostHandler is the name under which an agent offers DescribeHost.
const HostHandler = "xdist/host"

// HostArgs asks for a description.
type HostArgs struct {
	Mirror string `cbor:"1,keyasint,omitempty"` // where the tree is to go; "" leaves Token empty
	// Examine asks for Facts, about Place as the directory for mirrors.
	Examine bool   `cbor:"2,keyasint,omitempty"`
	Place   string `cbor:"3,keyasint,omitempty"`
}

// HostReport describes the host of an agent.
type HostReport struct {
	Token string     `cbor:"1,keyasint,omitempty"` // the same for all agents that share the directory of the mirror, and for no others
	Clock int64      `cbor:"2,keyasint"`           // of the host, nanoseconds since 1970
	Facts *HostFacts `cbor:"3,keyasint,omitempty"`
	Taken string     `cbor:"4,keyasint,omitempty"` // why the mirror's directory is another user's; "" when it is not
}

// HostFacts are what an agent finds out about its host for a person who wants to know whether tests
// could run there.
type HostFacts struct {
	Binaries HostPlace `cbor:"1,keyasint"`           // where test binaries go, and agents most often
	Mirror   HostPlace `cbor:"2,keyasint"`           // where trees go
	Go       string    `cbor:"3,keyasint,omitempty"` // version of the host's own Go; "" when it has none
}

// HostPlace is a directory of a host.
type HostPlace struct {
	Dir     string `cbor:"1,keyasint,omitempty"`
	Free    int64  `cbor:"2,keyasint,omitempty"` // bytes that can still be written there
	Problem string `cbor:"3,keyasint,omitempty"` // why it cannot be used; "" when it can
	NoExec  bool   `cbor:"4,keyasint,omitempty"` // no program can be started from it
}
