package gateway

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/xdist-go/xdist/xspec"
)

// Wire constants between a socket's client, which is the controller, and the server; PROTOCOL.md
// describes them.
const (
	// socketMagic precedes the request and the answer. No other protocol begins with these bytes,
	// least of all one that a browser speaks.
	socketMagic = "\x00xdist socket\n"
	// joinMagic precedes what an agent's side that connects to a controller says first, and the
	// answer. It is as long as socketMagic.
	joinMagic = "\x00xdist joiner\n"
	// socketVersion is the version of what follows either.
	socketVersion uint16 = 2
	// maxSocketGreeting is the size in bytes of the largest request or answer: room for an
	// environment.
	maxSocketGreeting = 256 << 10
)

// socketRequest is what a client says first when both sides have proved the key.
type socketRequest struct {
	Env   []socketVar `cbor:"1,keyasint,omitempty"` // to add to the agent's environment
	Grace int64       `cbor:"2,keyasint"`           // milliseconds that the agent gets to end when its client is gone

	Program *programRequest `cbor:"3,keyasint,omitempty"` // that the agent is to be; absent is the server's own
}

type socketVar struct {
	Name  string `cbor:"1,keyasint"`
	Value string `cbor:"2,keyasint"`
}

func (r socketRequest) env() []xspec.Var {
	var vars []xspec.Var
	for _, v := range r.Env {
		vars = append(vars, xspec.Var(v))
	}
	return vars
}

func newSocketRequest(env []xspec.Var, cfg Config) socketRequest {
	r := socketRequest{Grace: (cfg.Grace / 2).Milliseconds()}
	for _, v := range env {
		r.Env = append(r.Env, socketVar(v))
	}
	return r
}

// socketAnswer is the server's answer. After an empty one both sides send frames.
type socketAnswer struct {
	Error    string `cbor:"1,keyasint,omitempty"` // why there is no agent
	Platform string `cbor:"2,keyasint,omitempty"` // of the server, GOOS/GOARCH: another request is wanted, for that
	Need     bool   `cbor:"3,keyasint,omitempty"` // the program is not here, and is to be sent
}

// socketGreeting encodes a request or an answer, after magic.
func socketGreeting(magic string, v any) ([]byte, error) {
	content, err := encMode.Marshal(v)
	if err != nil {
		return nil, err
	}
	if len(content) > maxSocketGreeting {
		return nil, fmt.Errorf("request of %d bytes is larger than %d", len(content), maxSocketGreeting)
	}
	b := binary.BigEndian.AppendUint16([]byte(magic), socketVersion)
	b = binary.BigEndian.AppendUint32(b, uint32(len(content)))
	return append(b, content...), nil
}

// readSocketGreeting decodes a request or an answer that begins with magic into *v. The errors are
// *VersionError, ErrProtocol, or that of the reader.
func readSocketGreeting(r io.Reader, magic string, v any) error {
	var head [len(socketMagic) + 2 + 4]byte
	if _, err := io.ReadFull(r, head[:1]); err != nil {
		return err
	}
	if head[0] != magic[0] { // whoever speaks another protocol may now wait for an answer
		return fmt.Errorf("%w: no xdist socket", ErrProtocol)
	}
	if _, err := io.ReadFull(r, head[1:]); err != nil {
		return err
	}
	if string(head[:len(socketMagic)]) != magic {
		return fmt.Errorf("%w: no xdist socket", ErrProtocol)
	}
	numbers := head[len(socketMagic):]
	if version := binary.BigEndian.Uint16(numbers); version != socketVersion {
		return &VersionError{Ours: socketVersion, Theirs: version}
	}
	n := binary.BigEndian.Uint32(numbers[2:])
	if n > maxSocketGreeting {
		return fmt.Errorf("%w: request of %d bytes", ErrProtocol, n)
	}
	content := make([]byte, n)
	if _, err := io.ReadFull(r, content); err != nil {
		return err
	}
	if err := decMode.Unmarshal(content, v); err != nil {
		return fmt.Errorf("%w: request: %w", ErrProtocol, err)
	}
	return nil
}

