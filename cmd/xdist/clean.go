package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/xdist-go/xdist/scheduler/hosts"
	"github.com/xdist-go/xdist/scheduler/wire"
	"github.com/xdist-go/xdist/xspec"
)

func cleanCommand() *cli.Command {
	flags := slices.DeleteFunc(hostFlags(), func(f cli.Flag) bool { return f.Names()[0] == "tx" })
	return &cli.Command{
		Name:      "clean",
		Usage:     "remove what xdist has left on hosts: agents, test binaries, mirrored trees",
		UsageText: "xdist clean [--dry-run] [--force] HOST|SPEC...",
		Description: "HOST is short for the spec ssh=HOST. Only what belongs to the user who logs in there is removed, and nothing while a run uses it,\n" +
			"unless that is forced. The store of this machine is not touched: see xdist cache prune.",
		HideHelpCommand: true,
		Flags: slices.Concat([]cli.Flag{
			&cli.BoolFlag{Name: "dry-run", Usage: "say what would be removed"},
			&cli.BoolFlag{Name: "force", Usage: "remove it even when a run uses it"},
		}, flags, cacheFlags()),
		Action: clean,
	}
}

func clean(c *cli.Context) error {
	specs, err := cleanSpecs(c)
	if err != nil {
		return usageError(err)
	}
	open := newOpener(c, nil)
	defer func() {
		if err := open.group.Terminate(context.WithoutCancel(c.Context), countEnd); err != nil {
			fmt.Fprintf(c.App.ErrWriter, "xdist: end the gateways: %v\n", err)
		}
	}()
	if err := open.openProxies(open.group); err != nil {
		return classify(err)
	}
	failed := 0
	for _, s := range specs {
		if err := open.clean(s); err != nil {
			failed++
			fmt.Fprintf(c.App.ErrWriter, "xdist: %s: %v\n", s, err)
		}
		if c.Context.Err() != nil {
			return &endedError{statusInterrupted, nil}
		}
	}
	if failed > 0 {
		return &endedError{statusInternal, nil}
	}
	return nil
}

// cleanSpecs are the arguments as specs.
func cleanSpecs(c *cli.Context) ([]xspec.Spec, error) {
	if c.NArg() == 0 {
		return nil, errors.New("xdist clean: which hosts? This machine's own store is pruned by xdist cache prune")
	}
	var specs []xspec.Spec
	for _, arg := range c.Args().Slice() {
		if strings.HasPrefix(arg, "-") {
			return nil, fmt.Errorf("xdist clean: flags go before the hosts, and %q is behind", arg)
		}
		if !strings.Contains(arg, "=") && arg != "popen" && !strings.HasPrefix(arg, "popen//") {
			arg = "ssh=" + arg
		}
		s, err := xspec.Parse(arg)
		if err == nil {
			err = supported(s)
		}
		if err != nil {
			return nil, err
		}
		specs = append(specs, s)
	}
	_, err := proxySpecs(c, specs)
	return specs, err
}

// clean opens a gateway, says what is on its host, and removes that.
func (o *opener) clean(spec xspec.Spec) error {
	ctx, out := o.cli.Context, o.cli.App.Writer
	gw, err := o.group.OpenSpec(ctx, spec)
	if err != nil {
		return err
	}
	defer func() {
		gw.Exit()
		<-gw.Done() // another spec may lead to the same host
	}()
	options := wire.CleanOptions{Place: mirrorBase(o.cli, gw.Info().GOOS), Force: o.cli.Bool("force")}
	left, err := hosts.Clean(ctx, gw, options)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s (%s):\n", spec, gw.Info().Hostname)
	var sum int64
	for _, f := range left.Found {
		sum += f.Bytes
		fmt.Fprintf(out, "  %-13s  %10s  %s\n", f.Kind, mebibytes(f.Bytes), f.Path)
	}
	switch {
	case len(left.Busy) > 0 && !options.Force:
		return fmt.Errorf("a run is using the host (%s is locked); wait for its end, or use --force", left.Busy[0])
	case o.cli.Bool("dry-run"):
		_, err := fmt.Fprintf(out, "  would remove %d directories, %s\n", len(left.Found), mebibytes(sum))
		return err
	}
	options.Remove = true
	if left, err = hosts.Clean(ctx, gw, options); err != nil {
		return err
	}
	if len(left.Busy) > 0 && !options.Force {
		return errors.New("a run has begun to use the host; nothing was removed")
	}
	var errs []error
	removed := 0
	sum = 0
	for _, f := range left.Found {
		if f.Problem != "" {
			errs = append(errs, fmt.Errorf("remove %s: %s", f.Path, f.Problem))
			continue
		}
		sum += f.Bytes
		removed++
	}
	fmt.Fprintf(out, "  removed %d directories, %s\n", removed, mebibytes(sum))
	return errors.Join(errs...)
}
