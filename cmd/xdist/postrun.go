package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/xdist-go/xdist/internal/cmdline"
	"github.com/xdist-go/xdist/scheduler/event"
)

const flagPostRun = "post-run-command"

// postRun is the command that is to run when a run is over and its reports are written; nil is
// none.
type postRun struct {
	words []string
	began time.Time
}

// newPostRun reads the flag, whose words may be in quotes.
func newPostRun(c *cli.Context) (*postRun, error) {
	line := c.String(flagPostRun)
	if line == "" {
		return nil, nil
	}
	words, err := cmdline.Split(line, true)
	if err != nil || len(words) == 0 {
		return nil, usageError(fmt.Errorf("--%s %q: want a command (%v)", flagPostRun, line, err))
	}
	return &postRun{words, time.Now()}, nil
}

// run runs the command, also after an interrupt, as gotestsum does.
func (p *postRun) run(c *cli.Context, s event.Summary) error {
	if p == nil {
		return nil
	}
	cmd := exec.CommandContext(context.WithoutCancel(c.Context), p.words[0], p.words[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, c.App.Writer, c.App.ErrWriter
	cmd.Env = append(os.Environ(), p.env(c, s)...)
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("run --%s %s: %w", flagPostRun, cmdline.Join(p.words), err)
	}
	return nil
}

// also is the end of a run behind which a command ran: its error, where the run has none.
func also(run, command error, warn func(error)) error {
	if run != nil && command != nil {
		warn(command)
		return run
	}
	return errors.Join(run, command)
}

// env has the variables of gotestsum. Tests are counted as in the account of the run.
func (p *postRun) env(c *cli.Context, s event.Summary) []string {
	failed := s.Counts[event.Fail] + s.Counts[event.Crash]
	return []string{
		"GOTESTSUM_ELAPSED=" + strconv.FormatFloat(time.Since(p.began).Seconds(), 'f', 3, 64) + "s",
		"GOTESTSUM_FORMAT=" + c.String("format"),
		"GOTESTSUM_JSONFILE=" + c.String("jsonfile"),
		"GOTESTSUM_JSONFILE_TIMING_EVENTS=",
		"GOTESTSUM_JUNITFILE=" + c.String("junitxml"),
		"TESTS_TOTAL=" + strconv.Itoa(s.Collected),
		"TESTS_FAILED=" + strconv.Itoa(failed),
		"TESTS_SKIPPED=" + strconv.Itoa(s.Counts[event.Skip]),
		"TESTS_ERRORS=" + strconv.Itoa(s.BuildFailed),
	}
}