// joinOffer is what a joiner says first when both sides have proved the key.
type joinOffer struct {
	Protocol uint16 `cbor:"1,keyasint"` // ProtocolVersion of its own program
	Program  string `cbor:"2,keyasint"` // version of its own program, as Info has it

	Own  bool   `cbor:"3,keyasint,omitempty"` // its agents are its own program, whatever is asked for
	Host string `cbor:"4,keyasint"`           // the same text for all that have one store of programs
}

// joinRequest is the controller's answer: what a client of a server asks for, or why it wants no
// agent.
type joinRequest struct {
	Error   string        `cbor:"1,keyasint,omitempty"`
	Request socketRequest `cbor:"2,keyasint"`
}

// Kinds of frames. Each frame is its kind, the length of its content in 4 bytes, and the content.
const (
	socketData      byte = 1 // to or from the agent; both sides send it
	socketEnd       byte = 2 // no more data; the server closes the agent's input then
	socketInterrupt byte = 3 // by the client: ask the agent to end
	socketKill      byte = 4 // by the client: end the agent and all that it has started
	socketStderr    byte = 5 // by the server: from the agent's standard error
	socketStatus    byte = 6 // by the server, as the last: how the agent ended
	socketAlive     byte = 7 // by the server, now and then, to notice a client that is gone
	socketLeave     byte = 8 // by a joiner, as the last: it goes, of its own accord, and the agent with it
	socketProgram   byte = 9 // by the client, before the agent is started: from the program that it is to be, packed
)

const (
	socketHeader = 5        // bytes
	socketChunk  = 64 << 10 // bytes of content in one frame that we send
	// maxSocketStatus is the size in bytes of the longest status that is kept.
	maxSocketStatus = 4 << 10
)

// socketWriter sends frames. It may be used concurrently.
type socketWriter struct {
	w       io.Writer
	limited net.Conn // below w; a frame may take no longer than stallLimit to go out. Nil is for ever

	mu  sync.Mutex // guards buf, and keeps frames whole and in order
	buf []byte
}

// write sends p in frames of this kind: one at least, and several when p is long.
func (w *socketWriter) write(kind byte, p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	written := 0
	for {
		chunk := p[written:min(len(p), written+socketChunk)]
		w.buf = append(w.buf[:0], kind)
		w.buf = binary.BigEndian.AppendUint32(w.buf, uint32(len(chunk)))
		w.buf = append(w.buf, chunk...)
		if w.limited != nil {
			w.limited.SetWriteDeadline(time.Now().Add(stallLimit)) // fails when it is closed, as does Write
		}
		if _, err := w.w.Write(w.buf); err != nil {
			return written, err
		}
		written += len(chunk)
		if written == len(p) {
			return written, nil
		}
	}
}

// socketStream is a socketWriter's frames of one kind as an io.Writer.
type socketStream struct {
	out  *socketWriter
	kind byte
}

// Write implements io.Writer.
func (s socketStream) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	return s.out.write(s.kind, p)
}

// socketReader receives frames. One goroutine uses it.
type socketReader struct{ *bufio.Reader }

func newSocketReader(r io.Reader) socketReader {
	return socketReader{bufio.NewReaderSize(r, connBuffer)}
}

// next reads the header of a frame. Its content, of n bytes, must be read before the next.
func (r socketReader) next() (kind byte, n int64, err error) {
	var head [socketHeader]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, 0, err
	}
	return head[0], int64(binary.BigEndian.Uint32(head[1:])), nil
}

// copyTo passes n bytes of content on as they come, however large n is. When w takes no more, the
// rest is dropped.
func (r socketReader) copyTo(w io.Writer, n int64) error {
	for n > 0 {
		if _, err := r.Peek(1); err != nil { // what is buffered, or a Read of whatever is there
			return err
		}
		content, err := r.Peek(int(min(n, int64(r.Buffered()))))
		if err != nil {
			return err
		}
		if w != nil {
			if _, err := w.Write(content); err != nil {
				w = nil
			}
		}
		n -= int64(len(content))
		r.Discard(len(content)) // cannot fail: they are buffered
	}
	return nil
}
