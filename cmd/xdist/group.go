package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/xdist-go/xdist/agents"
	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/xspec"
)

// opener opens gateways, whatever for.
type opener struct {
	cli    *cli.Context
	config gateway.Config
	group  *gateway.Group // remembers what the user was asked for
	agents *lateAgents
	keys   *keyboard // of the user's terminal, which questions are asked on too
}

// newOpener returns one for a command. adjust may change the configuration of its gateways.
func newOpener(c *cli.Context, adjust func(*gateway.Config)) *opener {
	logger := slog.New(newWarner(c.App.ErrWriter))
	if c.Bool("debug") {
		logger = slog.New(slog.NewTextHandler(c.App.ErrWriter, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	o := &opener{cli: c, agents: &lateAgents{cli: c}, keys: newKeyboard()}
	o.config = gateway.Config{Agent: o.agents.Agent, Prompt: newPrompt(c.Context, o.keys), Logger: logger, Stderr: agentStderr(c)}
	if adjust != nil {
		adjust(&o.config)
	}
	o.group = gateway.NewGroup(o.config)
	return o
}

// lateAgents makes agents in dir, or in the cache when nobody has set that before the first one is
// asked for.
type lateAgents struct {
	cli     *cli.Context
	dir     string
	program string // this one; "" is the file that it was started from

	once  sync.Once // sets the fields below
	maker *agents.Maker
	err   error
}

// Agent fits gateway.Config.
func (l *lateAgents) Agent(ctx context.Context, goos, goarch string) (gateway.Agent, error) {
	l.once.Do(func() {
		if l.dir == "" {
			l.dir, _, l.err = cachePlace(l.cli)
		}
		l.maker = newAgents(l.dir, l.program)
	})
	if l.err != nil {
		return gateway.Agent{}, l.err
	}
	return l.maker.Agent(ctx, goos, goarch)
}

// agentStderr is where what agents write to their standard error goes: it is shown with --debug
// only, and its end is in the error of an agent that is lost.
func agentStderr(c *cli.Context) io.Writer {
	if c.Bool("debug") {
		return c.App.ErrWriter
	}
	return io.Discard
}

// cores is what auto* stands for. Another host is asked; where gateways of --px lead to it they are
// opened for that, in a group of their own.
func (o *opener) cores(spec xspec.Spec) (n int, err error) {
	ctx, group := o.cli.Context, o.group
	if sharesCores(spec) {
		return gateway.UsableCPUs(), nil
	}
	if err := supported(spec); err != nil {
		return 0, err
	}
	if spec.Net != "" && spec.Via == "" && spec.Host == "" {
		return networkCores(ctx, spec)
	}
	if spec.Via != "" || spec.InstallVia != "" {
		group = gateway.NewGroup(o.config)
		defer func() {
			err = errors.Join(err, group.Terminate(context.WithoutCancel(ctx), countEnd))
		}()
		if err := o.openWay(group, spec); err != nil {
			return 0, err
		}
	}
	if n, err = group.CountCPUs(ctx, spec); err != nil {
		return 0, &unreachedError{err}
	}
	return n, nil
}

// networkCores are those of all hosts of a network that will do and are up.
func networkCores(ctx context.Context, spec xspec.Spec) (int, error) {
	n, err := gateway.Connect(ctx, spec.Net)
	var st gateway.NetworkStatus
	if err == nil {
		st, err = n.Status(ctx)
	}
	if err != nil {
		return 0, &unreachedError{err}
	}
	total := 0
	for _, h := range st.Hosts {
		if h.Up && gateway.ChoiceOf(spec).Fits(h) {
			total += max(1, h.Info.CPUs)
		}
	}
	return max(1, total), nil // none is told by who chooses among them
}

// sharesCores reports whether a gateway runs on this machine.
func sharesCores(spec xspec.Spec) bool { return spec.Popen && spec.Via == "" }

// countEnd is how long gateways may take to end that were opened to count cores.
const countEnd = 10 * time.Second

// openWay opens the gateways of --px, of which spec goes through one.
func (o *opener) openWay(group *gateway.Group, spec xspec.Spec) error {
	proxies, err := xspec.Proxies(o.cli.StringSlice("px"))
	if err != nil {
		return err
	}
	for _, id := range []string{spec.Via, spec.InstallVia} {
		if id != "" && !slices.ContainsFunc(proxies, func(s xspec.Spec) bool { return s.ID == id }) {
			return fmt.Errorf("it goes through %q, which is no gateway of --px: say how many instead of auto", id)
		}
	}
	return o.openProxies(group)
}

// openProxies opens the gateways of --px in a group, all at once.
func (o *opener) openProxies(group *gateway.Group) error {
	proxies, err := xspec.Proxies(o.cli.StringSlice("px"))
	if err != nil {
		return err
	}
	for _, s := range proxies {
		if _, err := group.Allocate(s); err != nil {
			return err
		}
	}
	errs := make([]error, len(proxies))
	var wait sync.WaitGroup
	for i, s := range proxies {
		wait.Go(func() {
			if _, err := group.OpenSpec(o.cli.Context, s); err != nil {
				errs[i] = &unreachedError{err}
			}
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}

// unreachedError says that a host could not be asked for its cores. It is not a mistake in the
// command line.
type unreachedError struct{ err error }

func (e *unreachedError) Error() string { return e.err.Error() }
func (e *unreachedError) Unwrap() error { return e.err }

// refused is the exit status of a command line that leads to no run.
func refused(ctx context.Context, err error) error {
	var unreached *unreachedError
	switch {
	case ctx.Err() != nil:
		return &endedError{statusInterrupted, nil}
	case errors.As(err, &unreached):
		return &endedError{statusInternal, err}
	}
	return usageError(err)
}
