package hosts

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/xdist-go/xdist/rsync"
	"github.com/xdist-go/xdist/scheduler/wire"
)

// fetchBuilt brings the binary of an order, and its coverage data, from the host that has built it
// to the controller, once, and puts their paths here into the order.
func (hs *Set) fetchBuilt(ctx context.Context, token, digest string, o *wire.Order) (err error) {
	dir, name := wire.LastElement(o.Binary)
	local := filepath.Join(hs.runDir, "built", digest)
	o.Binary, err = hs.built.bring(ctx, digest, func() (string, error) {
		return filepath.Join(local, name), hs.fetch(ctx, token, dir, name, local)
	})
	if err != nil || o.CoverMeta == "" {
		return err
	}
	meta := o.CoverMeta
	local = hs.coverPlace(token, meta)
	o.CoverMeta, err = hs.built.bring(ctx, token+" "+meta, func() (string, error) { return local, hs.fetch(ctx, token, meta, "*", local) })
	return err
}

// coverPlace is where the coverage data of a host go here: in a directory of their own, whatever
// that host and others call theirs. The last element of their name stays, since a copy on a third
// host is called by it.
func (hs *Set) coverPlace(token, meta string) string {
	whose := sha256.Sum256([]byte(token + "\x00" + meta))
	_, name := wire.LastElement(meta)
	return filepath.Join(hs.runDir, "cover", hex.EncodeToString(whose[:8]), name)
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
