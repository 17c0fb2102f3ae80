// Command xdist runs the tests of a Go module on many processes at once and reports them
// as one run of go test.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/urfave/cli/v2"
)

func main() {
	os.Exit(int(run(os.Args)))
}

// run is the whole command; it returns the exit status.
func run(args []string) status {
	ctx, stop := signalContext(context.Background())
	defer stop()
	cli.HelpPrinter = printHelp
	err := newApp(os.Stdout, os.Stderr).RunContext(ctx, splitArgs(args))
	var ended *endedError
	switch {
	case err == nil:
		return statusPassed
	case ctx.Err() != nil && (!errors.As(err, &ended) || ended.status == statusInternal):
		return statusInterrupted // what failed was in the middle of something, and ended for that
	case errors.As(err, &ended):
		if ended.err != nil {
			fmt.Fprintln(os.Stderr, "xdist:", ended.err)
		}
		return ended.status
	default:
		fmt.Fprintln(os.Stderr, "xdist:", err)
		return statusInternal
	}
}
