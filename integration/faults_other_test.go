//go:build !linux

package integration

import "testing"

func TestKilledAgents(t *testing.T) {
	t.Skip("finding the agents and what they leave behind needs /proc of Linux")
}

func TestKillerOfAgents(t *testing.T) {
	t.Skip("the test that kills its agent is for Linux")
}
