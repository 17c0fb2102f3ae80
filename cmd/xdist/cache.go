package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/xdist-go/xdist/gotest/store"
)

func cacheCommand() *cli.Command {
	return &cli.Command{
		Name:            "cache",
		Usage:           "show or prune the store of test binaries",
		HideHelpCommand: true,
		Action: func(c *cli.Context) error {
			return usageError(fmt.Errorf("xdist cache: want show or prune, got %q%s", c.Args().First(), meant(c.Args().First(), commandNames(c.Command.Subcommands), "")))
		},
		Subcommands: []*cli.Command{
			{Name: "show", Usage: "print where the store is and what it holds", Flags: cacheFlags(), Action: showCache},
			{Name: "prune", Usage: "remove what was used least recently until the store fits --cache-size", Flags: cacheFlags(), Action: pruneCache},
		},
	}
}

func openCache(c *cli.Context) (*store.Store, error) {
	dir, size, err := cachePlace(c)
	if err != nil {
		return nil, usageError(err)
	}
	return store.Open(dir, size, nil)
}

func showCache(c *cli.Context) error {
	s, err := openCache(c)
	if err != nil {
		return err
	}
	stats, err := s.Stats(c.Context)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.App.Writer, "directory  %s\nsize       %s of %s\nbinaries   %d (%s in use by %d runs)\nrecords    %d\n",
		s.Dir(), mebibytes(stats.Bytes), mebibytes(stats.MaxBytes), stats.Binaries, mebibytes(stats.Pinned), stats.Runs, stats.Records)
	return err
}

func pruneCache(c *cli.Context) error {
	s, err := openCache(c)
	if err != nil {
		return err
	}
	pruned, err := s.Prune(c.Context, 0)
	if err != nil {
		return err
	}
	if pruned.Busy {
		fmt.Fprintln(c.App.ErrWriter, "xdist: another process is pruning the store")
		return nil
	}
	_, err = fmt.Fprintf(c.App.Writer, "removed %d files, %s\n", pruned.Files, mebibytes(pruned.Bytes))
	return err
}

func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }
