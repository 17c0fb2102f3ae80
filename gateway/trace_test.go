package gateway_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/integration/sshd"
)

// traced are the phases of the openings of gateways, in order, and their whole time.
type traced struct {
	mu     sync.Mutex // guards the maps
	phases map[string][]string
	total  map[string]time.Duration
}

func (tr *traced) note(id string, p gateway.Phase, took time.Duration) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.phases[id] = append(tr.phases[id], string(p))
	tr.total[id] += took
}

func TestTrace(t *testing.T) {
	for _, tc := range []struct {
		name string
		spec func(*testing.T) string
		want []string
		next []string // of a second gateway
	}{
		{"popen", func(*testing.T) string { return "popen" }, []string{"start", "handshake"}, []string{"start", "handshake"}},
		{"ssh", func(t *testing.T) string { return sshd.Start(t, sshd.Options{}).Spec() },
			[]string{"resolve", "connect", "host key", "auth", "probe", "upload", "start", "handshake"},
			[]string{"connect", "probe", "start", "handshake"}},
		{"jump", func(t *testing.T) string {
			return sshd.Start(t, sshd.Options{Jump: sshd.Start(t, sshd.Options{Name: "jump"})}).Spec()
		}, []string{"resolve", "connect", "host key", "auth", "connect", "host key", "auth", "probe", "upload", "start", "handshake"},
			[]string{"connect", "probe", "start", "handshake"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			spec := tc.spec(t)
			tr := traced{phases: map[string][]string{}, total: map[string]time.Duration{}}
			cfg := config()
			cfg.Trace = tr.note
			g := newGroup(t, cfg)
			for i, want := range [][]string{tc.want, tc.next} {
				begin := time.Now()
				id := openIn(t, g, spec).ID()
				took := time.Since(begin)
				if got := tr.phases[id]; !slices.Equal(got, want) {
					t.Errorf("phases of gateway %d: %q, want %q", i, got, want)
				}
				if total := tr.total[id]; total > took || total < took/2 {
					t.Errorf("the phases took %v of %v", total, took)
				}
			}
		})
	}
}
