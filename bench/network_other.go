//go:build !linux

package main

import (
	"context"
	"fmt"
)

// networks needs network namespaces.
func (b *bench) networks(context.Context) (*table, error) {
	return nil, fmt.Errorf("hosts of one's own need Linux: %w", errUnavailable)
}
