package gateway

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
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
	fin := muxFrame(muxWindow, muxFlagFIN, 1, 0, "")
	good := syn + muxFrame(muxData, 0, 1, 3, "abc")
	for _, tc := range []struct{ name, input, want string }{
		{"ping", good + muxFrame(muxPing, muxFlagSYN, 0, 7, ""), "ping"},
		{"own stream", good + muxFrame(muxWindow, muxFlagSYN, 2, 0, ""), "stream 2"},
		{"stream 0", good + muxFrame(muxData, muxFlagSYN, 0, 1, "x"), "stream 0"},
		{"stream again", good + good, "stream 1 opened out of order"},
		{"version", "\x01" + good[1:], "version 1"},
		{"type", muxFrame(9, 0, 1, 0, ""), "type 9"},
		{"beyond the window", good + strings.Repeat(muxFrame(muxData, 0, 1, minFrame, strings.Repeat("x", minFrame)), minWindow/minFrame), "can take 65533"},
		{"beyond the frame", good + muxFrame(muxData, 0, 1, minFrame+1, ""), "can take 65536"},
		{"data after the end", good + fin + muxFrame(muxData, 0, 1, 1, "x"), "stream 1"},
		{"data with the end", syn + muxFrame(muxData, muxFlagFIN, 1, 1, "x"), "with the end of stream 1"},
		{"data without a stream", good + muxFrame(muxData, 0, 77, 1, "x"), "stream 77"},
		{"second end", syn + fin + fin, "second end"},
		{"huge window", syn + muxFrame(muxWindow, 0, 1, 1<<32-1, ""), "overflows"},
		{"window of one too many", syn + muxFrame(muxWindow, 0, 1, 1, ""), "overflows"},
		{"crowd", crowd(acceptBacklog + 1), "at once"},
		{"nothing", good + muxFrame(muxWindow, 0, 77, 1, "") + crowd(acceptBacklog)[muxHeader:], ""},
	} {
		for _, piece := range []int{1, 5, 12, 1 << 20} {
			m := newYamux(agentSide, inPieces(tc.input, piece), minWindow, minFrame)
			<-m.session.CloseChan()
			m.close()
			err := m.conn.ended()
			if tc.want == "" && err != io.EOF || tc.want != "" && (!errors.Is(err, ErrProtocol) || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("%s in pieces of %d: %v", tc.name, piece, err)
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
		m := newYamux(agentSide, inPieces(input, 100), minWindow, minFrame)
		<-m.session.CloseChan()
		m.close()
		_, acceptErr := m.accept()
		_, openErr := m.open()
		for _, err := range []error{acceptErr, openErr} {
			if !strings.Contains(err.Error(), "peer gave") {
				t.Errorf("%x: %v", input, err)
			}
		}
	}
}

// muxPair connects two muxes.
func muxPair(t *testing.T, window int) (controller, agent *yamuxMux) {
	near, far := net.Pipe()
	controller = newYamux(controllerSide, newBufferedConn(near), window, maxFrame)
	agent = newYamux(agentSide, newBufferedConn(far), window, maxFrame)
	t.Cleanup(func() { controller.close(); agent.close() })
	return controller, agent
}

// A side with a smaller window than its peer's takes no more ahead of its reader, and all bytes
// arrive.
func TestOwnWindow(t *testing.T) {
	const window = 4 << 20
	near, far := net.Pipe()
	controller := newYamuxTaking(controllerSide, newBufferedConn(near), minWindow, window, minFrame)
	agent := newYamux(agentSide, newBufferedConn(far), window, minFrame)
	t.Cleanup(func() { controller.close(); agent.close() })
	in, out := connect(t, controller, agent)
	sent := noise(2 * window)
	go func() {
		out.Write(sent)
		out.Close()
	}()
	var got []byte
	for part := make([]byte, 1<<10); ; {
		n, err := in.Read(part)
		got = append(got, part[:n]...)
		const heads = 1 << 10 * 12 // of frames
		if ahead := int(controller.received()) - len(got); ahead > minWindow+heads {
			t.Fatalf("%d bytes have come ahead of the reader", ahead)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(got, sent) {
		t.Errorf("%d bytes came, other ones than the %d that were sent", len(got), len(sent))
	}
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
				if _, err := near.Write(b[:n]); err != nil {
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
				if err != nil {
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
	check(t, second(stuck.Write(make([]byte, minWindow))))
	stuckc := make(chan error, 1)
	go func() { stuckc <- second(stuck.Write(make([]byte, 1))) }()
	near, far := connect(t, controller, agent)
	got := make([]byte, 1<<20)
	go near.Write(make([]byte, len(got)))
	if n, err := io.ReadFull(far, got); n != len(got) || err != nil {
		t.Error(n, err)
	}
	select {
	case err := <-stuckc:
		t.Errorf("write beyond the window ended with %v", err)
	default:
	}
	agent.close()
	if err := <-stuckc; err == nil {
		t.Error("write has ended well")
	}
	if n, err := io.ReadFull(unread, make([]byte, minWindow)); n != minWindow || err != nil {
		t.Errorf("what had arrived: %d, %v", n, err)
	}
	if n, err := unread.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("after that: %d, %v", n, err)
	}
}

// TestStreamsReachThePeerInOrder has many goroutines open streams at once. The peer would end the
// connection if it saw a lower id after a higher one.
func TestStreamsReachThePeerInOrder(t *testing.T) {
	controller, agent := muxPair(t, minWindow)
	var all sync.WaitGroup
	defer all.Wait()
	for range 8 {
		all.Go(func() {
			for range 50 {
				if _, err := controller.open(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for last := uint32(0); last < 2*8*50-1; {
		st, err := agent.accept()
		check(t, err)
		if st.id() <= last {
			t.Errorf("stream %d after %d", st.id(), last)
		}
		last = st.id()
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
		m.conn.rules.mu.Lock()
		if n := m.session.NumStreams() + len(m.conn.rules.left) + len(m.conn.rules.room) + m.conn.rules.waiting; n != 0 {
			t.Errorf("%d streams are left", n)
		}
		m.conn.rules.mu.Unlock()
	}
}

// TestMuxWrites looks at what reaches the connection: one write for a frame, with the stream's
// opening before the first, two for a large one, and no frame above the limit.
func TestMuxWrites(t *testing.T) {
	for _, tc := range []struct {
		frame, size int
		want        []int // bytes of each write
	}{
		{minFrame, 5, []int{muxHeader + 5}},
		{minFrame, minFrame + 1, []int{muxHeader + minFrame, muxHeader + 1}},
		{maxFrame, splitFrom - 1, []int{muxHeader + splitFrom - 1}},
		{maxFrame, splitFrom, []int{muxHeader, splitFrom}},
	} {
		silence, end := io.Pipe() // nothing comes until the end
		var got []int
		m := newYamux(controllerSide, newBufferedConn(struct {
			io.Reader
			io.Writer
			io.Closer
		}{silence, writerFunc(func(p []byte) (int, error) { got = append(got, len(p)); return len(p), nil }), end}), minWindow, tc.frame)
		st, err := m.open()
		check(t, err)
		check(t, second(st.Write(make([]byte, tc.size))))
		m.close()
		tc.want[0] += muxHeader
		if len(got) > 1 && got[0] == muxHeader { // this process was held up for longer than holdFor
			got = slices.Concat([]int{got[0] + got[1]}, got[2:])
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%d bytes in frames of %d: got writes of %d, want %d", tc.size, tc.frame, got, tc.want)
		}
	}
}

// TestMuxHolds opens a stream on which nothing is written: the peer hears of it all the same.
func TestMuxHolds(t *testing.T) {
	silence, end := io.Pipe()
	gotc := make(chan int, 1)
	m := newYamux(controllerSide, newBufferedConn(struct {
		io.Reader
		io.Writer
		io.Closer
	}{silence, writerFunc(func(p []byte) (int, error) { gotc <- len(p); return len(p), nil }), end}), minWindow, minFrame)
	_, err := m.open()
	check(t, err)
	if n := <-gotc; n != muxHeader {
		t.Errorf("%d bytes were written", n)
	}
	m.close()
}

// fed returns an agent's mux that reads what is written to far, and writes to w.
func fed(w io.Writer) (m *yamuxMux, far *io.PipeWriter) {
	near, far := io.Pipe()
	return newYamux(agentSide, newBufferedConn(struct {
		io.Reader
		io.Writer
		io.Closer
	}{near, w, near}), minWindow, minFrame), far
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// TestWhatCameBeforeTheEndIsRead has a peer that sends, ends, and takes nothing any more: what this
// side still wants to tell it must not cost what it has sent.
func TestWhatCameBeforeTheEndIsRead(t *testing.T) {
	sent := noise(minFrame)
	m, far := fed(writerFunc(func([]byte) (int, error) { return 0, io.ErrClosedPipe }))
	defer m.close()
	io.WriteString(far, muxFrame(muxWindow, muxFlagSYN, 1, 0, ""))
	st, err := m.accept()
	check(t, err)
	for range 4 { // more than half of the window
		io.WriteString(far, muxFrame(muxData, 0, 1, minFrame, string(sent)))
		got := make([]byte, len(sent))
		if _, err := io.ReadFull(st, got); err != nil || !bytes.Equal(got, sent) {
			t.Fatal(err)
		}
	}
	far.Close()
	if n, err := st.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Error(n, err)
	}
}

// TestReadTellsOfAViolation is about streams that are open when the peer breaks a rule on another.
func TestReadTellsOfAViolation(t *testing.T) {
	m, far := fed(io.Discard)
	defer m.close()
	io.WriteString(far, crowd(2))
	st, err := m.accept()
	check(t, err)
	io.WriteString(far, muxFrame(muxPing, 0, 0, 0, ""))
	if n, err := st.Read(make([]byte, 1)); n != 0 || !errors.Is(err, ErrProtocol) {
		t.Error(n, err)
	}
}

func FuzzMux(f *testing.F) {
	f.Add([]byte(muxFrame(muxWindow, muxFlagSYN, 1, 0, "")+muxFrame(muxData, muxFlagFIN, 1, 3, "abc")), uint16(2))
	f.Add([]byte(muxFrame(muxData, muxFlagSYN|muxFlagACK, 1, 3, "abc")), uint16(16<<10))
	f.Fuzz(func(t *testing.T, input []byte, size uint16) {
		m := newYamux(agentSide, newBufferedConn(pipeOf(string(input))), minWindow, minFrame)
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
