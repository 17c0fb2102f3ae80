package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/xdist-go/xdist/config"
	"github.com/xdist-go/xdist/reporters"
	"github.com/xdist-go/xdist/reporters/ci"
)

const usageText = `xdist [xdist flags] [packages] [go test flags]
   xdist list [packages] [go test flags]
   xdist ui [--keep] [xdist flags] [packages] [go test flags]
   xdist history [runs]
   xdist show ID
   xdist cache show | prune
   xdist doctor --tx SPEC
   xdist clean HOST|SPEC...
   xdist exec --tx SPEC... -- COMMAND [ARGUMENT...]
   xdist merge FILE...
   xdist serve --listen ADDRESS --key FILE
   xdist join HOST:PORT --key FILE
   xdist net start NAME [--tx SPEC...]
   xdist keygen FILE
   xdist version
   xdist completion bash|zsh|fish
   xdist man`

const description = `Runs the tests of the packages as "go test" would, on all the gateways that --tx names, and reports them as one run.

--tx SPEC opens a gateway: "popen" is a process on this machine. N*SPEC opens N of them, auto*SPEC as many as there are usable
cores. A spec is TYPE[//KEY=VALUE ...]; popen knows id, chdir, nice, env:NAME and exec. compress=zstd, in any spec, is for slow
links. Without --tx and -n it is -n auto.

goos, goarch and go build for another platform or with another toolchain, exec runs the binaries: "popen//goarch=arm64//exec=qemu-aarch64-static",
"popen//goos=windows//exec=wine", "popen//go=go1.25.3". build=remote builds on another host, with the Go that is there: "ssh=mac//build=remote".
Every platform runs all tests; its gateways share them.

All flags of go test are accepted and mean what they mean there. From the first package on, one-dash flags are go
test's and the test binary's; xdist's own are known there with two dashes.`

const keysText = `While tests run:
   t, Enter, SIGUSR1    show what each gateway runs, with the last lines of its output
   Ctrl-C               end the tests and the run; once more ends xdist at once
   Ctrl-\ (SIGQUIT)     show the goroutines of the tests that run, and end the run
   Ctrl-Z, then fg      stop the tests on all hosts, and go on`

// newApp describes the command line. Everything that is run prints to out; errors come back from
// Run.
func newApp(out, errOut io.Writer) *cli.App {
	wrong := func(c *cli.Context, err error, _ bool) error { return unknownFlag(c, err) }
	commands := []*cli.Command{listCommand(), uiCommand(), historyCommand(), showCommand(), cacheCommand(), doctorCommand(), cleanCommand(), execCommand(), mergeCommand(), serveCommand(), joinCommand(), netCommand(), keygenCommand(), versionCommand(), completionCommand(), manCommand(), helpCommand(), agentCommand(), handoffCommand()}
	for _, c := range commands {
		c.OnUsageError = wrong
		for _, sub := range c.Subcommands {
			sub.OnUsageError, sub.HideHelpCommand = wrong, true
		}
	}
	return &cli.App{
		Name:           "xdist",
		Usage:          "go test on many processes at once",
		UsageText:      usageText,
		Description:    description + "\n\n" + keysText + "\n\n" + statusText(),
		HideHelp:       true, // splitArgs makes the command of it
		Flags:          runFlags(),
		HideVersion:    true,
		Writer:         out,
		ErrWriter:      errOut,
		Action:         runTests,
		Commands:       commands,
		ExitErrHandler: func(*cli.Context, error) {}, // main prints and exits

		DisableSliceFlagSeparator: true, // specs and files may have commas
		OnUsageError:              wrong,
	}
}

func cacheFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "cache-dir", Usage: "keep test binaries in `DIR`", EnvVars: []string{"XDIST_CACHE"}, DefaultText: "xdist in the user's cache directory"},
		&cli.StringFlag{Name: "cache-size", Usage: "keep at most so much there, such as 500M or 5G", Value: "5G"},
	}
}

