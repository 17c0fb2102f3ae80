// Package args has no flag x.
package args

import "testing"

func TestPasses(t *testing.T) {}
