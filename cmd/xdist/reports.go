package main

import (
	"os"

	"github.com/urfave/cli/v2"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/reporters"
	"github.com/xdist-go/xdist/scheduler"
)

// newReporter makes what the flags ask for into one reporter. Files are opened here: a report that cannot be written is
// known before the first test runs.
func newReporter(c *cli.Context, command *gotest.Command) (scheduler.Reporter, error) {
	var all []scheduler.Reporter
	if command.JSON {
		events, err := reporters.NewJSON(reporters.JSONConfig{Out: c.App.Writer})
		if err != nil {
			return nil, err
		}
		all = append(all, events, reporters.NewNotices(c.App.ErrWriter))
	} else {
		console, err := newConsole(c, command)
		if err != nil {
			return nil, usageError(err)
		}
		all = append(all, console)
		if n := c.Int("durations"); n >= 0 {
			all = append(all, reporters.NewDurations(reporters.DurationsConfig{Out: c.App.Writer, Count: n}))
		}
	}
	if file := c.String("jsonfile"); file != "" {
		events, err := reporters.NewJSON(reporters.JSONConfig{File: file})
		if err != nil {
			return nil, err
		}
		all = append(all, events)
	}
	if file := c.String("junitxml"); file != "" {
		cfg := reporters.JUnitConfig{File: file}
		if c.Bool("junit-output") {
			cfg.SystemOut = reporters.EveryTest
		}
		junit, err := reporters.NewJUnit(cfg)
		if err != nil {
			return nil, err
		}
		all = append(all, junit)
	}
	return reporters.Multi(all...), nil
}

func newConsole(c *cli.Context, command *gotest.Command) (scheduler.Reporter, error) {
	cfg := reporters.ConsoleConfig{
		Out:    c.App.Writer,
		Err:    c.App.ErrWriter,
		Format: reporters.Format(c.String("format")),
	}
	if cfg.Format == "" && (command.Verbose || command.Bench != "" || command.Fuzz != "") {
		cfg.Format = reporters.FormatStandardVerbose
	}
	if out, ok := c.App.Writer.(*os.File); ok {
		cfg.Width = reporters.TerminalWidth(out)
	}
	if c.Bool("no-color") {
		cfg.Color = reporters.ColorNever
	}
	return reporters.NewConsole(cfg)
}
