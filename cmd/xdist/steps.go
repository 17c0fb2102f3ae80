package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/history"
	"github.com/xdist-go/xdist/internal/atomicfile"
	"github.com/xdist-go/xdist/internal/ownfile"
	"github.com/xdist-go/xdist/scheduler/event"
	"github.com/xdist-go/xdist/xspec"
)

// steps are what the runs of --stepwise have passed since one of them began anew. They end when a
// run has nothing left to do: the next one runs all tests.
//
// As an event.Reporter they learn which packages failed by themselves: what the tests of such a
// package said is no pass.
type steps struct {
	file   string
	strict bool            // --fail-on-flaky: a flaky test has not passed
	done   map[string]bool // tests that have passed or skipped, by platform and id

	failing map[string]bool // packages of which a test has failed, by the name that is shown
	broken  map[string]bool // packages that failed and none of whose tests did, by import path
}

// stepsLimit bounds what is read of the file, in bytes: some 500,000 tests.
const stepsLimit = 64 << 20

// openSteps reads what the steps before have passed. key says of which tests, and under which
// conditions. What cannot be read is a warning, and all tests run.
func openSteps(c *cli.Context, key string) (*steps, error) {
	cache, _, err := cachePlace(c)
	if err != nil {
		return nil, usageError(err)
	}
	sum := sha256.Sum256([]byte(key))
	s := &steps{
		file: filepath.Join(cache, "stepwise", hex.EncodeToString(sum[:16])+".json"), strict: c.Bool("fail-on-flaky"),
		done: map[string]bool{}, failing: map[string]bool{}, broken: map[string]bool{},
	}
	text, err := ownfile.Read(s.file, stepsLimit)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	var ids []string
	if err == nil {
		err = json.Unmarshal(text, &ids)
	}
	if err != nil {
		warnTo(c.App.ErrWriter)(fmt.Errorf("read the steps of --stepwise: %w; they begin anew", err))
	}
	for _, id := range ids {
		s.done[id] = true
	}
	return s, nil
}

func (s *steps) passed(platform, id string) bool { return s.done[platform+" "+id] }

// Handle implements event.Reporter. It returns no error.
func (s *steps) Handle(e event.Event) error {
	t, ok := e.(event.Test)
	switch {
	case !ok || t.Action != test2json.ActionFail || t.Package == "":
	case t.Test != "":
		s.failing[t.Package] = s.failing[t.Package] || !t.Again && !strings.Contains(t.Test, "/")
	case !s.failing[t.Package]:
		pkg, _, _ := history.SplitShown(t.Package)
		s.broken[pkg] = true
	}
	return nil
}

// Close implements event.Reporter.
func (s *steps) Close() error { return nil }

// record keeps what a run has passed. whole says that it had nothing left to do, and nothing
// failed. A nil receiver is a run without steps. An error is none of the run: the next step does
// more than it has to.
func (s *steps) record(sum event.Summary, whole bool) error {
	if s == nil {
		return nil
	}
	if whole {
		if err := os.Remove(s.file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("end the steps of --stepwise: %w", err)
		}
		return nil
	}
	s.learn(sum)
	err := ownfile.MakeDir(filepath.Dir(s.file))
	var f *atomicfile.File
	if err == nil {
		f, err = atomicfile.New(s.file)
	}
	if err == nil {
		err = f.Replace(func(w io.Writer) error { return json.NewEncoder(w).Encode(slices.Sorted(maps.Keys(s.done))) })
	}
	if err != nil {
		return fmt.Errorf("keep the steps of --stepwise: %w", err)
	}
	return nil
}

// learn adds what a run has passed. Under --dist each a test has several verdicts, and has passed
// only if it did so on every gateway.
func (s *steps) learn(sum event.Summary) {
	bad := map[string]bool{} // by platform and id; without a platform where the run has one only
	for _, it := range sum.NotRun {
		shown, test, _ := strings.Cut(it.ID, "::")
		pkg, _, platform := history.SplitShown(shown)
		bad[platform+" "+gotest.ID(pkg, test)] = true
	}
	for _, it := range sum.Durations {
		key := it.Platform + " " + it.Test
		if it.Verdict == event.Pass || it.Verdict == event.Skip || it.Verdict == event.Flaky && !s.strict {
			s.done[key] = true
		} else {
			bad[key] = true
		}
	}
	maps.DeleteFunc(s.done, func(key string, _ bool) bool {
		_, id, _ := strings.Cut(key, " ")
		pkg, _, _ := strings.Cut(id, "::")
		return bad[key] || bad[" "+id] || s.broken[pkg]
	})
}

// stepKey is what the steps of a run are kept under: all that may change what a test comes to. A
// step with another key begins anew, so that it never passes over a test that has not passed with
// the same. The packages are not part of it: a test is the same one whoever else runs.
func stepKey(c *cli.Context, command *gotest.Command, toolchain gotest.Toolchain, specs []xspec.Spec) string {
	root, module := moduleAbove(command.Dir)
	key := []any{root, module, toolchain, command.BuildFlags, command.TestArgs, command.Exec, command.Cover, command.CoverMode, command.CoverPkg, command.Vet}
	for _, spec := range specs {
		key = append(key, spec.String())
	}
	for _, f := range runFlags() {
		if name := f.Names()[0]; !slices.Contains(indifferentFlags, name) {
			key = append(key, name, fmt.Sprint(c.Value(name)))
		}
	}
	for _, variable := range slices.Sorted(slices.Values(os.Environ())) {
		if name, _, _ := strings.Cut(variable, "="); !slices.Contains(sessionVariables, name) {
			key = append(key, variable)
		}
	}
	text, err := json.Marshal(key)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return string(text)
}

// indifferentFlags change nothing of what a test comes to: when and where it runs beside others,
// what is shown of it, and when a run gives up. What gateways there are stands in the specs.
var indifferentFlags = []string{
	"tx", "numprocesses", "maxprocesses", "min-nodes", "nodes-wait", "allow-missing", "max-worker-restart", "split-subtests",
	flagLastFailed, flagFailedFirst, flagStepwise, "replay", "shard", "shuffle", "maxfail", "x", "testrunuid", "slow",
	"format", "ci", "html", "trace-out", "otel", "junitxml", "junit-output", "junit-schema", "jsonfile", "events", "json", "durations",
	"timings", "timings-out", "no-history", "no-color", "debug", "pull", "pull-limit", "mirror-dir", "mirror-keep",
	"cache-dir", "cache-size", "rerun-fails", "packages",
}

// sessionVariables say in which terminal and shell xdist was started, which is another one each
// time, and nothing that tests look at.
var sessionVariables = []string{
	"_", "PWD", "OLDPWD", "SHLVL", "COLUMNS", "LINES", "WINDOWID", "TERM_SESSION_ID", "ITERM_SESSION_ID", "WT_SESSION",
	"TMUX", "TMUX_PANE", "STY", "WINDOW", "GPG_TTY", "SSH_TTY", "SSH_CLIENT", "SSH_CONNECTION", "SSH_AUTH_SOCK", "XDG_SESSION_ID", "TRACEPARENT", "TRACESTATE",
}

// finished reports whether a run has left nothing to do for a next step.
func finished(s event.Summary, err error) bool {
	return err == nil && event.RunEnded{Summary: s}.Outcome() == event.Passed && s.Counts[event.NotRun] == 0
}
