package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/reporters"
	"github.com/xdist-go/xdist/scheduler"
	"github.com/xdist-go/xdist/scheduler/event"
	"github.com/xdist-go/xdist/xspec"
)

// request is what a command line without a subcommand asks for.
type request struct {
	args      []string // of go test
	open      *opener
	specs     []xspec.Spec
	proxies   []xspec.Spec
	dist      scheduler.Dist
	replay    *replay       // nil is none
	cacheSize int64         // bytes
	long      time.Duration // as scheduler.Config has it
	toolchain gotest.Toolchain
	command   *gotest.Command
	correct   correctness
	tests     *plan
}

// runTests is xdist without a subcommand.
func runTests(c *cli.Context) error {
	boundGarbage()
	r, err := newRequest(c)
	if err != nil {
		return err
	}
	if r.command.Undistributed() {
		return runGo(c.Context, r.args)
	}
	return r.run(c)
}

// newRequest reads the command line. Its error is ready to be returned by a command.
func newRequest(c *cli.Context) (*request, error) {
	given := c.Args().Slice()
	if err := checkUnknown(given); err != nil {
		return nil, err
	}
	given, err := fromGotestsum(c, given)
	if err != nil {
		return nil, usageError(err)
	}
	given, ids, err := takeIDs(given)
	if err != nil {
		return nil, usageError(err)
	}
	file, err := configure(c, given)
	if err != nil {
		return nil, usageError(err)
	}
	r := &request{open: newOpener(c, func(cfg *gateway.Config) { cfg.OwnWindow = reportWindow })}
	if err := r.readFlags(c); err != nil {
		return nil, refused(c.Context, err)
	}
	r.args = r.replay.args(given)
	if r.toolchain, r.command, err = parseCommand(c.Context, r.args); err != nil {
		return nil, classify(err)
	}
	if err := r.replay.command(r.command, given); err != nil {
		return nil, usageError(err)
	}
	r.command.JSON = r.command.JSON || c.Bool("json")
	if r.correct, err = parseCorrect(c, r.command); err != nil {
		return nil, usageError(err)
	}
	if r.tests, err = newPlan(c, file, r.dist, r.toolchain, r.command); err != nil {
		return nil, err
	}
	r.tests.ids, r.tests.dir = ids, r.command.Dir
	return r, nil
}

// readFlags reads what does not depend on go test's part of the command line.
func (r *request) readFlags(c *cli.Context) (err error) {
	if r.specs, r.dist, err = gateways(c, r.open); err != nil {
		return err
	}
	if r.replay, err = openReplay(c); err != nil {
		return err
	}
	if r.specs, err = r.replay.specs(c, r.specs, r.dist); err != nil {
		return err
	}
	if r.proxies, err = proxySpecs(c, r.specs); err != nil {
		return err
	}
	if r.cacheSize, err = parseSize("cache-size", c.String("cache-size")); err != nil {
		return err
	}
	if _, err = parseSize("pull-limit", c.String("pull-limit")); err != nil {
		return err
	}
	r.long, err = longTest(c.String("split-subtests"))
	return err
}

