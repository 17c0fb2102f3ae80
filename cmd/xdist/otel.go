//go:build !xdist_agent

package main

import (
	"os"
	"strings"

	"github.com/xdist-go/xdist/reporters/otel"
)

// addTrace adds the trace for an OpenTelemetry collector, and what tests are to know of it.
func (r *reports) addTrace() error {
	if !r.cli.Bool("otel") || strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") {
		return nil
	}
	sent, err := otel.New(r.cli.Context, otel.Config{Version: version(), Failures: r.watch(), Warn: warnTo(r.cli.App.ErrWriter)})
	if err != nil {
		return usageError(err)
	}
	r.testEnv = sent.Env()
	r.add(sent)
	return nil
}
