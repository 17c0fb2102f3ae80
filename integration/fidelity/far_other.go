//go:build !linux

package main

import (
	"context"

	"github.com/xdist-go/xdist/integration/netns"
)

func openHost(context.Context, string, int) (where, error) { return where{}, netns.Supported() }
