package main

import (
	"errors"
	"io"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/history"
	"github.com/xdist-go/xdist/reporters"
	"github.com/xdist-go/xdist/scheduler/event"
)

// newReporter makes what the flags ask for into one reporter. Files are opened here: a report that
// cannot be written is known before the first test runs.
func newReporter(c *cli.Context, command *gotest.Command, book *history.Book) (event.Reporter, error) {
	var all []event.Reporter
	if command.JSON {
		events, err := reporters.NewJSON(reporters.JSONConfig{Out: c.App.Writer})
		if err != nil {
			return nil, err
		}
		if c.IsSet("format") {
			return nil, usageError(errors.New("--json and --format exclude each other: both say what standard output is"))
		}
		all = append(all, events, reporters.NewNotices(c.App.ErrWriter))
		all = appendDurations(all, c, c.App.ErrWriter)
	} else {
		console, err := newConsole(c, command)
		if err != nil {
			return nil, usageError(err)
		}
		all = append(all, console)
		all = appendDurations(all, c, c.App.Writer)
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
	if c.IsSet("replay") {
		return reporters.Multi(all...), nil // what runs again out of its context teaches nothing
	}
	lessons, err := newHistoryReporter(c, command, book)
	if err != nil {
		return nil, err
	}
	return reporters.Multi(append(all, lessons)...), nil
}

func appendDurations(all []event.Reporter, c *cli.Context, out io.Writer) []event.Reporter {
	if n := c.Int("durations"); n >= 0 {
		all = append(all, reporters.NewDurations(reporters.DurationsConfig{Out: out, Count: n}))
	}
	return all
}

func newConsole(c *cli.Context, command *gotest.Command) (event.Reporter, error) {
	cfg := reporters.ConsoleConfig{
		Out:    c.App.Writer,
		Err:    c.App.ErrWriter,
		Format: reporters.Format(c.String("format")),
	}
	if cfg.Format == "" && (command.Verbose || command.Bench != "" || command.Fuzz != "") {
		cfg.Format = reporters.FormatStandardVerbose
	}
	if out, ok := c.App.Writer.(*os.File); ok {
		cfg.Width, _ = reporters.Terminal(out)
	}
	if c.Bool("no-color") {
		cfg.Color = reporters.ColorNever
	}
	return reporters.NewConsole(cfg)
}
