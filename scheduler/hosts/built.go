package hosts

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/xdist-go/xdist/rsync"
	"github.com/xdist-go/xdist/scheduler/wire"
)

// fetchBuilt brings the binary of an order, and its coverage data, from the host that has built it
// to the controller, once, and puts their paths here into the order.
func (hs *Set) fetchBuilt(ctx context.Context, token, digest string, o *wire.Order) (err error) {
	dir, name := splitPath(o.Binary)
	local := filepath.Join(hs.runDir, "built", digest)
	o.Binary, err = hs.built.bring(ctx, digest, func() (string, error) {
		return filepath.Join(local, name), hs.fetch(ctx, token, dir, name, local)
	})
	if err != nil || o.CoverMeta == "" {
		return err
	}
	_, name = splitPath(o.CoverMeta)
	local = filepath.Join(hs.runDir, "built", name)
	meta := o.CoverMeta
	o.CoverMeta, err = hs.built.bring(ctx, meta, func() (string, error) { return local, hs.fetch(ctx, token, meta, "*", local) })
	return err
}

// fetch brings what matches a pattern from a directory of the host with a token, through the first
// of its gateways that can do it.
func (hs *Set) fetch(ctx context.Context, token, dir, pattern, local string) error {
	hs.mu.Lock()
	var errs []error
	doors := slices.Clone(hs.byToken[token].doors)
	hs.mu.Unlock()
	for _, gw := range slices.Backward(doors) { // the last one is the likeliest to live
		_, err := rsync.Fetch(ctx, gw, dir, []string{pattern}, local, 0)
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return fmt.Errorf("bring what another host has built: %w", errors.Join(errs...))
}

// splitPath splits a path of a host of any platform at its last element.
func splitPath(path string) (dir, name string) {
	i := strings.LastIndexAny(path, `/\`)
	return path[:max(i, 0)], path[i+1:]
}
