package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/history"
	"github.com/xdist-go/xdist/scheduler"
	"github.com/xdist-go/xdist/xspec"
)

// replay is what --replay asks for. A nil one is none, and changes nothing.
type replay struct {
	run      history.RunSummary
	gateways []string // of that run, in the order of their names
	units    map[string][]history.UnitRun
}

// openReplay looks up the run of --replay in the history of the module of the current directory.
func openReplay(c *cli.Context) (*replay, error) {
	text := c.String("replay")
	if !c.IsSet("replay") {
		return nil, nil
	}
	name, gateway := text, ""
	if i := strings.LastIndex(text, ":"); i >= 0 {
		name, gateway = text[:i], text[i+1:]
	}
	if name == "" || gateway == "" && name != text {
		return nil, fmt.Errorf("--replay %q: want RUN or RUN:GATEWAY, such as last:gw0", text)
	}
	for _, other := range []string{"shard", "shuffle"} {
		if c.IsSet(other) {
			return nil, fmt.Errorf("--replay and --%s exclude each other: a replay runs what was run, in that order", other)
		}
	}
	if c.IsSet("timings-out") {
		return nil, errors.New("--replay and --timings-out exclude each other: nothing is learned from a replay")
	}
	book, err := openBook(c, ".")
	if err != nil {
		return nil, fmt.Errorf("--replay %s: %w", text, err)
	}
	r := &replay{units: make(map[string][]history.UnitRun)}
	if r.run, err = book.FindRun(name); err != nil {
		return nil, fmt.Errorf("--replay %s: %w", text, err)
	}
	units, err := book.Replay(r.run.ID, gateway)
	if err != nil {
		return nil, fmt.Errorf("--replay %s: %w", text, err)
	}
	for _, u := range units {
		if u.Platform != units[0].Platform && u.Platform != "" && units[0].Platform != "" {
			return nil, fmt.Errorf("--replay %s: its gateways were of several platforms, %s and %s: name one of them, %s:GATEWAY", text, units[0].Platform, u.Platform, name)
		}
		r.units[u.Gateway] = append(r.units[u.Gateway], u)
	}
	r.gateways = slices.SortedFunc(maps.Keys(r.units), func(a, b string) int { return cmp.Or(len(a)-len(b), strings.Compare(a, b)) })
	return r, nil
}

// args are the packages and flags of the run that is replayed, where the user gave none. A -C is
// left out: its directory, or one of its module, is the current one.
func (r *replay) args(given []string) []string {
	if r == nil || len(given) > 0 {
		return given
	}
	args := r.run.Command
	switch {
	case len(args) > 1 && (args[0] == "-C" || args[0] == "--C"):
		return args[2:]
	case len(args) > 0 && (strings.HasPrefix(args[0], "-C=") || strings.HasPrefix(args[0], "--C=")):
		return args[1:]
	}
	return args
}

// specs are those of the gateways, one for each that is replayed. Without --tx and -n they are
// processes of this machine with the names that they had.
func (r *replay) specs(c *cli.Context, specs []xspec.Spec, dist scheduler.Dist) ([]xspec.Spec, error) {
	if r == nil {
		return specs, nil
	}
	if dist != scheduler.DistLoad {
		return nil, fmt.Errorf("--replay works with --dist load only, and this is %s", dist)
	}
	if !c.IsSet("tx") && !c.IsSet("numprocesses") {
		var texts []string
		for _, id := range r.gateways {
			texts = append(texts, "popen//id="+id)
		}
		return xspec.Expand(texts, nil)
	}
	if len(specs) != len(r.gateways) {
		return nil, fmt.Errorf("--replay %s: %s ran there and %s for them here: want as many, or none", c.String("replay"), strings.Join(r.gateways, ", "), countAre(len(specs), "gateway"))
	}
	for _, s := range specs {
		if s.Listen != "" {
			return nil, &xspec.Error{Spec: s.String(), Field: "listen=" + s.Listen, Reason: "--replay has to know its gateways"}
		}
		if s.GOOS != specs[0].GOOS || s.GOARCH != specs[0].GOARCH || s.Go != specs[0].Go || s.BuildRemote != specs[0].BuildRemote {
			return nil, &xspec.Error{Spec: s.String(), Field: "type", Reason: "--replay has one platform for all gateways"}
		}
	}
	return specs, nil
}

func countAre(n int, noun string) string {
	if n == 1 {
		return "1 " + noun + " is"
	}
	return plural(n, noun) + " are"
}

// command has the replay's packages built and no others, unless the user has named some.
func (r *replay) command(command *gotest.Command, given []string) error {
	if r == nil {
		return nil
	}
	if command.Grain() == gotest.Alone {
		return errors.New("--replay runs tests: it cannot be had with -bench, -fuzz and profiles")
	}
	var packages []string
	for _, gateway := range r.gateways {
		for _, u := range r.units[gateway] {
			if !slices.Contains(packages, u.Package) {
				packages = append(packages, u.Package)
			}
		}
	}
	if (len(given) == 0 || len(command.Packages) == 0) && !slices.Contains(packages, "command-line-arguments") {
		command.Packages = packages
	}
	for _, gateway := range r.gateways {
		units, err := unitsLeft(command, r.units[gateway])
		if err != nil {
			return err
		}
		r.units[gateway] = units
	}
	return nil
}

// unitsLeft is what -run and -skip leave of units.
func unitsLeft(command *gotest.Command, units []history.UnitRun) ([]history.UnitRun, error) {
	var left []history.UnitRun
	for _, u := range units {
		var tests []string
		for _, test := range u.Tests {
			top, _, _ := strings.Cut(test, "/")
			items, err := command.Filter([]gotest.Item{{Name: top}})
			if err != nil {
				return nil, err
			}
			if len(items) > 0 {
				tests = append(tests, test)
			}
		}
		if len(tests) > 0 || len(u.Tests) == 0 {
			u.Tests = tests
			left = append(left, u)
		}
	}
	return left, nil
}

// queues are the units in the order of the specs.
func (r *replay) queues() [][]history.UnitRun {
	if r == nil {
		return nil
	}
	var queues [][]history.UnitRun
	for _, gateway := range r.gateways {
		queues = append(queues, r.units[gateway])
	}
	return queues
}
