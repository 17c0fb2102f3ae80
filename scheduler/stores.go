package scheduler

import (
	"context"
	"errors"
	"os"
	"slices"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/scheduler/hosts"
)

// A host that does not share the controller's files keeps the binaries that it was sent, over many
// runs. The policies are told what is there, as soon as a host or the sending of a binary tells,
// and how fast its link is: from the history at first, then as binaries that are sent show. A host
// is asked while its tree is synced, so that the answer is there when its first test is given out.

// stores are the hosts that binaries are sent to. The loop owns them.
type stores struct {
	hosts    map[string]*storeHost // by token
	packages map[string][]*pkg     // that policies have, by the digest of their binary
}

// storeHost is one of them.
type storeHost struct {
	name  string // of the host, "" until a gateway of it is up
	pools []*pool
	has   map[string]bool // digests
	links []float64       // as binaries have shown, the newest last, keptLinks at most
	link  float64         // that policies were told, bytes per second; 0 is not known
}

// keptLinks is how many of what binaries have shown of a link count: their median does.
const keptLinks = 9

func newStores() stores {
	return stores{hosts: make(map[string]*storeHost), packages: make(map[string][]*pkg)}
}

// storeLink is a link to a worker that may be on a host with files of its own.
type storeLink interface {
	// store names the host, or is "" where nothing has to be sent.
	store() string
}

func (l gatewayLink) store() string {
	if l.host == nil || l.hosts.Shared(l.host) {
		return ""
	}
	return l.host.Token
}

// storeOf is the store of a node that has come, of which its policy is told what is known. link is
// what earlier runs have shown.
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
	if slices.Contains(h.pools, n.pool) {
		return token
	}
	h.pools = append(h.pools, n.pool)
	n.pool.policy.SetLink(token, h.link)
	for _, p := range c.pkgs {
		if p.pool == n.pool && h.has[p.key] && slices.Contains(c.stores.packages[p.key], p) {
			p.pool.policy.Hold(token, p.num)
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
		if h.has[p.key] && slices.Contains(h.pools, p.pool) {
			p.pool.policy.Hold(token, p.num)
		}
	}
}

// found takes note that a host has a binary.
func (s *stores) found(token, digest string) *storeHost {
	h := s.host(token)
	h.has[digest] = true
	for _, p := range s.packages[digest] {
		if slices.Contains(h.pools, p.pool) {
			p.pool.policy.Hold(token, p.num)
		}
	}
	return h
}

func (c *controller) handleListed(m hosts.BinariesListed) {
	for _, digest := range m.Digests {
		c.stores.found(m.Token, digest)
	}
}

func (c *controller) handleFound(m hosts.BinaryFound) {
	h := c.stores.found(m.Token, m.Digest)
	if m.Link <= 0 {
		return
	}
	h.links = append(h.links, m.Link)
	h.links = h.links[max(0, len(h.links)-keptLinks):]
	h.link = h.shown()
	for _, t := range h.pools {
		t.policy.SetLink(m.Token, h.link)
	}
}

// shown is what binaries have shown of the link; there must be one.
func (h *storeHost) shown() float64 {
	sorted := slices.Sorted(slices.Values(h.links))
	return sorted[len(sorted)/2]
}

// measured are the links that binaries have shown something of, by the names of their hosts. Of
// hosts of one name it is the slowest.
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

// binarySize is the size of a package's binary, or 0 where that is on the host that has built it,
// or gone: the policy takes it to cost nothing then. It is compressed on the way, so that this is
// no measure of the traffic; links are measured in the same bytes.
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

// leaveHosts brings back what is asked for and lets other runs have the mirrors. The gateways are
// still there. ctx is that of untilInterrupted.
func (c *controller) leaveHosts(ctx context.Context) {
	if c.hosts == nil {
		return
	}
	if len(c.hosts.Mirror.Pull) > 0 {
		c.bringBack(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.TerminateTimeout)
	defer cancel()
	c.hosts.Release(ctx)
}

// bringBack brings files back from the hosts. After an interrupt there is as much time for that as
// for the gateways to end; an interrupt meanwhile ends it at once.
func (c *controller) bringBack(ctx context.Context) {
	pulling := ctx
	if c.interrupted {
		var cancel context.CancelFunc
		pulling, cancel = context.WithTimeoutCause(ctx, c.cfg.TerminateTimeout, errLongPull)
		defer cancel()
	}
	c.reportFault(c.hosts.Pull(pulling, slices.Collect(c.cfg.Group.All())))
	c.interrupted = c.interrupted || ctx.Err() != nil
}

var errLongPull = errors.New("the run was interrupted, and it takes too long")
