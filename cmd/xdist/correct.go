package main

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/scheduler"
	"github.com/xdist-go/xdist/scheduler/event"
)

// correctFlags say what becomes of tests that fail, hang or crash.
func correctFlags() []cli.Flag {
	return []cli.Flag{
		&cli.IntFlag{Name: "reruns", Usage: "run a test that fails up to `N` times more; one that passes then is flaky"},
		&cli.DurationFlag{Name: "reruns-delay", Usage: "wait `D` (5s, 1m) before a test runs again"},
		&cli.StringFlag{Name: "rerun-tests", Usage: "run again only tests whose id (importpath::TestName) matches `REGEXP`"},
		&cli.StringFlag{Name: "rerun-errors", Usage: "run again only failures that have a line of output that matches `REGEXP`"},
		&cli.BoolFlag{Name: "rerun-crashes", Usage: "run again tests that ended their process or their agent, too"},
		&cli.BoolFlag{Name: "fail-on-flaky", Usage: "exit with status 1 when a test was flaky"},
		&cli.DurationFlag{Name: "test-timeout", Usage: "end a test that has been running for longer than `D` with a dump of its goroutines", DefaultText: "none; -timeout is of a process"},
		&cli.DurationFlag{Name: "slow", Usage: "say which test has been running for longer than `D`, and again each time that it has taken twice as long; 0: never", Value: time.Minute},
	}
}

// correctness is what correctFlags say, in the terms of scheduler.Config.
type correctness struct {
	reruns      scheduler.Reruns
	testTimeout time.Duration
	slow        time.Duration
	maxFail     int
	maxFailWait bool
}

// parseCorrect reads correctFlags. Its errors are of usage.
func parseCorrect(c *cli.Context, command *gotest.Command) (correctness, error) {
	all := correctness{testTimeout: c.Duration("test-timeout"), slow: c.Duration("slow")}
	for _, name := range []string{"test-timeout", "slow"} {
		if d := c.Duration(name); d < 0 {
			return all, fmt.Errorf("--%s %v: want a duration that is not negative", name, d)
		}
	}
	var err error
	if all.reruns, err = reruns(c, command); err != nil {
		return all, err
	}
	all.maxFail, all.maxFailWait, err = maxFail(c)
	return all, err
}

// maxFail reads -x and --maxfail N[:wait|:now].
func maxFail(c *cli.Context) (n int, wait bool, err error) {
	text := c.String("maxfail")
	digits, mode, _ := strings.Cut(text, ":")
	if text != "" {
		n, err = strconv.Atoi(digits)
	}
	if err != nil || n < 0 || strings.Contains(text, ":") && mode != "now" && mode != "wait" {
		return 0, false, fmt.Errorf("--maxfail %q: want a number that is not negative, N:wait or N:now", text)
	}
	if c.Bool("x") {
		n = 1
	}
	return n, mode == "wait", nil
}

func reruns(c *cli.Context, command *gotest.Command) (scheduler.Reruns, error) {
	r := scheduler.Reruns{Max: c.Int("reruns"), Delay: c.Duration("reruns-delay"), Crashes: c.Bool("rerun-crashes")}
	switch {
	case r.Max < 0:
		return r, fmt.Errorf("--reruns %d: want a number that is not negative", r.Max)
	case r.Delay < 0:
		return r, fmt.Errorf("--reruns-delay %v: want a duration that is not negative", r.Delay)
	case r.Max > 0 && command.FailFast:
		return r, errors.New("--reruns and -failfast exclude each other: after a failure the rest of its package would not run; -x stops the run after a failure that counts")
	}
	var err error
	for name, to := range map[string]**regexp.Regexp{"rerun-tests": &r.Tests, "rerun-errors": &r.Errors} {
		text := c.String(name)
		if text == "" {
			continue
		}
		if *to, err = regexp.Compile(text); err != nil {
			return r, fmt.Errorf("--%s: %w", name, err)
		}
	}
	return r, nil
}

// strict makes of a run with flaky tests a failed one, where that is asked for.
func strict(c *cli.Context, s event.Summary, err error) error {
	if err == nil && c.Bool("fail-on-flaky") && s.Counts[event.Flaky] > 0 {
		return &endedError{statusFailed, nil}
	}
	return err
}
