package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/scheduler"
	"github.com/xdist-go/xdist/xspec"
)

// runTests is xdist without a subcommand: flags become the values of a scheduler.Config.
func runTests(c *cli.Context) error {
	args := c.Args().Slice()
	if err := checkUnknown(args); err != nil {
		return err
	}
	specs, dist, err := gateways(c)
	if err == nil {
		_, err = parseSize(c.String("cache-size"))
	}
	if err != nil {
		return usageError(err)
	}
	toolchain, command, err := parseCommand(c.Context, args)
	if err != nil {
		return classify(err)
	}
	if command.Compile || command.DryRun || command.List != "" {
		return runGo(c.Context, args)
	}
	command.JSON = command.JSON || c.Bool("json")
	reporter, err := newReporter(c, command)
	if err != nil {
		return classify(err)
	}
	run, err := openRun(c)
	if err != nil {
		return classify(err)
	}
	defer run.remove()

	logger := slog.New(slog.DiscardHandler)
	if c.Bool("debug") {
		logger = slog.New(slog.NewTextHandler(c.App.ErrWriter, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	hostname, _ := os.Hostname() // only shown
	summary, err := scheduler.Run(c.Context, scheduler.Config{
		Group:            gateway.NewGroup(gateway.Config{Logger: logger, Stderr: agentStderr(c)}),
		Specs:            specs,
		Command:          command,
		Dist:             dist,
		RunID:            run.id,
		RunDir:           run.dir,
		Live:             command.JSON,
		Platform:         toolchain.Platform(),
		MaxFail:          maxFail(c),
		MaxWorkerRestart: maxWorkerRestart(c),
		Reporter:         reporter,
		Warnings:         run.warnings,
		Started:          scheduler.RunStarted{Command: args, Workdir: command.Dir, Hostname: hostname},
		Source: func(ctx context.Context, emit func(gotest.BuildEvent)) error {
			return gotest.Load(ctx, gotest.LoadConfig{
				Command: command, Toolchain: toolchain, Store: run.store, Claim: run.claim, RunID: run.id, RunDir: run.dir,
				Handoff: []string{run.executable, "handoff"},
			}, emit)
		},
	})
	return conclude(summary, err, command.Bench != "" || command.Fuzz != "")
}

// parseCommand asks the toolchain for its settings and parses go test's part of the command line with them.
func parseCommand(ctx context.Context, args []string) (gotest.Toolchain, *gotest.Command, error) {
	toolchain, err := gotest.FindToolchain(ctx, "", "", nil)
	if err != nil {
		return toolchain, nil, err
	}
	command, err := gotest.ParseCommand(args, toolchain.GOFLAGS)
	if errors.Is(err, flag.ErrHelp) {
		err = usageError(errors.New("see xdist help, and go help testflag for go test's flags"))
	}
	return toolchain, command, err
}

// agentStderr is where what agents write to their standard error goes: it is shown with --debug only, and its end is in
// the error of an agent that is lost.
func agentStderr(c *cli.Context) io.Writer {
	if c.Bool("debug") {
		return c.App.ErrWriter
	}
	return nil
}

// runGo hands the command line to go test as it is: what compiles or lists only has nothing to distribute.
func runGo(ctx context.Context, args []string) error {
	cmd := exec.CommandContext(ctx, "go", append([]string{"test"}, args...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // so that it removes its temporary files
	cmd.WaitDelay = 10 * time.Second
	err := cmd.Run()
	if ctx.Err() != nil {
		return &endedError{statusInterrupted, nil}
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return &endedError{status(exit.ExitCode()), nil}
	}
	return err
}

// gateways are the specs of a run and how tests are spread over them.
func gateways(c *cli.Context) ([]xspec.Spec, scheduler.Dist, error) {
	dist := scheduler.Dist(c.String("dist"))
	switch dist {
	case scheduler.DistLoad, scheduler.DistLoadScope, scheduler.DistEach, scheduler.DistNo:
	default:
		return nil, "", fmt.Errorf("--dist %q: want load, loadscope, each or no", dist)
	}
	if n := c.Int("maxfail"); n < 0 {
		return nil, "", fmt.Errorf("--maxfail %d: want a number that is not negative", n)
	}
	texts := c.StringSlice("tx")
	if c.IsSet("numprocesses") || len(texts) == 0 {
		n, err := processes(c)
		if err != nil {
			return nil, "", err
		}
		if n == 0 {
			n, dist = 1, scheduler.DistNo
		}
		if n > 0 {
			texts = append([]string{strconv.Itoa(n) + "*popen"}, texts...)
		}
	}
	specs, err := xspec.Expand(texts, func(s xspec.Spec) (int, error) {
		if !s.Popen {
			return 0, errors.New("how many cores the host has is not known before it is reached")
		}
		return gateway.UsableCPUs(), nil
	})
	if err != nil {
		return nil, "", err
	}
	for _, s := range specs {
		if err := supported(s); err != nil {
			return nil, "", err
		}
	}
	if specs, err = atMost(c, specs); err != nil {
		return nil, "", err
	}
	return specs, dist, nil
}

// atMost is --maxprocesses: of the popen gateways only the first so many are opened.
func atMost(c *cli.Context, specs []xspec.Spec) ([]xspec.Spec, error) {
	left := c.Int("maxprocesses")
	if !c.IsSet("maxprocesses") {
		return specs, nil
	}
	if left < 1 {
		return nil, fmt.Errorf("--maxprocesses %d: want at least 1", left)
	}
	var kept []xspec.Spec
	for _, s := range specs {
		if s.Popen {
			left--
		}
		if !s.Popen || left >= 0 {
			kept = append(kept, s)
		}
	}
	return kept, nil
}

// processes is what -n says.
func processes(c *cli.Context) (int, error) {
	n := gateway.UsableCPUs()
	if text := c.String("numprocesses"); text != "" && text != "auto" {
		var err error
		if n, err = strconv.Atoi(text); err != nil || n < 0 {
			return 0, fmt.Errorf("-n %q: want a number of processes or auto", text)
		}
	}
	return n, nil
}

// supported rejects what a spec may say and this version cannot do.
func supported(s xspec.Spec) error {
	field := ""
	switch {
	case !s.HasTransport():
		return &xspec.Error{Spec: s.String(), Field: "type", Reason: "no gateway type found; want popen"}
	case !s.Popen:
		field = "type"
	case s.GOOS != "":
		field = "goos"
	case s.GOARCH != "":
		field = "goarch"
	case s.Go != "":
		field = "go"
	case s.Via != "":
		field = "via"
	default:
		return nil
	}
	return &xspec.Error{Spec: s.String(), Field: field, Reason: "not supported by this version, which opens popen gateways for this machine's own platform"}
}

func maxFail(c *cli.Context) int {
	if c.Bool("x") {
		return 1
	}
	return c.Int("maxfail")
}

// maxWorkerRestart is the flag as scheduler.Config has it: zero is the default there, and negative none.
func maxWorkerRestart(c *cli.Context) int {
	switch n := c.Int("max-worker-restart"); {
	case !c.IsSet("max-worker-restart"):
		return 0
	case n <= 0:
		return -1
	default:
		return n
	}
}
