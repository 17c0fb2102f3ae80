package gateway_test

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// proxy passes bytes on to an address until it is told otherwise, and counts them.
type proxy struct {
	addr   string
	mu     sync.Mutex // guards conns
	conns  []net.Conn
	frozen chan struct{} // closed by freeze: what comes is swallowed from then on
	sent   atomic.Int64  // bytes, in both directions
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{addr: ln.Addr().String(), frozen: make(chan struct{})}
	var loops sync.WaitGroup
	loops.Go(func() {
		for {
			near, err := ln.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", target)
			if err != nil {
				near.Close()
				continue
			}
			p.mu.Lock()
			p.conns = append(p.conns, near, far)
			p.mu.Unlock()
			loops.Go(func() { p.pass(near, far) })
			loops.Go(func() { p.pass(far, near) })
		}
	})
	t.Cleanup(func() { ln.Close(); p.cut(); loops.Wait() })
	return p
}

func (p *proxy) pass(from, to net.Conn) {
	defer func() {
		select {
		case <-p.frozen: // the other side is to learn nothing
		default:
			to.Close()
		}
	}()
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		select {
		case <-p.frozen:
		default:
			p.sent.Add(int64(n))
			to.Write(b[:n])
		}
		if err != nil {
			return
		}
	}
}

// cut ends all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.Close()
	}
}

// freeze lets nothing through any more, as a cable that was pulled.
func (p *proxy) freeze() { close(p.frozen) }
