package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/gateway/keyed"
)

func serveCommand() *cli.Command {
	return &cli.Command{
		Name:      "serve",
		Usage:     "let others who have a key open gateways here, with --tx socket=HOST:PORT//key=FILE",
		UsageText: "xdist serve --listen ADDRESS --key FILE [--start]\n   xdist serve --status|--stop",
		Description: "Each client gets an agent of its own, which runs as the user who started the server and ends when its client goes\n" +
			"away. The agent is the client's program, which it sends once; it is kept in the user's cache directory. Clients and server prove\n" +
			"to each other that they have the same key (see xdist keygen) before anything else is read.",
		HideHelpCommand: true,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "listen", Usage: "serve on `ADDRESS`, HOST:PORT; :PORT is all addresses of this host, and port 0 any free one"},
			&cli.StringFlag{Name: "key", Usage: "serve those who have the key in `FILE`"},
			&cli.BoolFlag{Name: "insecure", Usage: "serve without a key everybody on this host; only on a loopback address"},
			&cli.IntFlag{Name: "max-agents", Usage: "run at most `N` agents at once", Value: 256},
			&cli.BoolFlag{Name: "own-program", Usage: "have agents be this xdist, of this version, and take no programs"},
			&cli.StringFlag{Name: "cache-size", Usage: "keep at most so much of the clients' programs, such as 500M or 5G", Value: "2G"},
			&cli.BoolFlag{Name: "start", Usage: "serve in the background, one server for each user"},
			&cli.BoolFlag{Name: "status", Usage: "tell of the server in the background: its pid, its address, since when it serves, and how many gateways"},
			&cli.BoolFlag{Name: "stop", Usage: "end the server in the background and what it serves"},
			&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "print nothing but warnings and errors"},
			&cli.BoolFlag{Name: "background", Hidden: true}, // with --start: this is the server
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
	own     bool   // agents are this program
	size    string // of what is kept of the clients' programs, as it was given
	bytes   int64
	quiet   bool
	back    *background // where a server in the background is written down; nil for none
}

