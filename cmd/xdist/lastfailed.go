package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/history"
	"github.com/xdist-go/xdist/internal/cmdline"
)

// The flags that choose among tests, or order them, by what earlier runs of them came to.
const (
	flagLastFailed  = "last-failed"
	flagFailedFirst = "failed-first"
	flagStepwise    = "stepwise"
)

// repetition is what these flags ask for. The zero value has all tests run, in any order.
type repetition struct {
	book *history.Book
	flag string // flagLastFailed or flagStepwise chooses, flagFailedFirst orders; "" is none
	step *steps // of flagStepwise
}

// newRepetition reads the flags. key is what the steps of flagStepwise are kept under.
func newRepetition(c *cli.Context, book *history.Book, key string) (repetition, error) {
	r := repetition{book: book}
	for _, flag := range []string{flagLastFailed, flagFailedFirst, flagStepwise} {
		if !c.Bool(flag) {
			continue
		}
		if r.flag != "" {
			return r, usageError(fmt.Errorf("--%s and --%s exclude each other: each says which tests run, or which run first", r.flag, flag))
		}
		r.flag = flag
	}
	if r.flag == "" {
		return r, nil
	}
	if other := notRepeatable(c); other != "" {
		return r, usageError(fmt.Errorf("--%s and --%s exclude each other: what failed last is what the history of this machine has of all tests", r.flag, other))
	}
	if c.IsSet("shuffle") && r.flag != flagLastFailed {
		return r, usageError(fmt.Errorf("--%s and --shuffle exclude each other: both say what runs first", r.flag))
	}
	if c.String("dist") == "worksteal" && r.flag != flagLastFailed {
		return r, usageError(fmt.Errorf("--%s and --dist worksteal exclude each other: there each gateway runs its share in the order of the collection", r.flag))
	}
	if r.flag == flagStepwise {
		var err error
		if r.step, err = openSteps(c, key); err != nil {
			return r, err
		}
	}
	return r, nil
}

// notRepeatable names the flag of a run that these cannot be given with, "" when there is none.
func notRepeatable(c *cli.Context) string {
	for _, flag := range []string{"shard", "replay", "no-history"} {
		if c.IsSet(flag) && c.Value(flag) != false {
			return flag
		}
	}
	return ""
}

// narrow reports whether it may leave tests out.
func (r repetition) narrow() bool { return r.flag == flagLastFailed || r.flag == flagStepwise }

// first reports whether what failed last is given out first.
func (r repetition) first() bool { return r.flag == flagFailedFirst || r.flag == flagStepwise }

// choose returns what is to run of the packages, how many tests are left out, and a line for
// people.
func (r repetition) choose(platform string, packages []gotest.Package) (chosen []gotest.Package, leftOut int, text string) {
	all := 0
	for _, p := range packages {
		all += len(p.Items)
	}
	switch r.flag {
	case flagLastFailed:
		chosen, kept := r.keep(platform, packages, func(p *gotest.Package, it gotest.Item) bool { return r.failed(platform, p, it) })
		if len(chosen) == 0 {
			return packages, 0, "--last-failed: no test is known to have failed when it ran last: all run\n"
		}
		return chosen, all - kept, fmt.Sprintf("--last-failed: %d of %s, in %d of %s\n", kept, plural(all, "test"), len(chosen), plural(len(packages), "package"))
	case flagStepwise:
		// What failed when it ran last is never left out, whatever a step before it has seen.
		chosen, kept := r.keep(platform, packages, func(p *gotest.Package, it gotest.Item) bool {
			return !r.step.passed(platform, gotest.ID(p.ImportPath, it.Name)) || r.failed(platform, p, it)
		})
		if kept == all || kept == 0 {
			return r.front(platform, packages), 0, "--stepwise: no step came before this one with these flags and this environment: all tests run, until one fails\n"
		}
		return r.front(platform, chosen), all - kept, fmt.Sprintf("--stepwise: %d of %s passed in the steps before and are left out\n", all-kept, plural(all, "test"))
	case flagFailedFirst:
		failed := 0
		for i := range packages {
			for _, it := range packages[i].Items {
				if r.failed(platform, &packages[i], it) {
					failed++
				}
			}
		}
		return r.front(platform, packages), 0, fmt.Sprintf("--failed-first: %d of %s failed when they ran last\n", failed, plural(all, "test"))
	}
	return packages, 0, ""
}

// failed reports whether a test failed or crashed when the history saw it last, or its package did
// by itself.
func (r repetition) failed(platform string, p *gotest.Package, it gotest.Item) bool {
	return r.book.Package(platform, p.ImportPath).Broken || r.book.LastFailed(platform, p.ImportPath, it.Name)
}

// keep leaves of the packages the tests that are wanted, and what did not build or cannot be
// listed.
func (r repetition) keep(platform string, packages []gotest.Package, wanted func(*gotest.Package, gotest.Item) bool) (chosen []gotest.Package, kept int) {
	for _, p := range packages {
		if r.book.Package(platform, p.ImportPath).Broken || p.Err != "" {
			chosen = append(chosen, p)
			kept += len(p.Items)
			continue
		}
		var items []gotest.Item
		for _, it := range p.Items {
			if wanted(&p, it) {
				items = append(items, it)
			}
		}
		if len(items) > 0 {
			p.Partial = p.Partial || len(items) < len(p.Items)
			p.Items = items
			chosen = append(chosen, p)
			kept += len(items)
		}
	}
	return chosen, kept
}

// front puts packages first that have tests which failed last: they are built in this order.
func (r repetition) front(platform string, packages []gotest.Package) []gotest.Package {
	has := func(p gotest.Package) bool {
		return slices.ContainsFunc(p.Items, func(it gotest.Item) bool { return r.failed(platform, &p, it) })
	}
	var first, others []gotest.Package
	for _, p := range packages {
		if has(p) {
			first = append(first, p)
		} else {
			others = append(others, p)
		}
	}
	return append(first, others...)
}

// againCommand is the command line that runs what failed in a run with these arguments, or its next
// step.
func againCommand(args []string, stepwise bool) string {
	split := splitArgs(append([]string{"xdist"}, args...))
	own, again := ownFlags(), []string{"xdist", "--" + flagLastFailed}
	if stepwise {
		again[1] = "--" + flagStepwise
	}
	rest := split[1:]
	if rest[0] == "ui" {
		rest = rest[1:]
	}
	for len(rest) > 0 && rest[0] != "--" { // which splitArgs puts in front of go test's part
		name, _, hasValue := strings.Cut(strings.TrimLeft(rest[0], "-"), "=")
		words := 1
		if own[name] && !hasValue {
			words = min(2, len(rest)-1)
		}
		if !slices.Contains([]string{flagLastFailed, "lf", flagFailedFirst, "ff", flagStepwise, "sw", flagKeep}, name) {
			again = append(again, rest[:words]...)
		}
		rest = rest[words:]
	}
	bare := append(slices.Clone(again), rest[min(1, len(rest)):]...)
	if twice := splitArgs(bare); !slices.Equal(twice, append(again, rest...)) {
		bare = append(again, rest...) // what is go test's would be taken for xdist's
	}
	return cmdline.Join(bare)
}
