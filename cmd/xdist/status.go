package main

import (
	"errors"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/scheduler/event"
	"github.com/xdist-go/xdist/xspec"
)

// status is an exit status of xdist. They are part of the interface: see the table.
type status int

const (
	statusPassed      status = 0
	statusFailed      status = 1
	statusUsage       status = 2
	statusBuild       status = 3
	statusNothing     status = 4
	statusInternal    status = 5
	statusUnbalanced  status = 6
	statusIncomplete  status = 7
	statusInterrupted status = 130
)

// statuses documents the exit statuses, in the order of the help text.
var statuses = []struct {
	status status
	text   string
}{
	{statusPassed, "no package failed, as go test has it"},
	{statusFailed, "a test or a package failed"},
	{statusUsage, "the command line, the configuration or a directive is wrong"},
	{statusBuild, "no test failed, but a package did not build or was rejected by vet"},
	{statusNothing, "there was no test to run, or none of them was run"},
	{statusInternal, "xdist failed: no gateway, no go command, a report that could not be written"},
	{statusUnbalanced, "the account of the run does not add up; please report it"},
	{statusIncomplete, "xdist merge: the report of a shard is missing, cut off, there twice or of another division or run"},
	{statusInterrupted, "interrupted by a signal"},
}

// endedError carries an exit status to main. err is printed unless it is nil.
type endedError struct {
	status status
	err    error
}

func (e *endedError) Error() string {
	if e.err == nil {
		return "ended"
	}
	return e.err.Error()
}

func (e *endedError) Unwrap() error { return e.err }

var errNothing = errors.New("no tests were collected: nothing in these packages matches")

func usageError(err error) error { return &endedError{statusUsage, err} }

// conclude is the exit status of a run. What is worse for a user who looks at nothing else comes
// first.
func conclude(s event.Summary, err error, benchmarks bool) error {
	switch {
	case s.Interrupted:
		return &endedError{statusInterrupted, err}
	case s.Unbalanced != "":
		return &endedError{statusUnbalanced, err}
	case err != nil:
		return classify(err)
	case s.Failed > 0, s.Stopped != "":
		return &endedError{statusFailed, nil}
	case s.BuildFailed > 0:
		return &endedError{statusBuild, nil}
	case s.Collected == 0 && !benchmarks:
		return &endedError{statusNothing, errNothing}
	case s.NothingRan != "" && !benchmarks:
		return &endedError{statusNothing, errors.New(s.NothingRan)}
	}
	return nil
}

// classify finds the exit status of an error that ended a run or kept it from starting.
func classify(err error) error {
	var (
		ended *endedError
		spec  *xspec.Error
		usage *gotest.UsageError
		none  *gotest.NoPackagesError
		wrong *gotest.DirectiveError
	)
	switch {
	case errors.As(err, &ended):
		return err
	case errors.As(err, &spec), errors.As(err, &usage), errors.As(err, &wrong):
		return &endedError{statusUsage, err}
	case errors.As(err, &none):
		return &endedError{statusNothing, err}
	}
	return &endedError{statusInternal, err}
}
