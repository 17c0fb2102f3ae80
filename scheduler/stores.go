package scheduler

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/rsync"
)

// A host that does not share the controller's files keeps the binaries that it was sent, over many runs. The policies are told what is there, as soon as a host
// or the sending of a binary tells, and how fast its link is: from the history at first, then as binaries that are sent show. A host is asked while its tree is
// synced, so that the answer is there when its first test is given out.

// stores are the hosts that binaries are sent to. The loop owns them.
type stores struct {
	hosts    map[string]*storeHost // by token
	packages map[string][]*pkg     // that policies have, by the digest of their binary
}

// storeHost is one of them.
type storeHost struct {
	name    string // of the host, "" until a gateway of it is up
	targets []*target
	has     map[string]bool // digests
	links   []float64       // as binaries have shown, the newest last, keptLinks at most
	link    float64         // that policies were told, bytes per second; 0 is not known
}

const (
	// keptLinks is how many of what binaries have shown of a link count: their median does.
	keptLinks = 9
	// leastSent is how many bytes must have been sent to tell something of a link: less takes a round trip more than anything else.
	leastSent = 2 << 20
)

// What the hosts' goroutines post to the loop.
type (
	// binaryFound says that a host has a binary, and how many bytes per second came to it meanwhile, or 0.
	binaryFound struct {
		token, digest string
		link          float64
	}
	// binariesListed says which binaries a host has had from the beginning.
	binariesListed struct {
		token   string
		digests []string
	}
)

func newStores() stores {
	return stores{hosts: make(map[string]*storeHost), packages: make(map[string][]*pkg)}
}

// storeLink is a link to a worker that may be on a host with files of its own.
type storeLink interface {
	// store names the host, or is "" where nothing has to be sent.
	store() string
}

func (l gatewayLink) store() string {
	if l.host == nil || l.hosts.shared(l.host) {
		return ""
	}
	return l.host.token
}

// storeOf is the store of a node that has come, of which its policy is told what is known. link is what earlier runs have shown.
func (c *controller) storeOf(n *node, l link, link float64) string {
	far, ok := l.(storeLink)
	if !ok || far.store() == "" {
		return ""
	}
	token := far.store()
	h := c.stores.host(token)
	if h.name == "" {
		h.name = n.info.Hostname
		h.link = max(h.link, link)
	}
	if slices.Contains(h.targets, n.target) {
		return token
	}
	h.targets = append(h.targets, n.target)
	n.target.policy.SetLink(token, h.link)
	for _, p := range c.pkgs {
		if p.target == n.target && h.has[p.key] && slices.Contains(c.stores.packages[p.key], p) {
			p.target.policy.Hold(token, p.num)
		}
	}
	return token
}

func (s *stores) host(token string) *storeHost {
	h := s.hosts[token]
	if h == nil {
		h = &storeHost{has: make(map[string]bool)}
		s.hosts[token] = h
	}
	return h
}

// ready takes note of a package that its policy has been given.
func (s *stores) ready(p *pkg) {
	s.packages[p.key] = append(s.packages[p.key], p)
	for token, h := range s.hosts {
		if h.has[p.key] && slices.Contains(h.targets, p.target) {
			p.target.policy.Hold(token, p.num)
		}
	}
}

// found takes note that a host has a binary.
func (s *stores) found(token, digest string) *storeHost {
	h := s.host(token)
	h.has[digest] = true
	for _, p := range s.packages[digest] {
		if slices.Contains(h.targets, p.target) {
			p.target.policy.Hold(token, p.num)
		}
	}
	return h
}

func (c *controller) handleListed(m binariesListed) {
	for _, digest := range m.digests {
		c.stores.found(m.token, digest)
	}
}

func (c *controller) handleFound(m binaryFound) {
	h := c.stores.found(m.token, m.digest)
	if m.link <= 0 {
		return
	}
	h.links = append(h.links, m.link)
	h.links = h.links[max(0, len(h.links)-keptLinks):]
	h.link = h.shown()
	for _, t := range h.targets {
		t.policy.SetLink(m.token, h.link)
	}
}

// shown is what binaries have shown of the link; there must be one.
func (h *storeHost) shown() float64 {
	sorted := slices.Sorted(slices.Values(h.links))
	return sorted[len(sorted)/2]
}

// measured are the links that binaries have shown something of, by the names of their hosts. Of hosts of one name it is the slowest.
func (s *stores) measured() map[string]float64 {
	var links map[string]float64
	for _, h := range s.hosts {
		if len(h.links) == 0 || h.name == "" {
			continue
		}
		if links == nil {
			links = make(map[string]float64)
		}
		if known := links[h.name]; known == 0 || h.shown() < known {
			links[h.name] = h.shown()
		}
	}
	return links
}

// binarySize is the size of a package's binary, or 0 where that is on the host that has built it, or gone: the policy takes it to cost nothing then.
// It is compressed on the way, so that this is no measure of the traffic; links are measured in the same bytes.
func binarySize(r gotest.Ready) int64 {
	if r.Host != "" {
		return 0
	}
	info, err := os.Stat(r.Binary)
	if err != nil {
		return 0 // who runs it will say so
	}
	return info.Size()
}

// list asks a host which binaries it has, beside the sync of its tree, which takes no less than the answer. It closes what it returns when the loop was told. Without
// an answer nothing is known, which costs time and no test.
func (hs *hosts) list(ctx context.Context, gw *gateway.Gateway, h *host) <-chan struct{} {
	listed := make(chan struct{})
	if hs.shared(h) {
		close(listed)
		return listed
	}
	go func() {
		defer close(listed)
		if digests, err := rsync.ListBlobs(ctx, gw); err == nil {
			hs.tell(binariesListed{h.token, digests})
		}
	}()
	return listed
}

// put sends a binary to a host, unless it is there, and tells the loop. What other goroutines send to the same host meanwhile counts as well: they share the link.
func (hs *hosts) put(ctx context.Context, gw *gateway.Gateway, h *host, path, digest string) (string, error) {
	var begun time.Time
	var before int64
	there, err := rsync.PutBlob(ctx, gw, path, digest, func(bytes int) {
		if begun.IsZero() {
			begun, before = time.Now(), h.sent.Load()
		}
		h.sent.Add(int64(bytes))
	})
	if err != nil {
		return "", fmt.Errorf("send %s to gateway %s: %w", filepath.Base(path), gw.ID(), err)
	}
	found := binaryFound{token: h.token, digest: digest}
	if bytes := h.sent.Load() - before; !begun.IsZero() && bytes >= leastSent {
		found.link = float64(bytes) / time.Since(begun).Seconds()
	}
	hs.tell(found)
	return there, nil
}
