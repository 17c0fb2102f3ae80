package gateway

import (
	"strings"
	"testing"
	"time"

	"github.com/xdist-go/xdist/xspec"
)

// stubborn is a process that ends only when it is killed, and blocks that as long as it likes.
type stubborn struct {
	release chan struct{} // kill returns when it is closed
	killed  chan struct{} // closed by kill
}

func (p *stubborn) wait() string   { <-p.killed; return "signal: killed" }
func (p *stubborn) stderr() string { return "" }
func (p *stubborn) interrupt()     {}
func (p *stubborn) kill() {
	<-p.release
	close(p.killed)
}

// TestKillThatBlocks ends two gateways of which one cannot be killed: the other ends, and the error
// names the one.
func TestKillThatBlocks(t *testing.T) {
	g := NewGroup(Config{})
	open := make(chan struct{})
	close(open)
	blocked := make(chan struct{})
	var gws []*Gateway
	for id, release := range map[string]chan struct{}{"blocks": blocked, "ends": open} {
		p := &stubborn{release: release, killed: make(chan struct{})}
		gw := &Gateway{
			group: g, spec: xspec.Spec{ID: id}, endpoint: &endpoint{proc: p},
			exitc: make(chan struct{}), killc: make(chan struct{}), donec: p.killed,
			n: &session{err: ErrExited},
		}
		g.order = append(g.order, gw)
		gws = append(gws, gw)
	}
	err := g.Terminate(t.Context(), time.Millisecond)
	if err == nil || !strings.HasPrefix(err.Error(), "terminate gateways blocks: ") {
		t.Errorf("error %v, want one that names the gateway that blocks, and no other", err)
	}
	close(blocked)
	for _, gw := range gws {
		<-gw.Done()
	}
}
