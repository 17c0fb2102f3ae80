package main

import (
	"maps"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/urfave/cli/v2"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/scheduler/event"
	"github.com/xdist-go/xdist/xspec"
)

// A test has passed a step if it did so everywhere, and its package did not fail by itself.
func TestStepsLearn(t *testing.T) {
	fails := func(pkg, test string, again bool) event.Test {
		return event.Test{Event: test2json.Event{Action: test2json.ActionFail, Package: pkg, Test: test}, Again: again}
	}
	item := func(shown, pkg, test, platform string, v event.Verdict) event.ItemSeconds {
		return event.ItemSeconds{ID: shown + "::" + test, Test: pkg + "::" + test, Platform: platform, Verdict: v}
	}
	for _, tt := range []struct {
		name   string
		strict bool
		done   []string // before
		events []event.Event
		sum    event.Summary
		want   []string
	}{
		{
			name: "verdicts",
			done: []string{"a p::TestOld", "a p::TestFail"},
			sum: event.Summary{Durations: []event.ItemSeconds{
				item("p", "p", "TestPass", "a", event.Pass), item("p", "p", "TestSkip", "a", event.Skip), item("p", "p", "TestFlaky", "a", event.Flaky),
				item("p", "p", "TestFail", "a", event.Fail), item("p", "p", "TestCrash", "a", event.Crash),
			}},
			want: []string{"a p::TestFlaky", "a p::TestOld", "a p::TestPass", "a p::TestSkip"},
		},
		{
			name: "flaky is no pass", strict: true,
			sum: event.Summary{Durations: []event.ItemSeconds{item("p", "p", "TestFlaky", "a", event.Flaky)}},
		},
		{
			name: "each: one gateway failed, another did not run it",
			sum: event.Summary{
				Durations: []event.ItemSeconds{
					item("p [gw0]", "p", "TestA", "a", event.Pass), item("p [gw1]", "p", "TestA", "a", event.Fail),
					item("p [gw0]", "p", "TestB", "a", event.Pass), item("p [gw0]", "p", "TestC", "a", event.Pass), item("p [gw1]", "p", "TestC", "a", event.Pass),
				},
				NotRun: []event.NotRunItem{{ID: "p [gw1]::TestB"}},
			},
			want: []string{"a p::TestC"},
		},
		{
			name: "platforms are apart",
			sum: event.Summary{
				Durations: []event.ItemSeconds{item("p [x/a]", "p", "TestA", "x/a", event.Pass), item("p [x/b]", "p", "TestA", "x/b", event.Fail), item("p [x/a]", "p", "TestB", "x/a", event.Pass)},
				NotRun:    []event.NotRunItem{{ID: "p [x/b]::TestB"}},
			},
			want: []string{"x/a p::TestA", "x/a p::TestB"},
		},
		{
			name:   "a package fails by itself",
			done:   []string{"a p::TestOld", "a q::TestOld"},
			events: []event.Event{fails("p", "TestAgain", true), fails("p", "TestAgain/sub", false), fails("p", "", false), fails("q", "TestBad", false), fails("q", "", false)},
			sum:    event.Summary{Durations: []event.ItemSeconds{item("p", "p", "TestA", "a", event.Pass), item("q", "q", "TestA", "a", event.Pass)}},
			want:   []string{"a q::TestA", "a q::TestOld"},
		},
	} {
		s := &steps{strict: tt.strict, done: map[string]bool{}, failing: map[string]bool{}, broken: map[string]bool{}}
		for _, id := range tt.done {
			s.done[id] = true
		}
		for _, e := range tt.events {
			if err := s.Handle(e); err != nil {
				t.Fatal(err)
			}
		}
		s.learn(tt.sum)
		if diff := cmp.Diff(tt.want, slices.Sorted(maps.Keys(s.done))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// Steps with other flags, gateways or variables are other steps; what only shows a run is not.
func TestStepKey(t *testing.T) {
	dir := t.TempDir()
	key := func(specs, own, args []string) (key string) {
		app := newApp(t.Output(), t.Output())
		app.Action = func(c *cli.Context) error {
			command, err := gotest.ParseCommand(append([]string{"-C=" + dir}, args...), "")
			if err != nil {
				return err
			}
			all, err := xspec.Expand(specs, nil)
			key = stepKey(c, command, gotest.Toolchain{}, all)
			return err
		}
		if err := app.Run(append([]string{"xdist"}, own...)); err != nil {
			t.Fatal(err)
		}
		return key
	}
	popen := []string{"popen"}
	usual := key(popen, nil, nil)
	for _, same := range []struct{ own, args []string }{
		{args: []string{"./..."}},
		{args: []string{"-v"}},
		{own: []string{"--junitxml", filepath.Join(dir, "x.xml"), "--maxfail", "3", "--shuffle"}},
	} {
		if key(popen, same.own, same.args) != usual {
			t.Errorf("%q and %q make another key", same.own, same.args)
		}
	}
	t.Setenv("SHLVL", "17")
	if key(popen, nil, nil) != usual {
		t.Error("the depth of the shell makes another key")
	}
	seen := map[string]string{usual: "nothing"}
	other := func(name, key string) {
		if was := seen[key]; was != "" {
			t.Errorf("%s and %s have one key", name, was)
		}
		seen[key] = name
	}
	for _, args := range [][]string{
		{"-tags=x"}, {"-run=TestX/sub"}, {"-skip=TestX"}, {"-race"}, {"-short"}, {"-count=2"}, {"-cpu=1,2"}, {"-exec=wine"}, {"-cover"}, {"-covermode=atomic"},
		{"-gcflags=all=-N"}, {".", "-args", "-x"}, {".", "-args", "-x", "y"}, {".", "-own=y"}, {"-timeout=1s"},
	} {
		other(args[len(args)-1], key(popen, nil, args))
	}
	for _, own := range [][]string{{"--dist", "each"}, {"--reruns", "2"}, {"--fail-on-flaky"}, {"--test-timeout", "1s"}, {"--rsyncdir", "x"}} {
		other(own[0], key(popen, own, nil))
	}
	for _, specs := range [][]string{{"2*popen"}, {"popen//env:X=1"}, {"popen//goarch=arm64"}} {
		other(specs[0], key(specs, nil, nil))
	}
	t.Setenv("DATABASE", "there")
	other("a variable", key(popen, nil, nil))
	dir = t.TempDir()
	other("another directory", key(popen, nil, nil))
}
