package main

import (
	"cmp"
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
// The second result is what tests are to find in their environment.
func newReporter(c *cli.Context, command *gotest.Command, book *history.Book, page *page) (event.Reporter, []string, error) {
	if err := oneOf("ci", cmp.Or(c.String("ci"), "auto"), ci.Names()); err != nil {
		return nil, nil, err
	}
	service, err := ci.Parse(c.String("ci"), os.Getenv)
	if err != nil {
		return nil, nil, usageError(fmt.Errorf("--ci: %w", err))
	}
	r := &reports{cli: c, command: command, service: service}
	for _, add := range []func() error{r.addOutput, r.addEvents, func() error { return r.addPages(book) }, r.addTrace, r.addFiles} {
		if err := add(); err != nil {
			return nil, nil, err
		}
	}
	if page != nil {
		r.add(page)
	}
	if err := r.addKept(book); err != nil {
		return nil, nil, err
	}
	if r.failures != nil { // it comes before those who ask it
		r.all = append([]event.Reporter{r.failures}, r.all...)
	}
	return reporters.Multi(r.all...), r.testEnv, nil
}

// reports are the reporters of a run as they are made.
type reports struct {
	cli      *cli.Context
	command  *gotest.Command
	service  ci.Service
	log      io.Writer      // where the CI service reads
	failures *failure.Watch // nil while nobody asks
	all      []event.Reporter
	testEnv  []string // NAME=VALUE
}

func (r *reports) add(one event.Reporter) { r.all = append(r.all, one) }

// watch is what those share who ask what has failed.
func (r *reports) watch() *failure.Watch {
	if r.failures == nil {
		r.failures = failure.NewWatch()
	}
	return r.failures
}

// addOutput adds what writes to standard output, or beside it where that is for a program.
func (r *reports) addOutput() error {
	c := r.cli
	r.log = c.App.ErrWriter
	switch {
	case c.String("events") == "-" && (r.command.JSON || c.IsSet("format")):
		return usageError(errors.New("--events -, --json and --format exclude each other: each says what standard output is"))
	case r.command.JSON && c.IsSet("format"):
		return usageError(errors.New("--json and --format exclude each other: both say what standard output is"))
	case r.command.JSON:
		events, err := reporters.NewJSON(reporters.JSONConfig{Out: c.App.Writer})
		if err != nil {
			return err
		}
		r.add(events)
		fallthrough
	case c.String("events") == "-":
		r.add(reporters.NewNotices(c.App.ErrWriter))
	default:
		if c.IsSet("format") {
			if err := oneOf("format", c.String("format"), formats()); err != nil {
				return err
			}
		}
		r.log = c.App.Writer
		console, err := newConsole(c, r.command, r.service, r.watch())
		if err != nil {
			return usageError(err)
		}
		r.add(console)
	}
	if n := c.Int("durations"); n >= 0 {
		r.add(reporters.NewDurations(reporters.DurationsConfig{Out: r.log, Count: n}))
	}
	return nil
}

func (r *reports) addEvents() error {
	place := r.cli.String("events")
	if place == "" {
		return nil
	}
	events, err := reporters.OpenEvents(place, r.cli.App.Writer)
	if err != nil {
		return usageError(fmt.Errorf("--events: %w", err))
	}
	r.add(events)
	return nil
}

// addPages adds what people look at elsewhere: at their CI service, in a browser, in a viewer.
func (r *reports) addPages(book *history.Book) error {
	if r.service.Tests() {
		r.add(ci.New(ci.Config{Service: r.service, Out: r.log, Failures: r.watch()}))
	}
	if file := r.cli.String("html"); file != "" {
		page, err := html.New(file, r.watch(), book.Sights)
		if err != nil {
			return err
		}
		r.add(page)
	}
	if file := r.cli.String("trace-out"); file != "" {
		lanes, err := trace.New(file)
		if err != nil {
			return err
		}
		r.add(lanes)
	}
	return nil
}

// addFiles adds the files that other programs read.
func (r *reports) addFiles() error {
	if file := r.cli.String("jsonfile"); file != "" {
		events, err := reporters.NewJSON(reporters.JSONConfig{File: file})
		if err != nil {
			return err
		}
		r.add(events)
	}
	file := r.cli.String("junitxml")
	if file == "" {
		return nil
	}
	schema, err := reporters.ParseJUnitSchema(r.cli.String("junit-schema"))
	if err != nil {
		return usageError(fmt.Errorf("--junit-schema: %w", err))
	}
	names := reporters.PackageNames()
	for _, flag := range []string{flagSuiteName, flagClassName} {
		if err := oneOf(flag, r.cli.String(flag), names); err != nil {
			return err
		}
	}
	cfg := reporters.JUnitConfig{
		File: file, Schema: schema, Name: r.cli.String("junitfile-project-name"), HideEmpty: r.cli.Bool("junitfile-hide-empty-pkg"),
		Suites: reporters.PackageName(r.cli.String(flagSuiteName)), Classes: reporters.PackageName(r.cli.String(flagClassName)),
	}
	if dir, err := os.Getwd(); err == nil {
		cfg.Root = r.service.Root(dir, os.Getenv)
	}
	if r.cli.Bool("junit-output") {
		cfg.SystemOut = reporters.EveryTest
	}
	junit, err := reporters.NewJUnit(cfg)
	if err != nil {
		return err
	}
	r.add(junit)
	return nil
}

// addKept adds what is kept for later runs. What runs again out of its context teaches nothing.
func (r *reports) addKept(book *history.Book) error {
	if !r.cli.Bool("no-history") {
		store, err := outputStore(r.cli, r.command.Dir)
		if err == nil { // else the history says what is wrong
			r.add(store.Keep(warnTo(r.cli.App.ErrWriter)))
		}
	}
	if r.cli.IsSet("replay") {
		return nil
	}
	lessons, err := newHistoryReporter(r.cli, r.command, book)
	if err != nil {
		return err
	}
	r.add(lessons)
	return nil
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
