package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
)

// memMux is a mux in memory, one end of a pair. It keeps to what mux says, and its Go channels
// belong to the testing/synctest bubble that made it.
type memMux struct {
	mu      *sync.Mutex // of the pair
	cond    *sync.Cond
	peer    *memMux
	next    uint32
	waiting []*memStream // opened by the peer and not yet accepted
	bytes   int64        // received
	closed  *bool        // of the pair
}

// memWindow is the window in bytes of a stream of a memMux.
const memWindow = 1 << 20

func memMuxes() (controller, agent *memMux) {
	mu, closed := new(sync.Mutex), new(bool)
	cond := sync.NewCond(mu)
	controller = &memMux{mu: mu, cond: cond, next: 1, closed: closed}
	agent = &memMux{mu: mu, cond: cond, next: 2, closed: closed, peer: controller}
	controller.peer = agent
	return controller, agent
}

var errMemClosed = errors.New("mux is closed")

func (m *memMux) open() (stream, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if *m.closed {
		return nil, errMemClosed
	}
	a := &memStream{mux: m, number: m.next}
	b := &memStream{mux: m.peer, number: m.next, peer: a}
	a.peer = b
	m.next += 2
	m.peer.waiting = append(m.peer.waiting, b)
	m.cond.Broadcast()
	return a, nil
}

func (m *memMux) accept() (stream, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.waiting) == 0 && !*m.closed {
		m.cond.Wait()
	}
	if len(m.waiting) == 0 {
		return nil, errMemClosed
	}
	s := m.waiting[0]
	m.waiting = m.waiting[1:]
	return s, nil
}

func (m *memMux) received() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.bytes
}

func (m *memMux) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	*m.closed = true
	m.cond.Broadcast()
}

type memStream struct {
	mux    *memMux
	peer   *memStream
	number uint32
	buf    bytes.Buffer // arrived here
	fin    bool         // the peer writes no more
}

func (s *memStream) id() uint32 { return s.number }

func (s *memStream) Read(p []byte) (int, error) {
	s.mux.mu.Lock()
	defer s.mux.mu.Unlock()
	for s.buf.Len() == 0 && !s.fin && !*s.mux.closed {
		s.mux.cond.Wait()
	}
	defer s.mux.cond.Broadcast()
	return s.buf.Read(p) // io.EOF when it is empty
}

func (s *memStream) Write(p []byte) (n int, err error) {
	s.mux.mu.Lock()
	defer s.mux.mu.Unlock()
	for n < len(p) {
		room := memWindow - s.peer.buf.Len()
		if *s.mux.closed || s.peer.fin {
			return n, errMemClosed
		}
		if room == 0 {
			s.mux.cond.Wait()
			continue
		}
		m := min(room, len(p)-n)
		s.peer.buf.Write(p[n : n+m])
		s.peer.mux.bytes += int64(m)
		n += m
		s.mux.cond.Broadcast()
	}
	return n, nil
}

func (s *memStream) Close() error {
	s.mux.mu.Lock()
	defer s.mux.mu.Unlock()
	s.peer.fin = true
	s.mux.cond.Broadcast()
	return nil
}

// pipeOf returns a connection from which input comes, and which swallows what is written.
func pipeOf(input string) io.ReadWriteCloser {
	return struct {
		io.Reader
		io.Writer
		io.Closer
	}{strings.NewReader(input), io.Discard, io.NopCloser(nil)}
}

func TestForeignIDs(t *testing.T) {
	if !agentSide.foreign(1) || agentSide.foreign(2) || controllerSide.foreign(1) || !controllerSide.foreign(2) {
		t.Error("odd streams are the controller's")
	}
}

// pair connects two sessions in memory.
func pair(t *testing.T, handlers Handlers, change func(*sessionConfig)) (controller, agent *session) {
	t.Helper()
	cm, am := memMuxes()
	cfg := sessionConfig{name: "gw", nonce: 7, sendLimit: minItemSize, recvLimit: minItemSize, maxChannels: 100}
	if change != nil {
		change(&cfg)
	}
	controller, err := startSession(t.Context(), cm, controllerSide, cfg)
	if err != nil {
		t.Fatal(err)
	}
	cfg.handlers = handlers
	if agent, err = startSession(t.Context(), am, agentSide, cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, n := range []*session{controller, agent} {
			n.stopRun(nil)
			n.end(errors.New("test is over"))
			n.wait()
			n.running.Wait()
		}
	})
	return controller, agent
}

func TestPeerWithTooManyChannels(t *testing.T) {
	controller, agent := pair(t, nil, func(c *sessionConfig) { c.maxChannels = 5 })
	for range 6 {
		if _, err := controller.newChannel(context.Background(), "", nil); err != nil {
			break
		}
	}
	if err := agent.reason(); !errors.Is(err, ErrProtocol) {
		t.Errorf("the agent ended with %v", err)
	}
	if err := controller.reason(); err == nil {
		t.Error("the controller goes on")
	}
}

func TestViolationsEndTheGateway(t *testing.T) {
	open := "\x01\x01\xa0"
	for name, input := range map[string]string{
		"unknown frame":       open + "\x09\x00",
		"no opening":          "\x02\x01\x05",
		"second opening":      open + open,
		"bad opening":         "\x01\x01\x05",
		"empty item":          open + "\x02\x00",
		"huge item":           open + "\x02\xff\xff\xff\xff\x0f",
		"endless length":      open + "\x02\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
		"item after the end":  open + "\x03\x00\x02\x01\x05",
		"error that is none":  open + "\x04\x01\x05",
		"bad control message": "",
	} {
		t.Run(name, func(t *testing.T) {
			controller, agent := pair(t, nil, nil)
			if input == "" {
				controller.tell(controlMessage{Kind: 99})
			} else {
				st, err := controller.mux.open()
				if err != nil {
					t.Fatal(err)
				}
				if _, err := io.WriteString(st, input); err != nil {
					t.Fatal(err)
				}
			}
			if err := agent.reason(); !errors.Is(err, ErrProtocol) {
				t.Errorf("ended with %v", err)
			}
		})
	}
}
