package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/xdist-go/xdist/config"
	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/internal/netsock"
	"github.com/xdist-go/xdist/xspec"
)

func netCommand() *cli.Command {
	flags := netFlags()
	only := func(names ...string) []cli.Flag {
		return slices.DeleteFunc(slices.Clone(flags), func(f cli.Flag) bool { return !slices.Contains(names, f.Names()[0]) })
	}
	return &cli.Command{
		Name:  "net",
		Usage: "keep gateways to hosts open, under a name, for this user's runs and programs: --tx net=NAME",
		UsageText: `xdist net start NAME [--tx SPEC...]
xdist net add NAME SPEC...
xdist net remove NAME ID...
xdist net list
xdist net status NAME [--json]
xdist net stop NAME
xdist net install NAME [--tx SPEC...]
xdist net uninstall NAME`,
		Description: "A network is a process that reaches each of its hosts again when it is lost. It runs nothing on them but relays: runs bring their own\n" +
			"agents. --tx 4*net=NAME opens gateways on its hosts, spread by their load; host=ID, label=NAME, goos= and goarch= choose among them.\n" +
			"Without --tx a network has the hosts of [networks.NAME] in the configuration. Hosts that are added later are forgotten when it ends.",
		HideHelpCommand: true,
		Action: func(c *cli.Context) error {
			return usageError(fmt.Errorf("xdist net: want start, add, remove, list, status, stop, install or uninstall, got %q%s", c.Args().First(), meant(c.Args().First(), commandNames(c.Command.Subcommands), "")))
		},
		Subcommands: []*cli.Command{
			{Name: "start", Usage: "start a network, which outlives this terminal", Flags: only("tx", "config", "wait", "cache-dir", "debug"), Action: startNet},
			{Name: "run", Usage: "be the process of a network, until it is stopped", Flags: only("tx", "config", "wait", "cache-dir", "debug", "detached"), Action: runNet},
			{Name: "add", Usage: "give a network more hosts, until it ends", Flags: only("wait"), Action: addToNet},
			{Name: "remove", Usage: "take hosts out of a network, and end what runs there through it", Action: removeFromNet},
			{Name: "list", Usage: "list this user's networks", Flags: only("json"), Action: listNets},
			{Name: "status", Usage: "show the hosts of a network", Flags: only("json"), Action: showNet},
			{Name: "stop", Usage: "end a network, and all that runs through it; one that is a service is started again: uninstall it", Action: stopNet},
			{Name: "install", Usage: "register a network with the system's service manager, and start it", Flags: only("tx", "config", "user", "debug"), Action: installNet},
			{Name: "uninstall", Usage: "stop the registered network and remove it", Action: uninstallNet},
		},
	}
}

// netWait is how long hosts are waited for when nobody says otherwise.
const netWait = 20 * time.Second

// netFlags are those of all commands of net.
func netFlags() []cli.Flag {
	return append([]cli.Flag{
		&cli.StringSliceFlag{Name: "tx", Usage: "the network has the host that `SPEC` leads to; may be repeated"},
		&cli.StringFlag{Name: "config", Usage: "read the configuration `FILE`", DefaultText: config.Name + " of the module or workspace"},
		&cli.DurationFlag{Name: "wait", Usage: "wait so long for hosts to be reached; the network goes on trying", Value: netWait},
		&cli.BoolFlag{Name: "json", Usage: "print JSON"},
		&cli.StringFlag{Name: "user", Usage: "run as the user `NAME`, whose network it is", DefaultText: "this one"},
		&cli.BoolFlag{Name: "debug", Usage: "log what the gateways do, too"},
		&cli.BoolFlag{Name: "detached", Hidden: true, Usage: "read the hosts from standard input, and close standard output when the network is up"},
	}, cacheFlags()[:1]...)
}

