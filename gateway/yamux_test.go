package gateway

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/yamux"
)

// muxFrame is a frame of yamux.
func muxFrame(kind byte, flags uint16, id, length uint32, body string) string {
	b := append(make([]byte, 0, muxHeader), 0, kind)
	b = binary.BigEndian.AppendUint16(b, flags)
	b = binary.BigEndian.AppendUint32(b, id)
	b = binary.BigEndian.AppendUint32(b, length)
	return string(b) + body
}

// inPieces returns a connection from which input comes in pieces of n bytes.
func inPieces(input string, n int) *bufferedConn {
	r := readerFunc(func(p []byte) (int, error) {
		k := copy(p[:min(n, len(p))], input)
		input = input[k:]
		if k == 0 {
			return 0, io.EOF
		}
		return k, nil
	})
	return newBufferedConn(struct {
		io.Reader
		io.Writer
		io.Closer
	}{r, io.Discard, io.NopCloser(nil)})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestMuxRefuses(t *testing.T) {
	syn := muxFrame(muxWindow, muxFlagSYN, 1, 0, "")
	good := syn + muxFrame(muxData, 0, 1, 3, "abc")
	for _, tc := range []struct{ name, input, want string }{
		{"ping", good + muxFrame(muxPing, muxFlagSYN, 0, 7, ""), "ping"},
		{"own stream", good + muxFrame(muxWindow, muxFlagSYN, 2, 0, ""), "stream 2"},
		{"stream 0", good + muxFrame(muxData, muxFlagSYN, 0, 1, "x"), "stream 0"},
		{"stream again", good + good, "stream 1 opened out of order"},
		{"version", "\x01" + good[1:], "version 1"},
		{"type", muxFrame(9, 0, 1, 0, ""), "type 9"},
		{"beyond the window", good + muxFrame(muxData, 0, 1, minWindow-2, ""), "can take 262141"},
		{"data after the end", syn + muxFrame(muxData, muxFlagFIN, 1, 1, "x") + muxFrame(muxData, 0, 1, 1, "x"), "stream 1"},
		{"second end", syn + strings.Repeat(muxFrame(muxWindow, muxFlagFIN, 1, 0, ""), 2), "second end"},
		{"huge window", syn + muxFrame(muxWindow, 0, 1, 1<<32-1, ""), "overflows"},
		{"crowd", crowd(acceptBacklog + 1), "at once"},
		{"nothing", good + muxFrame(muxData, 0, 77, 3, "old") + muxFrame(muxWindow, 0, 77, 1, "") + crowd(acceptBacklog)[muxHeader:], ""},
	} {
		for _, piece := range []int{1, 5, 12, 1 << 20} {
			m := newYamux(agentSide, inPieces(tc.input, piece), minWindow)
			<-m.donec
			m.close()
			if tc.want == "" && m.err != io.EOF || tc.want != "" && (!errors.Is(m.err, ErrProtocol) || !strings.Contains(m.err.Error(), tc.want)) {
				t.Errorf("%s in pieces of %d: %v", tc.name, piece, m.err)
			}
		}
	}
}

// crowd opens n streams.
func crowd(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(muxFrame(muxWindow, muxFlagSYN, uint32(2*i+1), 0, ""))
	}
	return b.String()
}

func TestMuxEndsWhenThePeerGivesUp(t *testing.T) {
	for _, input := range []string{muxFrame(muxGoAway, 0, 0, 1, ""), muxFrame(muxWindow, muxFlagRST, 1, 0, "")} {
		m := newYamux(agentSide, inPieces(input, 100), minWindow)
		<-m.donec
		m.close()
		if !strings.Contains(m.err.Error(), "peer gave") {
			t.Errorf("%x: %v", input, m.err)
		}
		if _, err := m.accept(); err != m.err {
			t.Errorf("accept: %v", err)
		}
		if _, err := m.open(); err != m.err {
			t.Errorf("open: %v", err)
		}
	}
}

// muxPair connects two muxes.
func muxPair(t *testing.T, window int) (controller, agent *yamuxMux) {
	near, far := net.Pipe()
	controller, agent = newYamux(controllerSide, newBufferedConn(near), window), newYamux(agentSide, newBufferedConn(far), window)
	t.Cleanup(func() { controller.close(); agent.close() })
	return controller, agent
}

// connect opens a stream from one side to the other.
func connect(t *testing.T, from, to mux) (near, far stream) {
	t.Helper()
	near, err := from.open()
	if err == nil {
		far, err = to.accept()
	}
	if err != nil {
		t.Fatal(err)
	}
	return near, far
}

// noise is n bytes that do not repeat.
func noise(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	r.Read(b)
	return b
}

func TestStreamsCarryAllBytes(t *testing.T) {
	sent := noise(5 << 20)
	controller, agent := muxPair(t, minWindow)
	var all sync.WaitGroup
	defer all.Wait()
	for seed := range uint64(6) {
		from, to := mux(controller), mux(agent)
		if seed%2 == 0 {
			from, to = to, from
		}
		near, far := connect(t, from, to)
		all.Go(func() { // in pieces of any size, small ones and others
			r := rand.New(rand.NewPCG(seed, 1))
			for b := sent; len(b) > 0; {
				n := min(len(b), r.IntN(1<<(1+r.IntN(20))))
				if err := near.write(append(make([]byte, muxHeader), b[:n]...)); err != nil {
					t.Error(err)
					return
				}
				b = b[n:]
			}
			near.Close()
		})
		all.Go(func() {
			r := rand.New(rand.NewPCG(seed, 2))
			got := make([]byte, 0, len(sent))
			for {
				p := make([]byte, 1+r.IntN(1<<(1+r.IntN(20))))
				n, err := far.Read(p)
				got = append(got, p[:n]...)
				if err == io.EOF {
					break
				}
				if err != nil || n < len(p) && len(p) >= fillAtLeast && len(got) < len(sent) {
					t.Errorf("read %d of %d bytes, %v", n, len(p), err)
					return
				}
			}
			far.Close()
			if !bytes.Equal(got, sent) {
				t.Errorf("stream %d: got %d bytes, not those that were sent", far.id(), len(got))
			}
		})
	}
}

