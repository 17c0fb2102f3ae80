package scheduler

import (
	"context"
	"errors"
	"fmt"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/scheduler/hostbuild"
	"github.com/xdist-go/xdist/scheduler/wire"
)

// Gateways with build=remote are a platform of their own, whose collection and binaries come from
// the first of their hosts that is ready: it has the tree, and builds all packages as the
// controller would for its own platform. A host of that platform that has not built gets the
// binaries over the controller. When the gateway is lost over it the next one builds; what has come
// by then stays.

// builderLost comes from the goroutine of a remote supply that needs another builder.
type builderLost struct {
	*supply
	gateway string
}

var _ hostbuild.Remote = gatewayLink{}

func (l gatewayLink) Place() hostbuild.Place {
	return hostbuild.Place{Gateway: l.gw.ID(), Hostname: l.gw.Info().Hostname, Token: l.host.Token}
}

func (l gatewayLink) Build(ctx context.Context, cmd *gotest.Command, args wire.BuildArgs) (hostbuild.Link, error) {
	moved := cmd.Moved(func(path string) string { return l.host.Translate(l.hosts.Mirror, l.gw.Info().GOOS, path) })
	var err error
	if args.Command, err = moved.Encode(); err != nil {
		return nil, err
	}
	link, err := hostbuild.Start(ctx, l.gw, l.host, l.hosts.Mirror.Source.Root, args)
	if err != nil {
		return nil, err
	}
	home := func(path string) string { return l.host.Home(l.hosts.Mirror, l.gw.Info().GOOS, path) }
	return hostbuild.Checked(link, cmd, home), nil
}

// boundedRemote is a host that is told how much of its builds it may keep.
type boundedRemote struct {
	hostbuild.Remote
	cacheSize int64 // bytes
}

func (r boundedRemote) Build(ctx context.Context, cmd *gotest.Command, args wire.BuildArgs) (hostbuild.Link, error) {
	args.CacheSize = r.cacheSize
	return r.Remote.Build(ctx, cmd, args)
}

// offer gives a supply that waits for one a host to build on.
func (c *controller) offer(s *supply) {
	if s.builders == nil || s.offered {
		return
	}
	for _, n := range c.nodes {
		if n.ready && n.builder != nil && n.pool.supply == s {
			s.offered = true
			s.builders <- n.builder // has room: one that nobody has taken
			return
		}
	}
}

// handleBuilderLost finds another host for a supply, now or when one is ready.
func (c *controller) handleBuilderLost(m builderLost) {
	if n := c.nodes[m.gateway]; n != nil {
		n.builder = nil // its end is about to come
	}
	m.offered = false
	c.offer(m.supply)
}

// remoteSource is the Source of a supply whose hosts build for themselves. The link is open until
// the caller ends it, and so stays what the build has left on its host; nil when there is none.
func (c *controller) remoteSource(ctx context.Context, s *supply, emit func(gotest.BuildEvent)) (hostbuild.Link, error) {
	b := hostbuild.New(hostbuild.Config{
		Command: c.cfg.Command, RunID: c.cfg.RunID, Toolchain: c.cfg.Toolchain, Platform: s.platform, Emit: emit,
	})
	for {
		var on hostbuild.Remote
		select {
		case on = <-s.builders:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		link, err := b.Run(ctx, boundedRemote{on, c.cfg.CacheSize})
		var lost *hostbuild.LostError
		if errors.As(err, &lost) && ctx.Err() == nil {
			emit(gotest.Warning{Text: fmt.Sprintf("%v; another one is to build", err)})
			c.post(builderLost{s, on.Place().Gateway})
			continue
		}
		if err != nil && !b.Known() && ctx.Err() == nil {
			b.CollectHere(ctx)
		}
		return link, err
	}
}
