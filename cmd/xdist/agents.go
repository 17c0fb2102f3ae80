package main

import (
	"path/filepath"

	"github.com/xdist-go/xdist"
	"github.com/xdist-go/xdist/agents"
)

// newAgents gives the executables for the gateways of a run. dir is the directory of the store, or
// of the run where there is none to keep; program is this one, and "" the file that it was started
// from.
func newAgents(dir, program string) *agents.Maker {
	return agents.New(agents.Config{
		Dir: filepath.Join(dir, "agents"), Sources: xdist.Sources(), Package: "./cmd/xdist", Args: []string{"agent"}, Program: program,
	})
}
