package gateway

import (
	"context"
	"fmt"

	"github.com/xdist-go/xdist/xspec"
)

// Probe opens a gateway as spec says, outside of the group, asks what and where its agent is, and
// ends it. No id of the group is taken; via= finds its members. ctx and Config.OpenTimeout bound
// it. Errors: as Open's.
func (g *Group) Probe(ctx context.Context, spec xspec.Spec) (Info, error) {
	spec, err := g.probed(spec)
	if err != nil {
		return Info{}, err
	}
	ctx, cancel := g.openTimeout(g.cfg.timed(ctx, spec.ID))
	defer cancel()
	gw, err := g.reach(ctx, spec)
	if err != nil {
		return Info{}, fmt.Errorf("probe %q: %w", spec, err)
	}
	gw.Exit()
	select {
	case <-gw.Done():
	case <-ctx.Done():
		gw.kill()
		<-gw.Done()
	}
	return gw.Info(), nil
}

// CountCPUs returns how many processors an agent as spec wants it may keep busy, see UsableCPUs.
// Errors: as Open's.
func (g *Group) CountCPUs(ctx context.Context, spec xspec.Spec) (int, error) {
	info, err := g.Probe(ctx, spec)
	return max(1, info.CPUs), err
}

// probed is the spec of a gateway that is none of the group.
func (g *Group) probed(spec xspec.Spec) (xspec.Spec, error) {
	text := spec.String()
	spec, err := g.withDefault(spec)
	if err == nil && !spec.HasTransport() {
		err = ErrNoTransport
	}
	if err == nil && spec.ID == "" {
		spec, err = spec.WithID("probe")
	}
	if err != nil {
		return spec, fmt.Errorf("probe %q: %w", text, err)
	}
	return spec, nil
}
