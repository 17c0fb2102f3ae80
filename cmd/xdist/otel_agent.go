//go:build xdist_agent

package main

import "errors"

// addTrace knows no collector: an agent is sent to hosts, and is spared what sends traces.
func (r *reports) addTrace() error {
	if r.cli.Bool("otel") {
		return usageError(errors.New("--otel: this executable is an agent of xdist, which sends no traces"))
	}
	return nil
}
