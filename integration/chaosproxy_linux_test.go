package integration

import (
	"net"
	"slices"
	"sync"
	"testing"
)

// slowProxy passes connections on, and can freeze those that it has. It owns its goroutines, which
// close joins.
type slowProxy struct {
	ln     net.Listener
	target string
	wait   sync.WaitGroup

	mu    sync.Mutex // guards what follows
	pairs []*proxyPair
	over  bool
}

// proxyPair is a connection and the one that it is passed on to.
type proxyPair struct {
	near, far net.Conn

	mu     sync.Mutex    // guards what follows
	goOn   chan struct{} // closed when the pair may go on
	frozen bool
	drops  bool
}

// newSlowProxy listens for connections to a target, until the end of the test.
func newSlowProxy(t *testing.T, target string) *slowProxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &slowProxy{ln: ln, target: target}
	p.wait.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

func (p *slowProxy) addr() string { return p.ln.Addr().String() }

func (p *slowProxy) accept() {
	for {
		near, err := p.ln.Accept()
		if err != nil {
			return // closed
		}
		far, err := net.Dial("tcp", p.target)
		if err != nil {
			near.Close() // as if nobody listened
			continue
		}
		pair := &proxyPair{near: near, far: far, goOn: make(chan struct{})}
		p.mu.Lock()
		if p.over {
			pair.end()
		}
		p.pairs = append(p.pairs, pair)
		p.mu.Unlock()
		p.wait.Go(func() { p.pass(pair, near, far) })
		p.wait.Go(func() { p.pass(pair, far, near) })
	}
}

// pass passes on what one end sends until either has ended.
func (p *slowProxy) pass(pair *proxyPair, from, to net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		dropped := pair.await()
		if n > 0 && !dropped {
			if _, werr := to.Write(buf[:n]); werr != nil {
				err = werr
			}
		}
		if err == nil {
			continue
		}
		if !dropped { // the other end of a connection that drops hears nothing of this one's
			to.Close()
		}
		from.Close()
		p.mu.Lock()
		p.pairs = slices.DeleteFunc(p.pairs, func(other *proxyPair) bool { return other == pair && !dropped })
		p.mu.Unlock()
		return
	}
}

// await waits while the pair is held, and reports whether it drops what it should pass on.
func (pair *proxyPair) await() (drops bool) {
	pair.mu.Lock()
	frozen, goOn := pair.frozen && !pair.drops, pair.goOn
	pair.mu.Unlock()
	if frozen {
		<-goOn
	}
	pair.mu.Lock()
	defer pair.mu.Unlock()
	return pair.drops
}

// connections is how many there are.
func (p *slowProxy) connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.pairs)
}

// freeze freezes the connections that there are.
func (p *slowProxy) freeze(drop bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, pair := range p.pairs {
		pair.mu.Lock()
		pair.frozen, pair.drops = true, drop
		pair.mu.Unlock()
	}
}

// thaw lets connections that are held go on.
func (p *slowProxy) thaw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, pair := range p.pairs {
		pair.thaw()
	}
}

func (pair *proxyPair) thaw() {
	pair.mu.Lock()
	defer pair.mu.Unlock()
	if pair.frozen && !pair.drops {
		pair.frozen = false
		close(pair.goOn)
	}
}

// end ends both connections.
func (pair *proxyPair) end() {
	pair.near.Close()
	pair.far.Close()
	pair.thaw()
}

// cut ends all connections.
func (p *slowProxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, pair := range p.pairs {
		pair.end()
	}
}

// close ends the proxy with all its connections.
func (p *slowProxy) close() {
	p.ln.Close()
	p.mu.Lock()
	p.over = true
	p.mu.Unlock()
	p.cut()
	p.wait.Wait()
}
