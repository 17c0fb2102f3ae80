package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/xdist-go/xdist/integration/netns"
)

// openHost makes a host of its own, without Go or the module's files, with n gateways to it. dir is
// for ssh's files.
func openHost(ctx context.Context, dir string, n int) (where, error) {
	w, err := netns.Open(ctx, dir)
	if err != nil {
		return where{}, err
	}
	h, err := w.AddHost(ctx, "far", netns.HostOptions{})
	if err != nil {
		return where{}, errors.Join(err, w.Close())
	}
	return where{tx: []string{fmt.Sprintf("%d*%s", n, h.Spec())}, start: w.Start, noGo: true, close: w.Close}, nil
}
