//go:build !linux

package integration

import "testing"

func TestFar(t *testing.T) { t.Skip("hosts of one's own need Linux") }