func runFlags() []cli.Flag {
	return slices.Concat(
		in(groupGateways,
			&cli.StringSliceFlag{Name: "tx", Usage: "open the gateways that `SPEC` describes; may be repeated"},
			&cli.StringSliceFlag{Name: "px", Usage: "open a gateway that others only go through, by `SPEC`//id=NAME and via=NAME in theirs; may be repeated"},
			&cli.StringFlag{Name: "numprocesses", Aliases: []string{"n"}, Usage: "open `N` popen gateways; auto: one per usable core; 0: one, undistributed"},
			&cli.IntFlag{Name: "maxprocesses", Usage: "open at most `N` popen gateways"},
			&cli.IntFlag{Name: "max-worker-restart", Usage: "replace at most `N` gateways that died", DefaultText: "8 per gateway"},
			&cli.IntFlag{Name: "min-nodes", Usage: "run no test before `N` gateways are there"},
			&cli.DurationFlag{Name: "nodes-wait", Usage: "give up when they are not there for `DURATION`, or with --tx listen=ADDRESS none is", Value: 2 * time.Minute},
			&cli.BoolFlag{Name: "allow-missing", Usage: "warn of a gateway that cannot be opened and go on with the others"},
		),
		in(groupSpread,
			&cli.StringFlag{Name: "dist", Usage: "how tests are spread: load, worksteal, loadscope (a package stays in one process), loadfile, loadgroup, each, no", Value: "load"},
			&cli.StringFlag{Name: "split-subtests", Usage: "run subtests of long tests as units of their own: auto, off, or `SECONDS` from which a test is long", Value: "auto"},
			&cli.BoolFlag{Name: flagLastFailed, Aliases: []string{"lf"}, Usage: "run only the tests that failed when they ran last, or all when none did"},
			&cli.BoolFlag{Name: flagFailedFirst, Aliases: []string{"ff"}, Usage: "run first what failed when it ran last"},
			&cli.BoolFlag{Name: flagStepwise, Aliases: []string{"sw"}, Usage: "stop after the first failure, and begin there the next time: what passed in the steps before is left out"},
			&cli.StringFlag{Name: "replay", Usage: "run again what the gateways of `RUN[:gwN]` ran, or that one, in their order; RUN is as xdist history runs has it, or last"},
			&cli.StringFlag{Name: "shard", Usage: "run part `K/N` of the tests only; N jobs run each test once"},
			&cli.GenericFlag{Name: "shuffle", Usage: "give tests out in an order that `SEED` decides (--shuffle: any), and print it; -shuffle is go test's", Value: &shuffleFlag{}},
		),
		in(groupFailures,
			&cli.BoolFlag{Name: "x", Usage: "stop after the first failure"},
			&cli.StringFlag{Name: "maxfail", Aliases: []string{"max-fails"}, Usage: "stop after `N` failures; N:wait lets the processes that run end, N:now ends them"},
		),
		in(groupFailures, correctFlags()...),
		in(groupShown,
			&cli.StringFlag{Name: "format", Aliases: []string{"f"}, Usage: "format of the console: " + strings.Join(formats(), ", "), DefaultText: "xdist; standard-verbose with -v, -bench and -fuzz"},
			&cli.IntFlag{Name: "durations", Usage: "show the `N` slowest tests; 0 shows all", Value: -1, DefaultText: "none"},
			&cli.BoolFlag{Name: "no-color", Usage: "no colours (NO_COLOR does the same)"},
			&cli.StringFlag{Name: "ci", Usage: "annotate and fold for the CI `SERVICE`: " + strings.Join(ci.Names(), ", "), DefaultText: "auto: by its environment"},
			&cli.BoolFlag{Name: "debug", Usage: "log what the gateways do to standard error"},
		),
		in(groupReports,
			&cli.StringFlag{Name: "html", Usage: "write a report for a browser to `FILE`: failures, platforms, slowest, a timeline of the gateways"},
			&cli.StringFlag{Name: "junitxml", Aliases: []string{"junitfile"}, Usage: "write a JUnit report to `FILE`"},
			&cli.BoolFlag{Name: "junit-output", Usage: "put the output of every test into the JUnit report"},
			&cli.StringFlag{Name: "junit-schema", Usage: "write the JUnit report in the dialect `NAME`: extended, or jenkins, which Jenkins' xUnit plugin takes", DefaultText: "extended"},
			&cli.StringFlag{Name: flagSuiteName, Usage: "call a testsuite by its package as `FORM` says: full, relative or short", Value: "full"},
			&cli.StringFlag{Name: flagClassName, Usage: "have a testcase's classname as `FORM` says: full, relative or short", Value: "full"},
			&cli.StringFlag{Name: "junitfile-project-name", Usage: "call the JUnit report `NAME`"},
			&cli.BoolFlag{Name: "junitfile-hide-empty-pkg", Usage: "leave packages without tests out of the JUnit report"},
			&cli.BoolFlag{Name: "json", Usage: "write the events of go test -json to standard output instead of a report for people"},
			&cli.StringFlag{Name: "jsonfile", Usage: "write the events of go test -json to `FILE`"},
			&cli.StringFlag{Name: "events", Usage: "write all that happens as lines of JSON (docs/events.md) to `FILE`, to standard output (-) or to a descriptor (fd:N)"},
			&cli.StringFlag{Name: "trace-out", Usage: "write Chrome trace events, which ui.perfetto.dev opens, to `FILE`"},
			&cli.BoolFlag{Name: "otel", Usage: "send a trace of the run to the OpenTelemetry collector that OTEL_EXPORTER_OTLP_ENDPOINT names"},
			&cli.StringFlag{Name: flagPostRun, Usage: "when the reports are written run `COMMAND`, which finds gotestsum's variables (TESTS_FAILED, GOTESTSUM_JUNITFILE, …)"},
		),
		in(groupKept,
			&cli.StringFlag{Name: "config", Usage: "read the configuration `FILE`", DefaultText: config.Name + " of the module or workspace"},
			&cli.StringSliceFlag{Name: "timings", Usage: "plan with the durations in `FILE`, one of --timings-out or a log of go test -json; may be repeated"},
			&cli.StringFlag{Name: "timings-out", Usage: "write what is known of the tests, this run included, to `FILE`"},
			&cli.BoolFlag{Name: "no-history", Usage: "neither use nor record what earlier runs taught", EnvVars: []string{"XDIST_NO_HISTORY"}},
			&cli.StringFlag{Name: "testrunuid", Usage: "what tests see as XDIST_TESTRUNUID (default: random)"},
		),
		in(groupKept, cacheFlags()...),
		in(groupFiles,
			&cli.StringSliceFlag{Name: "rsyncdir", Usage: "send `DIR` to the other hosts too, with what git ignores; may be repeated"},
			&cli.StringSliceFlag{Name: "rsyncignore", Usage: "do not send what matches `PATTERN`; may be repeated"},
			&cli.StringSliceFlag{Name: "pull", Usage: "bring back the files that match `PATTERN` and that tests have written; may be repeated"},
			&cli.StringFlag{Name: "pull-limit", Usage: "bring back nothing from a host that has more than `SIZE`, such as 500M or 5G", Value: "1G"},
			&cli.StringFlag{Name: "mirror-dir", Usage: "where the tree goes on the other hosts", EnvVars: []string{"XDIST_MIRROR"}, DefaultText: "/var/tmp"},
			&cli.BoolFlag{Name: "mirror-keep", Usage: "keep what earlier tests have written there"},
		),
		gotestsumFlags(),
	)
}

func formats() []string {
	var names []string
	for _, f := range reporters.Formats() {
		names = append(names, string(f))
	}
	return names
}

func statusText() string {
	var b strings.Builder
	b.WriteString("Exit status:\n")
	for _, s := range statuses {
		fmt.Fprintf(&b, "   %3d  %s\n", s.status, s.text)
	}
	return b.String()
}
