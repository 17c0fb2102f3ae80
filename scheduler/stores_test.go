package scheduler

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/history"
	"github.com/xdist-go/xdist/scheduler/event"
	"github.com/xdist-go/xdist/scheduler/hosts"
	"github.com/xdist-go/xdist/scheduler/wire"
	"github.com/xdist-go/xdist/xspec"
)

// newFarWorld is a world with a gateway on each of the hosts a, b and c, over links of 1 MB/s, and
// a package with a binary of 10 MB, that begins when all are there.
func newFarWorld(t *testing.T) *world {
	w := newWorld(t, 3, map[string][]string{"p": many("Pass", 6)})
	w.teach()
	w.cfg.History.Learn(history.Run{ID: "links", Time: time.Now(), Hosts: []history.HostRun{{Name: "a", Link: 1e6}, {Name: "b", Link: 1e6}, {Name: "c", Link: 1e6}}})
	w.cfg.MinNodes, w.size = 3, 10e6
	w.stores = func(s xspec.Spec) string { return "token of " + hostOf(s) }
	w.info = func(s xspec.Spec) gateway.Info {
		return gateway.Info{Hostname: hostOf(s), GOOS: "linux", GOARCH: "amd64"}
	}
	return w
}

func hostOf(s xspec.Spec) string { return map[string]string{"gw0": "a", "gw1": "b", "gw2": "c"}[s.ID] }

func keyOf(pkg string) string {
	sum := sha256.Sum256([]byte(pkg))
	return hex.EncodeToString(sum[:])
}

// ranOn are the gateways that were given something.
func ranOn(r *record) []string {
	all := make(map[string]bool)
	for _, e := range r.events {
		if u, ok := e.(event.UnitStarted); ok {
			all[u.Gateway] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// upLink is a fakeLink that tells when the loop has its node.
type upLink struct {
	*fakeLink
	once sync.Once
	upc  chan struct{} // closed by receive
}

func (l *upLink) receive(ctx context.Context) (wire.Report, error) {
	l.once.Do(func() { close(l.upc) })
	return l.fakeLink.receive(ctx)
}

// TestHeldBinary tells that one host has the binary from an earlier run: before and after the
// package can run, and when the host is there too. No other host gets it.
func TestHeldBinary(t *testing.T) {
	for _, when := range []string{"before the package can run", "before the host is there", "after both"} {
		for _, gw := range []string{"gw0", "gw1"} {
			t.Run(when+" "+gw, func(t *testing.T) {
				w := newFarWorld(t)
				ready, told := make(chan struct{}), make(chan struct{}) // closed when the loop knows the package, and what is where
				up := map[string]chan struct{}{"gw0": make(chan struct{}), "gw1": make(chan struct{}), "gw2": make(chan struct{})}
				w.adjust = func(c *controller) {
					tell := func() {
						c.post(hosts.BinariesListed{Token: w.stores(xspec.Spec{ID: gw}), Digests: []string{keyOf("other"), keyOf("p")}})
						close(told)
					}
					c.connect = func(ctx context.Context, n *node) (link, gateway.Info, error) {
						switch {
						case n.id == gw && when == "before the package can run":
							tell()
						case n.id == gw && when == "before the host is there":
							<-ready
							tell()
						case n.id == gw: // not the first to be asked
							<-up[map[string]string{"gw0": "gw1", "gw1": "gw0"}[gw]]
						case n.id == "gw2" && when == "after both":
							<-ready
							<-up[gw]
							tell()
						}
						l, info, err := w.connect(ctx, n)
						return &upLink{fakeLink: l.(*fakeLink), upc: up[n.id]}, info, err
					}
				}
				source := w.cfg.Source
				w.cfg.Source = func(ctx context.Context, p gotest.Platform, emit func(gotest.BuildEvent)) error {
					if when == "before the package can run" {
						<-told
					}
					err := source(ctx, p, emit)
					close(ready)
					return err
				}
				s, r, err := w.run(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				w.check(s, r)
				w.wantCounts(s, map[event.Verdict]int{event.Pass: 6})
				if diff := cmp.Diff([]string{gw}, ranOn(r)); diff != "" {
					t.Errorf("gateways that ran something (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// TestLinks measures a link, and hears of a binary that was there: the slower link of its host's
// name is told at the end.
func TestLinks(t *testing.T) {
	w := newFarWorld(t)
	w.adjust = func(c *controller) {
		c.connect = func(ctx context.Context, n *node) (link, gateway.Info, error) {
			if n.id == "gw0" {
				for _, rate := range []float64{5e6, 0, 7e6, 100e6} {
					c.post(hosts.BinaryFound{Token: w.stores(n.spec), Digest: keyOf("p"), Link: rate})
				}
			}
			return w.connect(ctx, n)
		}
	}
	s, r, err := w.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.check(s, r)
	if diff := cmp.Diff(map[string]float64{"a": 7e6}, s.Links); diff != "" {
		t.Errorf("links (-want +got):\n%s", diff)
	}
}