func serveOptionsOf(c *cli.Context) (serveOptions, error) {
	o := serveOptions{
		listen: c.String("listen"), keyName: c.String("key"), agents: c.Int("max-agents"), debug: c.Bool("debug"),
		own: c.Bool("own-program"), size: c.String("cache-size"), quiet: c.Bool("quiet"),
	}
	var sizeErr error
	o.bytes, sizeErr = parseSize("cache-size", o.size)
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
	case o.quiet && o.debug:
		return o, errors.New("xdist serve: --quiet and --debug are opposites")
	case sizeErr != nil:
		return o, fmt.Errorf("xdist serve: %w", sizeErr)
	case o.bytes < 1:
		return o, fmt.Errorf("xdist serve: --cache-size %s keeps no program: to take none there is --own-program", o.size)
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

// arguments are those of a server with these options, wherever it is started: its files are named
// absolutely.
func (o serveOptions) arguments() ([]string, error) {
	arguments := []string{"serve", "--listen", o.listen, "--max-agents", strconv.Itoa(o.agents), "--cache-size", o.size}
	if o.keyName == "" {
		arguments = append(arguments, "--insecure")
	} else {
		name, err := filepath.Abs(o.keyName)
		if err != nil {
			return nil, err
		}
		arguments = append(arguments, "--key", name)
	}
	for _, f := range []struct {
		name string
		set  bool
	}{{"--own-program", o.own}, {"--debug", o.debug}, {"--quiet", o.quiet}} {
		if f.set {
			arguments = append(arguments, f.name)
		}
	}
	return arguments, nil
}

// serveActions are flags that do something else than to serve here.
var serveActions = []string{"install", "uninstall", "start", "status", "stop"}

func serve(c *cli.Context) error {
	var asked []string
	for _, name := range serveActions {
		if c.Bool(name) {
			asked = append(asked, "--"+name)
		}
	}
	if len(asked) > 1 {
		return usageError(fmt.Errorf("xdist serve: %s and %s cannot be combined", asked[0], asked[1]))
	}
	switch {
	case c.Bool("uninstall"):
		return uninstallService(c.App.Writer)
	case c.Bool("status"), c.Bool("stop"):
		return tendBackground(c)
	}
	o, err := serveOptionsOf(c)
	if err != nil {
		return usageError(err)
	}
	switch {
	case c.Bool("install"):
		return installService(c.App.Writer, o, c.String("user"))
	case c.Bool("start"):
		return startBackground(c, o)
	case c.Bool("background"):
		b, err := openBackground()
		if err != nil {
			return classify(err)
		}
		o.back = &b
	}
	return runAsService(c.Context, func(ctx context.Context) error { return o.serve(ctx, c.App.Writer, c.App.ErrWriter) })
}

// startBackground starts the server of these options in the background.
func startBackground(c *cli.Context, o serveOptions) error {
	b, err := openBackground()
	if err != nil {
		return classify(err)
	}
	arguments, err := o.arguments()
	if err != nil {
		return classify(err)
	}
	said, err := b.start(c.Context, append(arguments, "--background"))
	if err != nil {
		return classify(err)
	}
	return tellUser(c, said)
}

// tendBackground tells of the server in the background, or ends it.
func tendBackground(c *cli.Context) error {
	b, err := openBackground()
	if err != nil {
		return classify(err)
	}
	if c.Bool("status") {
		s, err := b.find(c.Context)
		if err != nil {
			return classify(err)
		}
		return tellUser(c, fmt.Sprintf("xdist: serving: %v\n", s))
	}
	s, err := b.stop(c.Context)
	if err != nil {
		return classify(err)
	}
	return tellUser(c, fmt.Sprintf("xdist: stopped the server with pid %d\n", s.Pid))
}

// tellUser prints a line, unless nothing is to be printed.
func tellUser(c *cli.Context, line string) error {
	if c.Bool("quiet") {
		return nil
	}
	_, err := io.WriteString(c.App.Writer, line)
	return err
}

// serve serves until ctx ends. It prints where, because the port may have been chosen by the
// system.
func (o serveOptions) serve(ctx context.Context, out, errOut io.Writer) error {
	if o.back != nil {
		release, err := o.back.claim(ctx)
		if err != nil {
			return classify(err)
		}
		defer release()
		errOut = boundedLog{os.Stderr}
	}
	s := gateway.SocketServer{
		Keyless: o.keyName == "", MaxAgents: o.agents, ProgramsSize: o.bytes,
		Logger: slog.New(slog.NewTextHandler(errOut, &slog.HandlerOptions{Level: o.level()})),
	}
	if o.own {
		var err error
		if s.Command, err = ownCommand(); err != nil {
			return classify(err)
		}
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
	if err := o.announce(&s, out, ln.Addr().String(), as); err != nil {
		ln.Close()
		return err
	}
	if err := s.Serve(ctx, ln); err != nil {
		return classify(err)
	}
	return nil
}

// ownCommand starts an agent of this program.
func ownCommand() ([]string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find own executable: %w", err)
	}
	return []string{self, "agent"}, nil
}

func (o serveOptions) level() slog.Level {
	switch {
	case o.debug:
		return slog.LevelDebug
	case o.quiet:
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// announce says where the server serves, and has it written down when it is in the background.
func (o serveOptions) announce(s *gateway.SocketServer, out io.Writer, addr, as string) error {
	line := fmt.Sprintf("xdist: serving on %s %s\n", addr, as)
	if o.back == nil {
		if o.quiet {
			return nil
		}
		_, err := io.WriteString(out, line)
		return err
	}
	state := backgroundState{Pid: os.Getpid(), Addr: addr, As: as, Since: time.Now()}
	if err := o.back.tell(state); err != nil {
		return classify(err)
	}
	s.Changed = func(agents int) {
		state.Agents = agents
		if err := o.back.tell(state); err != nil {
			s.Logger.Warn("cannot write down how many agents run", "error", err)
		}
	}
	_, err := io.WriteString(out, strings.TrimSuffix(line, "\n")+fmt.Sprintf(", pid %d\n", state.Pid))
	return err
}
