package gateway

import "io"

// mux carries many streams over one connection. Everything above is written against it: tests put
// one in memory in the place of yamux's.
type mux interface {
	// open starts a stream. It may block while the peer takes none, until close.
	open() (stream, error)
	// accept waits for the next stream that the peer started, in the order in which it did.
	accept() (stream, error)
	// received returns the number of bytes that have come from the peer: it grows while the peer
	// lives.
	received() int64
	// close ends every stream and the connection, and waits for the mux's goroutines. What has
	// arrived stays readable.
	close()
}

// stream is one stream. One goroutine may read and another write.
type stream interface {
	// Read returns io.EOF after what the peer has written, and when the mux is closed; and a
	// violation of the protocol that has ended the mux.
	io.Reader
	// Write blocks while the peer does not read. It fails only when the mux has ended.
	io.Writer
	// Close ends the sending direction.
	io.Closer
	// id is the same number on both sides, and unique for the life of the mux. It is odd when the
	// controller opened the stream, and even when the agent did, and each side's grow in the order
	// of opening.
	id() uint32
}

// side says which end of the connection this is.
type side int

const (
	controllerSide side = iota
	agentSide
)

// foreign reports whether a stream with this id was opened by the peer.
func (s side) foreign(id uint32) bool { return (id%2 == 0) == (s == controllerSide) }