// run opens what the run needs, runs it, and turns its summary into an exit status.
func (r *request) run(c *cli.Context) error {
	book, doubts, err := openHistory(c, r.command)
	if err != nil {
		return classify(err)
	}
	if r.tests.repeat, err = newRepetition(c, book, stepKey(c, r.command, r.toolchain, r.specs)); err != nil {
		return err
	}
	if r.tests.repeat.step != nil && r.correct.maxFail == 0 {
		r.correct.maxFail = 1
	}
	after, err := newPostRun(c)
	if err != nil {
		return err
	}
	page, err := openPage(c, book)
	if err != nil {
		return err
	}
	defer page.end(c)
	reporter, testEnv, err := newReporter(c, r.command, book, page)
	if err != nil {
		return classify(err)
	}
	if step := r.tests.repeat.step; step != nil {
		reporter = reporters.Multi(reporter, step)
	}
	run, err := openRun(c)
	if err != nil {
		return classify(err)
	}
	defer run.remove()
	if r.tests.shuffle != nil {
		run.warnings = append(run.warnings, fmt.Sprintf("the order is shuffled: --shuffle=%d has it again", *r.tests.shuffle))
	}
	r.open.agents.dir = run.store.Dir()

	mirror, release, err := openMirror(c, r.command, run.store.Dir(), r.specs)
	if err != nil {
		return classify(err)
	}
	defer release()
	made := sources{r.command, r.toolchain, run, r.tests, mirror}
	if mirror != nil {
		mirror.Build = made.buildFor
	}
	watch := startWatch(c, r.open.keys)
	defer watch.end()

	cfg := r.config(c)
	cfg.Mirror, cfg.RunID, cfg.RunDir, cfg.TestEnv = mirror, run.id, run.dir, testEnv
	cfg.Reporter, cfg.Requests, cfg.History = reporter, watch.requests, book
	cfg.Warnings = append(run.warnings, doubts...)
	cfg.Source, cfg.Mend = made.load, made.mend
	summary, err := scheduler.Run(c.Context, cfg)

	if stepErr := r.tests.repeat.step.record(summary, finished(summary, err)); stepErr != nil {
		warnTo(c.App.ErrWriter)(stepErr)
	}
	ran := after.run(c, summary)
	page.stay(c)
	empty := r.command.Bench != "" || r.command.Fuzz != "" || r.tests.leftOut.Load() // may be, and is no mistake
	return also(strict(c, summary, conclude(summary, err, empty)), ran, warnTo(c.App.ErrWriter))
}

// config is what the command line says of a run.
func (r *request) config(c *cli.Context) scheduler.Config {
	hostname, _ := os.Hostname() // only shown
	return scheduler.Config{
		Group:            r.open.group,
		Specs:            r.specs,
		Proxies:          r.proxies,
		MinNodes:         c.Int("min-nodes"),
		NodesWait:        c.Duration("nodes-wait"),
		AllowMissing:     c.Bool("allow-missing"),
		Command:          r.command,
		Circumstances:    circumstances(r.command, os.Environ()),
		Dist:             r.dist,
		Replay:           r.replay.queues(),
		Live:             r.command.JSON,
		Platform:         gotest.Platform{GOOS: r.toolchain.GOOS, GOARCH: r.toolchain.GOARCH},
		Toolchain:        r.toolchain,
		LongTest:         r.long,
		FailedFirst:      r.tests.repeat.first(),
		MaxFail:          r.correct.maxFail,
		MaxFailWait:      r.correct.maxFailWait,
		MaxWorkerRestart: maxWorkerRestart(c),
		Reruns:           r.correct.reruns,
		TestTimeout:      r.correct.testTimeout,
		Slow:             r.correct.slow,
		CacheSize:        r.cacheSize,
		Started: event.RunStarted{Command: r.args, Workdir: r.command.Dir, Hostname: hostname, Shard: r.tests.shard(),
			Version: version(), GoVersion: r.toolchain.GOVERSION, Platform: runtime.GOOS + "/" + runtime.GOARCH},
	}
}

// parseCommand asks the toolchain for its settings and parses go test's part of the command line
// with them.
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

