package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/urfave/cli/v2"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/rsync"
	"github.com/xdist-go/xdist/scheduler/hostbuild"
	"github.com/xdist-go/xdist/scheduler/hosts"
	"github.com/xdist-go/xdist/scheduler/wire"
	"github.com/xdist-go/xdist/scheduler/worker"
)

// listCommand prints the collection. No code of the module is run for it.
func listCommand() *cli.Command {
	return &cli.Command{
		Name:            "list",
		Usage:           "print the test ids that a run would have, without running any code",
		UsageText:       "xdist list [packages] [go test flags]",
		HideHelpCommand: true,
		Action: func(c *cli.Context) error {
			args := c.Args().Slice()
			if err := checkUnknown(args); err != nil {
				return err
			}
			args, ids, err := takeIDs(args)
			if err != nil {
				return usageError(err)
			}
			toolchain, command, err := parseCommand(c.Context, args)
			if err != nil {
				return classify(err)
			}
			listing, err := gotest.List(c.Context, gotest.ListConfig{Command: command, GOROOT: toolchain.GOROOT})
			if err != nil {
				return classify(err)
			}
			if len(ids) > 0 {
				if listing.Packages, err = chosenIDs(ids, command.Dir, listing.Packages); err != nil {
					return err
				}
			}
			return printListing(c, listing)
		},
	}
}

func printListing(c *cli.Context, listing *gotest.Listing) error {
	out := bufio.NewWriter(c.App.Writer)
	items, broken := 0, 0
	for _, p := range listing.Packages {
		if p.Err != "" {
			broken++
			fmt.Fprintf(c.App.ErrWriter, "xdist: %s: %s\n", p.ImportPath, p.Err)
		}
		for _, it := range p.Items {
			items++
			fmt.Fprintln(out, gotest.ID(p.ImportPath, it.Name)) // Flush has the error
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	switch {
	case broken > 0:
		return &endedError{statusBuild, nil}
	case items == 0:
		return &endedError{statusNothing, errNothing}
	}
	return nil
}

func versionCommand() *cli.Command {
	return &cli.Command{
		Name:            "version",
		Usage:           "print the version",
		HideHelpCommand: true,
		Action: func(c *cli.Context) error {
			_, err := fmt.Fprintf(c.App.Writer, "xdist %s %s %s/%s\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}

// version is what the go command stamped into the executable.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

// agentCommand is the far end of a gateway. It speaks the protocol on standard input and output.
func agentCommand() *cli.Command {
	return &cli.Command{
		Name:   "agent",
		Hidden: true,
		Action: func(c *cli.Context) error {
			return gateway.ServeStdio(c.Context, agentHandlers())
		},
	}
}

// agentHandlers are what an agent offers.
func agentHandlers() gateway.Handlers {
	return gateway.Handlers{
		wire.WorkerHandler: worker.Work,
		wire.HostHandler:   hosts.DescribeHost,
		wire.CleanHandler:  hosts.CleanHost,
		wire.BuildHandler:  hostbuild.Builder{Handoff: ownHandoff}.Build,
		rsync.Handler:      rsync.Receive,
		rsync.BlobHandler:  rsync.KeepBlobs,
		rsync.FetchHandler: rsync.Offer,
	}
}

// ownHandoff is the command line of handoffCommand in this executable.
func ownHandoff() ([]string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find the xdist executable: %w", err)
	}
	return []string{self, "handoff"}, nil
}

// handoffCommand is what go test -exec runs in place of a test binary.
func handoffCommand() *cli.Command {
	return &cli.Command{
		Name:            "handoff",
		Hidden:          true,
		SkipFlagParsing: true,
		Action: func(c *cli.Context) error {
			return gotest.Handoff(c.Context, c.Args().Slice(), c.App.Writer)
		},
	}
}