// netName is the one argument, or the first of several.
func netName(c *cli.Context, more string) (string, error) {
	name := c.Args().First()
	if name == "" || more == "" && c.NArg() > 1 || more != "" && c.NArg() < 2 {
		return "", usageError(fmt.Errorf("xdist net %s: want NAME%s", c.Command.Name, more))
	}
	if err := netsock.CheckName(name); err != nil {
		return "", usageError(err)
	}
	return name, nil
}

// connectNet finds the network that the first argument names.
func connectNet(c *cli.Context, more string) (*gateway.Network, error) {
	name, err := netName(c, more)
	if err != nil {
		return nil, err
	}
	n, err := gateway.Connect(c.Context, name)
	if errors.Is(err, gateway.ErrNoNetwork) {
		err = fmt.Errorf("%w: start it with \"xdist net start %s --tx SPEC\"", err, name)
	}
	if err != nil {
		return nil, classify(err)
	}
	return n, nil
}

// netSpecs are the hosts that a network is to have at first: of the flags, or else of the
// configuration.
func netSpecs(c *cli.Context, name string) ([]string, error) {
	specs := c.StringSlice("tx")
	if !c.IsSet("tx") {
		file, err := loadConfig(c, nil)
		if err != nil {
			return nil, err
		}
		specs = file.Networks[name]
	}
	for _, s := range specs {
		if _, err := xspec.Parse(s); err != nil {
			return nil, err
		}
	}
	return specs, nil
}

func addToNet(c *cli.Context) error {
	n, err := connectNet(c, " SPEC...")
	if err != nil {
		return err
	}
	ids, err := n.Add(c.Context, c.Args().Tail()...)
	if err != nil {
		return usageError(err)
	}
	st, err := awaitHosts(c.Context, n, ids, c.Duration("wait"))
	if err != nil {
		return classify(err)
	}
	return printHosts(c.App.Writer, st)
}

// awaitHosts waits until hosts are up or could not be reached, and no longer than wait. It returns
// what is known of these hosts.
func awaitHosts(ctx context.Context, n *gateway.Network, ids []string, wait time.Duration) (gateway.NetworkStatus, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	late := time.After(wait)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		st, err := n.Status(ctx)
		if err != nil {
			return st, err
		}
		st.Hosts = slices.DeleteFunc(st.Hosts, func(h gateway.NetworkHost) bool { return !slices.Contains(ids, h.ID) })
		if !slices.ContainsFunc(st.Hosts, func(h gateway.NetworkHost) bool { return !h.Up && h.Error == "" }) {
			return st, nil
		}
		select {
		case <-tick.C:
		case <-late:
			return st, nil
		case <-ctx.Done():
			return st, ctx.Err()
		}
	}
}

func removeFromNet(c *cli.Context) error {
	n, err := connectNet(c, " ID...")
	if err != nil {
		return err
	}
	if err := n.Remove(c.Context, c.Args().Tail()...); err != nil {
		return usageError(err)
	}
	_, err = fmt.Fprintf(c.App.Writer, "xdist: removed %s from network %s\n", strings.Join(c.Args().Tail(), ", "), n.Name())
	return err
}

// netStopWait is how long a network may take to end.
const netStopWait = 30 * time.Second

func stopNet(c *cli.Context) error {
	n, err := connectNet(c, "")
	if err != nil {
		return err
	}
	st, err := n.Status(c.Context)
	if err == nil {
		err = n.Stop(c.Context)
	}
	if err != nil {
		return classify(err)
	}
	late := time.After(netStopWait)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for netsock.Held(n.Name()) {
		select {
		case <-tick.C:
		case <-c.Context.Done():
			return &endedError{statusInterrupted, nil}
		case <-late:
			return classify(fmt.Errorf("network %s has not ended within %v: its process is %d", n.Name(), netStopWait, st.Pid))
		}
	}
	_, err = fmt.Fprintf(c.App.Writer, "xdist: network %s has ended\n", n.Name())
	return err
}
