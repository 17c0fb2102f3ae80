package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"

	"github.com/urfave/cli/v2"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/gateway/keyed"
)

func serveCommand() *cli.Command {
	return &cli.Command{
		Name:      "serve",
		Usage:     "let others who have a key open gateways here, with --tx socket=HOST:PORT//key=FILE",
		UsageText: "xdist serve --listen ADDRESS --key FILE",
		Description: "Each client gets an agent of its own, which runs as the user who started the server and ends when its client goes\n" +
			"away. Clients and server prove to each other that they have the same key (see xdist keygen) before anything else is read.",
		HideHelpCommand: true,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "listen", Usage: "serve on `ADDRESS`, HOST:PORT; :PORT is all addresses of this host, and port 0 any free one"},
			&cli.StringFlag{Name: "key", Usage: "serve those who have the key in `FILE`"},
			&cli.BoolFlag{Name: "insecure", Usage: "serve without a key everybody on this host; only on a loopback address"},
			&cli.IntFlag{Name: "max-agents", Usage: "run at most `N` agents at once", Value: 256},
			&cli.BoolFlag{Name: "install", Usage: "register the server with the system's service manager, and start it"},
			&cli.BoolFlag{Name: "uninstall", Usage: "stop the registered server and remove it"},
			&cli.StringFlag{Name: "user", Usage: "with --install: run as the user `NAME`", DefaultText: "the service manager's"},
			&cli.BoolFlag{Name: "debug", Usage: "log connections that were refused, too"},
		},
		Action: serve,
	}
}

// serveOptions are serve's flags, checked.
type serveOptions struct {
	listen  string
	keyName string // empty is keyless
	agents  int
	debug   bool
}

func serveOptionsOf(c *cli.Context) (serveOptions, error) {
	o := serveOptions{listen: c.String("listen"), keyName: c.String("key"), agents: c.Int("max-agents"), debug: c.Bool("debug")}
	switch {
	case c.NArg() > 0:
		return o, fmt.Errorf("xdist serve: takes flags only, got %q", c.Args().First())
	case o.listen == "":
		return o, errors.New("xdist serve: --listen ADDRESS is missing")
	case o.keyName == "" && !c.Bool("insecure"):
		return o, errors.New(`xdist serve: --key FILE is missing; make one with "xdist keygen FILE"`)
	case o.keyName != "" && c.Bool("insecure"):
		return o, errors.New("xdist serve: --insecure is to serve without a --key")
	case o.agents < 1:
		return o, fmt.Errorf("xdist serve: --max-agents %d is less than 1", o.agents)
	}
	host, _, err := net.SplitHostPort(o.listen)
	if err != nil {
		return o, fmt.Errorf("xdist serve: --listen %q is not HOST:PORT", o.listen)
	}
	if ip := net.ParseIP(host); o.keyName == "" && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return o, fmt.Errorf("xdist serve: --insecure is for loopback addresses such as 127.0.0.1:8888 only, not for %q", o.listen)
	}
	return o, nil
}

func serve(c *cli.Context) error {
	if c.Bool("uninstall") {
		return uninstallService(c.App.Writer)
	}
	o, err := serveOptionsOf(c)
	if err != nil {
		return usageError(err)
	}
	if c.Bool("install") {
		return installService(c.App.Writer, o, c.String("user"))
	}
	return runAsService(c.Context, func(ctx context.Context) error { return o.serve(ctx, c.App.Writer, c.App.ErrWriter) })
}

// serve serves until ctx ends. It prints where, because the port may have been chosen by the
// system.
func (o serveOptions) serve(ctx context.Context, out, errOut io.Writer) error {
	level := slog.LevelInfo
	if o.debug {
		level = slog.LevelDebug
	}
	s := gateway.SocketServer{
		Keyless: o.keyName == "", MaxAgents: o.agents,
		Logger: slog.New(slog.NewTextHandler(errOut, &slog.HandlerOptions{Level: level})),
	}
	as := "without a key, for everybody on this host"
	if !s.Keyless {
		var err error
		if s.Key, err = keyed.Read(o.keyName); err != nil {
			return classify(err)
		}
		as = "for the key with fingerprint " + s.Key.Fingerprint()
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.listen)
	if err != nil {
		return classify(err)
	}
	if _, err := fmt.Fprintf(out, "xdist: serving on %s %s\n", ln.Addr(), as); err != nil {
		ln.Close()
		return err
	}
	if err := s.Serve(ctx, ln); err != nil {
		return classify(err)
	}
	return nil
}