// runGo hands the command line to go test as it is: what compiles or lists only has nothing to
// distribute.
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
func gateways(c *cli.Context, open *opener) ([]xspec.Spec, scheduler.Dist, error) {
	dist := scheduler.Dist(c.String("dist"))
	var modes []string
	for _, d := range scheduler.Dists() {
		modes = append(modes, string(d))
	}
	if err := oneOf("dist", string(dist), modes); err != nil {
		return nil, "", err
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
	specs, err := xspec.Expand(texts, open.cores)
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
	all, err := onHosts(c.Context, specs)
	if err != nil && !c.Bool("allow-missing") { // else each that cannot be opened is warned of
		return nil, "", err
	}
	if err == nil {
		specs = all
	}
	return specs, dist, checkJoining(c, specs, dist)
}

// checkJoining rejects what cannot be had with gateways that come by themselves, or without.
func checkJoining(c *cli.Context, specs []xspec.Spec, dist scheduler.Dist) error {
	least, wait := c.Int("min-nodes"), c.Duration("nodes-wait")
	listens := slices.ContainsFunc(specs, func(s xspec.Spec) bool { return s.Listen != "" })
	switch {
	case least < 0:
		return fmt.Errorf("--min-nodes %d: want a number that is not negative", least)
	case wait <= 0:
		return fmt.Errorf("--nodes-wait %v: want a time that is positive", wait)
	case !listens && least > len(specs):
		return fmt.Errorf("--min-nodes %d: there are %d gateways, and nobody can join them without --tx listen=ADDRESS//key=FILE", least, len(specs))
	case listens && (dist == scheduler.DistEach || dist == scheduler.DistNo):
		return fmt.Errorf("--dist %s: it has to know its gateways, and with --tx listen=ADDRESS they come and go", dist)
	}
	for _, s := range specs {
		if s.Listen != "" && s.ID != "" {
			return &xspec.Error{Spec: s.String(), Field: "id=" + s.ID, Reason: "each gateway that joins gets an id of its own"}
		}
	}
	return nil
}

// proxySpecs are the gateways of --px, checked together with those of the run: what one goes
// through must be there.
func proxySpecs(c *cli.Context, specs []xspec.Spec) ([]xspec.Spec, error) {
	proxies, err := xspec.Proxies(c.StringSlice("px"))
	if err != nil {
		return nil, err
	}
	ids := make(map[string]bool)
	for _, s := range proxies {
		if err := supported(s); err != nil {
			return nil, err
		}
		ids[s.ID] = true
	}
	for _, s := range specs {
		if s.ID != "" && ids[s.ID] {
			return nil, &xspec.Error{Spec: s.String(), Field: "id=" + s.ID, Reason: "a gateway of --px has this id"}
		}
	}
	unnamed := 0
	for _, s := range specs {
		if s.ID != "" {
			ids[s.ID] = true
			continue
		}
		ids[fmt.Sprintf("gw%d", unnamed)] = true // as the group will call it
		unnamed++
	}
	for _, s := range slices.Concat(proxies, specs) {
		for _, way := range []struct{ key, id string }{{"via", s.Via}, {"installvia", s.InstallVia}} {
			if way.id != "" && !ids[way.id] {
				return nil, &xspec.Error{Spec: s.String(), Field: way.key + "=" + way.id, Reason: "no gateway of --px or --tx has this id"}
			}
		}
	}
	return proxies, nil
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

// supported rejects a spec that says nowhere how to reach an agent.
func supported(s xspec.Spec) error {
	if s.HasTransport() {
		return nil
	}
	return &xspec.Error{Spec: s.String(), Field: "type", Reason: "no gateway type found; want popen, ssh, socket, cmd, net or listen"}
}

// longTest is --split-subtests as scheduler.Config has it: zero is auto there, and negative off.
func longTest(text string) (time.Duration, error) {
	switch text {
	case "auto":
		return 0, nil
	case "off":
		return -1, nil
	}
	long, err := time.ParseDuration(text)
	if seconds, numErr := strconv.ParseFloat(text, 64); numErr == nil {
		long, err = time.Duration(seconds*float64(time.Second)), nil
	}
	if err != nil || long <= 0 {
		return 0, fmt.Errorf("--split-subtests %q: want auto, off or a number of seconds", text)
	}
	return long, nil
}

// reportWindow is how much each agent of a run may send ahead, in bytes: hundreds of reports, and
// little beside what is kept of them when a hundred agents do so.
const reportWindow = 512 << 10

// maxWorkerRestart is the flag as scheduler.Config has it: zero is the default there, and negative
// none.
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
