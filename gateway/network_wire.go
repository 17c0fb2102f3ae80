package gateway

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"time"
)

// Wire constants between the process of a network and those who use it; PROTOCOL.md describes them.
const (
	// networkMagic is what each side says first.
	networkMagic = "\x00xdist network\n"
	// networkVersion is the version of what follows it. It has nothing to do with ProtocolVersion:
	// gateways of any version go through a network.
	networkVersion uint16 = 1
	// maxNetworkMessage is the size in bytes of the largest message: room for the state of many
	// hosts.
	maxNetworkMessage = 1 << 20
)

// networkOp is what a client wants of a network.
type networkOp uint8

const (
	networkOpen   networkOp = 1 // a program on a host
	networkPick   networkOp = 2 // ids of hosts for so many gateways
	networkStatus networkOp = 3 // what it is and which hosts it has
	networkAdd    networkOp = 4 // hosts by their specs
	networkRemove networkOp = 5 // hosts by their ids
	networkStop   networkOp = 6 // its end
)

// networkRequest is a client's first message.
type networkRequest struct {
	Op     networkOp `cbor:"1,keyasint"`
	Choice Choice    `cbor:"2,keyasint"`           // for open, and pick
	Count  int       `cbor:"3,keyasint,omitempty"` // for pick
	Specs  []string  `cbor:"4,keyasint,omitempty"` // for add
	IDs    []string  `cbor:"5,keyasint,omitempty"` // for remove
}

// networkAnswer is the answer to that. When there is no error the client of an open sends a
// networkStart, and both sides go on with the frames of sockets.
type networkAnswer struct {
	Error string        `cbor:"1,keyasint,omitempty"` // why it cannot be done
	Host  NetworkHost   `cbor:"2,keyasint,omitzero"`  // for open: where the program will run
	IDs   []string      `cbor:"3,keyasint,omitempty"` // for pick and add
	State NetworkStatus `cbor:"4,keyasint,omitzero"`  // for status
}

// networkStart is the program to start on the host that was chosen.
type networkStart struct {
	Args  []string `cbor:"1,keyasint"` // program and arguments
	Grace int64    `cbor:"2,keyasint"` // milliseconds that it gets to end when its user is gone
}

// Choice says which hosts of a network will do. The zero value is any of them.
type Choice struct {
	Host   string   `cbor:"1,keyasint,omitempty"` // its id
	GOOS   string   `cbor:"2,keyasint,omitempty"`
	GOARCH string   `cbor:"3,keyasint,omitempty"`
	Labels []string `cbor:"4,keyasint,omitempty"` // all of them
}

// NetworkStatus is what a network tells of itself.
type NetworkStatus struct {
	Name    string        `cbor:"1,keyasint"`
	Pid     int           `cbor:"2,keyasint"` // of its process
	Since   time.Time     `cbor:"3,keyasint"`
	Version string        `cbor:"4,keyasint"` // of its program
	Log     string        `cbor:"5,keyasint"` // file of its log; empty is none
	Hosts   []NetworkHost `cbor:"6,keyasint"`
}

// NetworkHost is what a network knows of one of its hosts.
type NetworkHost struct {
	ID     string    `cbor:"1,keyasint"`
	Spec   string    `cbor:"2,keyasint"` // that it is reached by
	Labels []string  `cbor:"3,keyasint,omitempty"`
	Up     bool      `cbor:"4,keyasint"`
	Since  time.Time `cbor:"5,keyasint"`           // it is up, or down
	Error  string    `cbor:"6,keyasint,omitempty"` // why it is down; empty when that is its first start
	Lost   int       `cbor:"7,keyasint"`           // how many times it was
	Users  int       `cbor:"8,keyasint"`           // programs that run there, of gateways through the network
	Info   Info      `cbor:"9,keyasint"`           // of the relay there, the last one when it is down
}

// Fits reports whether a host will do.
func (c Choice) Fits(h NetworkHost) bool {
	if c.Host != "" && c.Host != h.ID || c.GOOS != "" && c.GOOS != h.Info.GOOS || c.GOARCH != "" && c.GOARCH != h.Info.GOARCH {
		return false
	}
	for _, l := range c.Labels {
		if !slices.Contains(h.Labels, l) {
			return false
		}
	}
	return true
}

// writeNetworkHead is what each side says first.
func writeNetworkHead(w io.Writer) error {
	_, err := w.Write(binary.BigEndian.AppendUint16([]byte(networkMagic), networkVersion))
	return err
}

// readNetworkHead reads that of the peer. Errors: *VersionError, ErrProtocol, the reader's.
func readNetworkHead(r io.Reader) error {
	var head [len(networkMagic) + 2]byte
	if _, err := io.ReadFull(r, head[:1]); err != nil {
		return err
	}
	if head[0] != networkMagic[0] { // whoever speaks another protocol may now wait for an answer
		return fmt.Errorf("%w: no network", ErrProtocol)
	}
	if _, err := io.ReadFull(r, head[1:]); err != nil {
		return err
	}
	if string(head[:len(networkMagic)]) != networkMagic {
		return fmt.Errorf("%w: no network", ErrProtocol)
	}
	if v := binary.BigEndian.Uint16(head[len(networkMagic):]); v != networkVersion {
		return &VersionError{Ours: networkVersion, Theirs: v}
	}
	return nil
}

// writeNetworkMessage sends a message: the length of its content in 4 bytes, and the content.
func writeNetworkMessage(w io.Writer, v any) error {
	content, err := encMode.Marshal(v)
	if err != nil {
		return err
	}
	if len(content) > maxNetworkMessage {
		return fmt.Errorf("message of %d bytes is larger than %d", len(content), maxNetworkMessage)
	}
	_, err = w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(content))), content...))
	return err
}

// readNetworkMessage decodes a message into *v. Errors: ErrProtocol, the reader's.
func readNetworkMessage(r io.Reader, v any) error {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > maxNetworkMessage {
		return fmt.Errorf("%w: message of %d bytes", ErrProtocol, n)
	}
	content := make([]byte, n)
	if _, err := io.ReadFull(r, content); err != nil {
		return err
	}
	if err := decMode.Unmarshal(content, v); err != nil {
		return fmt.Errorf("%w: message: %w", ErrProtocol, err)
	}
	return nil
}
