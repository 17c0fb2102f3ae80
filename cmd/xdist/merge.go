package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/xdist-go/xdist/gotest/cover"
	"github.com/xdist-go/xdist/merge"
	"github.com/xdist-go/xdist/reporters"
	"github.com/xdist-go/xdist/scheduler/event"
)

func mergeCommand() *cli.Command {
	return &cli.Command{
		Name:      "merge",
		Usage:     "merge the reports of jobs that ran the parts of one suite",
		UsageText: "xdist merge [--json-out FILE] [--junit-out FILE] [--coverprofile FILE] FILE...",
		Description: "The files are events of go test -json, JUnit reports and cover profiles, in any order; what each is is found by its content.\n" +
			"The exit status is that of one run of all. A test that two jobs have run is an error. Reports of --shard are merged when they are not all there\n" +
			"or not whole, too, but the exit status tells.",
		HideHelpCommand: true,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "json-out", Usage: "write the merged events to `FILE`"},
			&cli.StringFlag{Name: "junit-out", Usage: "write the merged JUnit report to `FILE`; without JUnit reports it is made of the events"},
			&cli.StringFlag{Name: "coverprofile", Usage: "write the merged cover profile to `FILE`"},
		},
		Action: mergeReports,
	}
}

func mergeReports(c *cli.Context) error {
	if c.NArg() == 0 {
		return usageError(errors.New("xdist merge: which files?"))
	}
	var files []*merge.File
	for _, name := range c.Args().Slice() {
		if strings.HasPrefix(name, "-") {
			return usageError(fmt.Errorf("xdist merge: flags go before the files, and %q is behind", name))
		}
		f, err := merge.Read(name)
		if err != nil {
			return classify(err)
		}
		files = append(files, f)
	}
	usable, gaps := merge.Whole(files)
	return incomplete(gaps, mergeUsable(c, usable))
}

// mergeUsable writes what was asked for, and says how the run ended.
func mergeUsable(c *cli.Context, files []*merge.File) error {
	profile, err := mergeProfiles(c, files)
	if err != nil {
		return classify(err)
	}
	junit, err := mergeJUnit(c, files)
	if err != nil {
		return classify(err)
	}
	return mergeEvents(c, files, profile, junit)
}

// incomplete is the end of a merge of reports that are not those of a whole run, whatever they say:
// it comes before failed tests, but not before a command line that is wrong.
func incomplete(gaps []string, err error) error {
	var ended *endedError
	said := errors.As(err, &ended)
	if len(gaps) == 0 || said && ended.status == statusUsage {
		return err
	}
	if said && (ended.err == nil || ended.status == statusNothing) {
		err = nil
	}
	return &endedError{statusIncomplete, errors.Join(fmt.Errorf("merge reports: they are not those of a whole run: %s", strings.Join(gaps, "; ")), err)}
}

// mergeProfiles writes --coverprofile.
func mergeProfiles(c *cli.Context, files []*merge.File) (*cover.Profile, error) {
	profile, err := merge.Profiles(files)
	name := c.String("coverprofile")
	switch {
	case err != nil || name == "":
		return profile, err
	case profile == nil:
		return nil, usageError(errors.New("--coverprofile: there is no cover profile among the files"))
	}
	if err := os.WriteFile(name, profile.Append(nil), 0o666); err != nil {
		return nil, fmt.Errorf("write cover profile: %w", err)
	}
	return profile, nil
}

// mergeJUnit writes --junit-out when there are JUnit reports. It returns nil when there are none.
func mergeJUnit(c *cli.Context, files []*merge.File) (*reporters.JUnitReport, error) {
	var parts []reporters.NamedJUnit
	for _, f := range files {
		if f.Kind == merge.KindJUnit {
			parts = append(parts, reporters.NamedJUnit{Name: f.Name, Report: f.JUnit})
		}
	}
	if len(parts) == 0 {
		return nil, nil
	}
	report, err := reporters.MergeJUnit(parts)
	if err == nil && c.String("junit-out") != "" {
		err = report.WriteFile(c.String("junit-out"))
	}
	return report, err
}

// mergeEvents writes what is made of events, and says how the run ended.
func mergeEvents(c *cli.Context, files []*merge.File, profile *cover.Profile, junit *reporters.JUnitReport) error {
	events := 0
	for _, f := range files {
		if f.Kind == merge.KindEvents {
			events++
		}
	}
	if events == 0 {
		return mergedWithout(c, junit)
	}
	merged, err := merge.Events(files, profile)
	if err != nil {
		return classify(err)
	}
	console, err := reporters.NewConsole(reporters.ConsoleConfig{Out: c.App.Writer, Err: c.App.ErrWriter})
	if err != nil {
		return classify(err)
	}
	all := []event.Reporter{console}
	if name := c.String("json-out"); name != "" {
		r, err := reporters.NewJSON(reporters.JSONConfig{File: name})
		if err != nil {
			return errors.Join(classify(err), console.Close())
		}
		all = append(all, r)
	}
	if name := c.String("junit-out"); name != "" && junit == nil {
		r, err := reporters.NewJUnit(reporters.JUnitConfig{File: name})
		if err != nil {
			return errors.Join(classify(err), console.Close())
		}
		all = append(all, r)
	}
	if err := merged.Replay(reporters.Multi(all...)); err != nil {
		return classify(err)
	}
	if err := conclude(merged.Summary, nil, merged.Benchmarks); err != nil {
		return err
	}
	return junitStatus(junit)
}

// mergedWithout is the end of a merge without events.
func mergedWithout(c *cli.Context, junit *reporters.JUnitReport) error {
	if c.String("json-out") != "" || junit == nil && c.String("junit-out") != "" {
		return usageError(errors.New("there are no events of go test -json among the files to make the report of"))
	}
	if junit == nil {
		return nil
	}
	tests, bad := junit.Count()
	if _, err := io.WriteString(c.App.Writer, fmt.Sprintf("%d tests, %d failed\n", tests, bad)); err != nil {
		return err
	}
	return junitStatus(junit)
}

func junitStatus(junit *reporters.JUnitReport) error {
	if junit != nil {
		if _, bad := junit.Count(); bad > 0 {
			return &endedError{statusFailed, nil}
		}
	}
	return nil
}
