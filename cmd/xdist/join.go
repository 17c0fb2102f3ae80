package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/gateway/keyed"
)

func joinCommand() *cli.Command {
	return &cli.Command{
		Name:      "join",
		Usage:     "run tests here for a controller that was started with --tx listen=ADDRESS//key=FILE",
		UsageText: "xdist join HOST:PORT --key FILE [-n N]",
		Description: "Connects to the controller, waits until it is there, and ends with status 0 when its run is over. This side and the controller prove to\n" +
			"each other that they have the same key (see xdist keygen). The agents are the controller's program, which it sends once. An interrupt\n" +
			"leaves the run, whose tests are run elsewhere then.",
		HideHelpCommand: true,
		Flags:           joinFlags(),
		Action:          join,
	}
}

func joinFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "key", Usage: "join a controller that has the key in `FILE`"},
		&cli.BoolFlag{Name: "own-program", Usage: "have agents be this xdist, which must be of the controller's version, and take no program"},
		&cli.BoolFlag{Name: "insecure", Usage: "join without a key a controller on this host, of --tx listen=ADDRESS//insecure"},
		&cli.StringFlag{Name: "numprocesses", Aliases: []string{"n"}, Usage: "join with `N` agents; auto: one per usable core", Value: "auto"},
		&cli.DurationFlag{Name: "wait", Usage: "look for a controller that is not there for so long", Value: 5 * time.Minute},
		&cli.BoolFlag{Name: "debug", Usage: "log attempts to connect, too"},
	}
}

// flagsFirst puts the flags of a command line before its arguments, where they are known.
func flagsFirst(known []cli.Flag, args []string) []string {
	takesValue := make(map[string]bool)
	for _, f := range known {
		_, isBool := f.(*cli.BoolFlag)
		for _, name := range f.Names() {
			takesValue[name] = !isBool
		}
	}
	var flags, rest []string
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		if !strings.HasPrefix(arg, "-") {
			rest = append(rest, arg)
			continue
		}
		flags = append(flags, arg)
		name, _, hasValue := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		if takesValue[name] && !hasValue && len(args) > 0 {
			flags, args = append(flags, args[0]), args[1:]
		}
	}
	return append(flags, rest...)
}

// joinerOf are join's flags, checked.
func joinerOf(c *cli.Context) (j gateway.Joiner, addr string, err error) {
	if c.NArg() != 1 {
		return j, "", errors.New("xdist join: want the address of one controller, HOST:PORT")
	}
	addr = c.Args().First()
	host, _, err := net.SplitHostPort(addr)
	keyName := c.String("key")
	switch {
	case err != nil:
		return j, "", fmt.Errorf("xdist join: %q is not HOST:PORT", addr)
	case keyName == "" && !c.Bool("insecure"):
		return j, "", errors.New(`xdist join: --key FILE is missing, the controller's; "xdist keygen FILE" makes one`)
	case keyName != "" && c.Bool("insecure"):
		return j, "", errors.New("xdist join: --insecure is to join without a --key")
	case c.Duration("wait") <= 0:
		return j, "", fmt.Errorf("xdist join: --wait %v is not positive", c.Duration("wait"))
	}
	if ip := net.ParseIP(host); keyName == "" && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return j, "", fmt.Errorf("xdist join: --insecure is for loopback addresses such as 127.0.0.1:8888 only, not for %q", addr)
	}
	j = gateway.Joiner{Keyless: keyName == "", Wait: c.Duration("wait"), Agents: gateway.UsableCPUs()}
	if n := c.String("numprocesses"); n != "auto" {
		if j.Agents, err = strconv.Atoi(n); err != nil || j.Agents < 1 {
			return j, "", fmt.Errorf("xdist join: -n %q: want a number of agents from 1, or auto", n)
		}
	}
	return j, addr, nil
}

func join(c *cli.Context) error {
	j, addr, err := joinerOf(c)
	if err != nil {
		return usageError(err)
	}
	if !j.Keyless {
		if j.Key, err = keyed.Read(c.String("key")); err != nil {
			return classify(err)
		}
	}
	level := slog.LevelInfo
	if c.Bool("debug") {
		level = slog.LevelDebug
	}
	if c.Bool("own-program") {
		if j.Command, err = ownCommand(); err != nil {
			return classify(err)
		}
	}
	j.Logger = slog.New(slog.NewTextHandler(c.App.ErrWriter, &slog.HandlerOptions{Level: level}))
	if _, err := fmt.Fprintf(c.App.Writer, "xdist: joining %s with %d agents\n", addr, j.Agents); err != nil {
		return err
	}
	err = j.Join(c.Context, addr)
	switch {
	case errors.Is(err, context.Canceled):
		return &endedError{statusInterrupted, nil}
	case err != nil:
		return classify(err)
	}
	return nil
}
