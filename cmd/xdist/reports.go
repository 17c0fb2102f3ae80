package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/history"
	"github.com/xdist-go/xdist/reporters"
	"github.com/xdist-go/xdist/reporters/ci"
	"github.com/xdist-go/xdist/reporters/failure"
	"github.com/xdist-go/xdist/reporters/html"
	"github.com/xdist-go/xdist/reporters/trace"
	"github.com/xdist-go/xdist/scheduler/event"
)

// newReporter makes what the flags ask for into one reporter. Files are opened here: a report that
// cannot be written is known before the first test runs.
func newReporter(c *cli.Context, command *gotest.Command, book *history.Book) (event.Reporter, error) {
	service, err := ci.Parse(c.String("ci"), os.Getenv)
	if err != nil {
		return nil, usageError(fmt.Errorf("--ci: %w", err))
	}
	failures := failure.NewWatch()
	all := []event.Reporter{failures}
	log := c.App.Writer
	place := c.String("events")
	switch {
	case place == "-" && (command.JSON || c.IsSet("format")):
		return nil, usageError(errors.New("--events -, --json and --format exclude each other: each says what standard output is"))
	case place == "-":
		log = c.App.ErrWriter
		all = append(all, reporters.NewNotices(c.App.ErrWriter))
		all = appendDurations(all, c, c.App.ErrWriter)
	case command.JSON:
		log = c.App.ErrWriter
		events, err := reporters.NewJSON(reporters.JSONConfig{Out: c.App.Writer})
		if err != nil {
			return nil, err
		}
		if c.IsSet("format") {
			return nil, usageError(errors.New("--json and --format exclude each other: both say what standard output is"))
		}
		all = append(all, events, reporters.NewNotices(c.App.ErrWriter))
		all = appendDurations(all, c, c.App.ErrWriter)
	default:
		console, err := newConsole(c, command, service, failures)
		if err != nil {
			return nil, usageError(err)
		}
		all = append(all, console)
		all = appendDurations(all, c, c.App.Writer)
	}
	if place != "" {
		events, err := reporters.OpenEvents(place, c.App.Writer)
		if err != nil {
			return nil, usageError(fmt.Errorf("--events: %w", err))
		}
		all = append(all, events)
	}
	if service.Tests() {
		all = append(all, ci.New(ci.Config{Service: service, Out: log, Failures: failures}))
	}
	if file := c.String("html"); file != "" {
		report, err := html.New(file, failures)
		if err != nil {
			return nil, err
		}
		all = append(all, report)
	}
	if file := c.String("trace-out"); file != "" {
		report, err := trace.New(file)
		if err != nil {
			return nil, err
		}
		all = append(all, report)
	}
	if file := c.String("jsonfile"); file != "" {
		events, err := reporters.NewJSON(reporters.JSONConfig{File: file})
		if err != nil {
			return nil, err
		}
		all = append(all, events)
	}
	if file := c.String("junitxml"); file != "" {
		schema, err := reporters.ParseJUnitSchema(c.String("junit-schema"))
		if err != nil {
			return nil, usageError(fmt.Errorf("--junit-schema: %w", err))
		}
		cfg := reporters.JUnitConfig{File: file, Schema: schema}
		if c.Bool("junit-output") {
			cfg.SystemOut = reporters.EveryTest
		}
		junit, err := reporters.NewJUnit(cfg)
		if err != nil {
			return nil, err
		}
		all = append(all, junit)
	}
	if !c.Bool("no-history") {
		store, err := outputStore(c, command.Dir)
		if err == nil { // else the history says what is wrong
			all = append(all, store.Keep(func(err error) { fmt.Fprintf(c.App.ErrWriter, "xdist: warning: %v\n", err) }))
		}
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

func newConsole(c *cli.Context, command *gotest.Command, service ci.Service, failures *failure.Watch) (event.Reporter, error) {
	cfg := reporters.ConsoleConfig{
		Out:      c.App.Writer,
		Err:      c.App.ErrWriter,
		Format:   reporters.Format(c.String("format")),
		Failures: failures,
	}
	if cfg.Format == "" && (command.Verbose || command.Bench != "" || command.Fuzz != "") {
		cfg.Format = reporters.FormatStandardVerbose
	}
	if service != ci.None {
		cfg.Fold = func(title, text string) string { return service.Fold(title, text, time.Now()) }
		cfg.Text = service.Text
	}
	// Services that give a terminal to their jobs keep all that is drawn there.
	if out, ok := c.App.Writer.(*os.File); ok && service == ci.None && !truthy(os.Getenv("CI")) {
		cfg.Width, cfg.Height = reporters.Terminal(out)
		if errs, ok := c.App.ErrWriter.(*os.File); ok && cfg.Width == nil && !term.IsTerminal(int(out.Fd())) {
			cfg.Width, cfg.Height = reporters.Terminal(errs)
			cfg.Apart = cfg.Width != nil
		}
	}
	if notRepeatable(c) == "" {
		cfg.Again = againCommand(os.Args[1:], c.Bool(flagStepwise))
	}
	for _, flag := range []string{"html", "trace-out", "junitxml", "jsonfile", "events"} {
		if file := c.String(flag); file != "" {
			cfg.Reports = append(cfg.Reports, file)
		}
	}
	cfg.Color = colours(c.Bool("no-color"), service, os.Getenv)
	return reporters.NewConsole(cfg)
}

// colours is what the flag and the environment say of colours: NO_COLOR turns them off, FORCE_COLOR
// and CLICOLOR_FORCE turn them on, and so does a CI service that shows them.
func colours(no bool, service ci.Service, getenv func(string) string) reporters.Color {
	switch {
	case no, getenv("NO_COLOR") != "":
		return reporters.ColorNever
	case truthy(getenv("FORCE_COLOR")), truthy(getenv("CLICOLOR_FORCE")), service.Colours():
		return reporters.ColorAlways
	}
	return reporters.ColorAuto
}

// truthy reports whether a variable that turns something on does so.
func truthy(value string) bool {
	return value != "" && value != "0" && !strings.EqualFold(value, "false")
}
