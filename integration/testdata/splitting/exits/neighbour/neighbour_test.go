// Package neighbour is tested beside the packages that end early.
package neighbour

import "testing"

func TestA(t *testing.T) {}
func TestB(t *testing.T) {}