func TestStreamThatNobodyReadsDelaysNoOther(t *testing.T) {
	controller, agent := muxPair(t, minWindow)
	stuck, unread := connect(t, controller, agent)
	stuckc := make(chan error, 1)
	go func() { stuckc <- stuck.write(make([]byte, muxHeader+4*minWindow)) }()
	near, far := connect(t, controller, agent)
	got := make([]byte, 1<<20)
	go near.write(make([]byte, muxHeader+len(got)))
	if n, err := far.Read(got); n != len(got) || err != nil {
		t.Error(n, err)
	}
	s := unread.(*yamuxStream)
	s.mu.Lock()
	arrived, held := 0, 0
	for arrived < minWindow {
		arrived, held = 0, 0
		for _, c := range s.chunks {
			arrived, held = arrived+c.w-c.r, held+len(c.b)
		}
		if arrived < minWindow {
			s.changed.Wait()
		}
	}
	s.mu.Unlock()
	if held > minWindow+chunkSize {
		t.Errorf("%d bytes are held for a window of %d", held, minWindow)
	}
	select {
	case err := <-stuckc:
		t.Errorf("write of four windows ended with %v", err)
	default:
	}
	agent.close()
	if err := <-stuckc; err == nil {
		t.Error("write has ended well")
	}
	if n, err := unread.Read(make([]byte, minWindow)); n != minWindow || err != nil {
		t.Errorf("what had arrived: %d, %v", n, err)
	}
	if n, err := unread.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("after that: %d, %v", n, err)
	}
}

func TestStreamIsForgottenAtItsEnd(t *testing.T) {
	controller, agent := muxPair(t, minWindow)
	for range 2 * acceptBacklog { // more than may be open to the peer's knowledge
		near, far := connect(t, controller, agent)
		far.Close()
		if n, err := near.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Fatal(n, err)
		}
		near.Close()
		if n, err := far.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Fatal(n, err)
		}
	}
	for _, m := range []*yamuxMux{controller, agent} {
		m.mu.Lock()
		if len(m.streams) != 0 {
			t.Errorf("%d streams are left", len(m.streams))
		}
		m.mu.Unlock()
	}
}

// TestMuxTalksToYamux has hashicorp's own implementation at the other end, as controller and as
// agent.
func TestMuxTalksToYamux(t *testing.T) {
	for _, ours := range []side{controllerSide, agentSide} {
		t.Run(fmt.Sprint(ours), func(t *testing.T) {
			near, far := net.Pipe()
			m := newYamux(ours, newBufferedConn(near), 1<<20)
			cfg := yamux.DefaultConfig()
			cfg.EnableKeepAlive, cfg.LogOutput = false, io.Discard
			start := yamux.Client
			if ours == controllerSide {
				start = yamux.Server
			}
			peer, err := start(far, cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer m.close()
			defer peer.Close()
			for range 3 {
				st, err := m.open()
				if err != nil {
					t.Fatal(err)
				}
				other, err := peer.AcceptStream()
				if err != nil {
					t.Fatal(err)
				}
				exchange(t, st, other)
				if other, err = peer.OpenStream(); err != nil {
					t.Fatal(err)
				}
				if st, err = m.accept(); err != nil {
					t.Fatal(err)
				}
				exchange(t, st, other)
			}
		})
	}
}

// exchange has the peer send back what it gets, and compares.
func exchange(t *testing.T, st stream, peer *yamux.Stream) {
	t.Helper()
	if st.id() != peer.StreamID() {
		t.Errorf("stream %d is the peer's %d", st.id(), peer.StreamID())
	}
	sent := noise(3 << 20)
	go func() {
		io.Copy(peer, peer)
		peer.Close()
	}()
	go func() {
		st.write(append(make([]byte, muxHeader), sent...))
		st.Close()
	}()
	got, err := io.ReadAll(st)
	if err != nil || !bytes.Equal(got, sent) {
		t.Errorf("got %d of %d bytes, %v", len(got), len(sent), err)
	}
}

func FuzzMux(f *testing.F) {
	f.Add([]byte(muxFrame(muxWindow, muxFlagSYN, 1, 0, "")+muxFrame(muxData, muxFlagFIN, 1, 3, "abc")), uint16(2))
	f.Add([]byte(muxFrame(muxData, muxFlagSYN|muxFlagACK, 1, 3, "abc")), uint16(fillAtLeast))
	f.Fuzz(func(t *testing.T, input []byte, size uint16) {
		m := newYamux(agentSide, newBufferedConn(pipeOf(string(input))), minWindow)
		total := 0
		for {
			s, err := m.accept()
			if err != nil {
				break
			}
			for p := make([]byte, 1+int(size)); err == nil; {
				var n int
				n, err = s.Read(p)
				total += n
			}
			if err != io.EOF && !errors.Is(err, ErrProtocol) {
				t.Errorf("undocumented error %v", err)
			}
			s.Close()
		}
		m.close()
		if total > len(input) {
			t.Errorf("%d bytes came of %d", total, len(input))
		}
	})
}
