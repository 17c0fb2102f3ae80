package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/xdist-go/xdist/integration/internal/compare"
)

// repetitions is how often a package is repeated at most to show that a test is flaky.
const repetitions = 5

// asker runs `go test -json -count=1` with the arguments in the module.
type asker func(ctx context.Context, args ...string) (*compare.Model, error)

// finding is a difference with its cause.
type finding struct {
	compare.Difference
	name  string
	cause string // in words; "unknown" when nothing was shown
	shown bool   // further runs of go test have shown the cause
}

// explain looks for the cause of each difference. noGo says that there was no go command where the
// tests ran under xdist.
func explain(ctx context.Context, ask asker, want, got *compare.Model, diffs []compare.Difference, noGo bool) ([]finding, error) {
	e := explainer{ask: ask, noGo: noGo, alone: map[string]*compare.Model{}, repeated: map[string][]*compare.Model{}}
	shown := map[string][]bool{} // by package: was each of its tests' differences explained
	findings := make([]finding, len(diffs))
	for i, d := range diffs {
		findings[i] = finding{Difference: d, name: strings.TrimSuffix(d.Package+"::"+d.Test, "::") + ": " + d.What, cause: "unknown"}
		if d.Test == "" || d.Package == "" {
			continue
		}
		if err := e.test(ctx, &findings[i], got); err != nil {
			return nil, err
		}
		shown[d.Package] = append(shown[d.Package], findings[i].shown)
	}
	for i := range findings {
		f := &findings[i]
		if f.Test != "" || f.What != "outcome" {
			continue
		}
		if all(shown[f.Package]) {
			f.cause, f.shown = "follows from its tests", true
			continue
		}
		if err := e.flakyPackage(ctx, f); err != nil {
			return nil, err
		}
	}
	return findings, nil
}

func all(bools []bool) bool {
	for _, b := range bools {
		if !b {
			return false
		}
	}
	return len(bools) > 0
}

// explainer remembers runs, as many differences may ask for the same.
type explainer struct {
	ask      asker
	noGo     bool
	alone    map[string]*compare.Model
	repeated map[string][]*compare.Model
}

// needsGo finds tests that do not pass for want of the go command: without one they do under go
// test what they did under xdist, and with one they do not.
func (e *explainer) needsGo(ctx context.Context, f *finding, saw string) (bool, error) {
	if !e.noGo || saw == "pass" {
		return false, nil
	}
	without, err := e.runAlone(ctx, f.Package, f.Test, "-exec", goless())
	if err != nil {
		return false, err
	}
	with, err := e.runAlone(ctx, f.Package, f.Test)
	if err != nil {
		return false, err
	}
	top, _, _ := strings.Cut(f.Test, "/")
	if outcome(without, f.Package, top) == "none" || outcome(without, f.Package, f.Test) != saw || outcome(with, f.Package, f.Test) == saw {
		return false, nil
	}
	f.cause, f.shown = fmt.Sprintf("it needs the go command: `go test -exec '%s'` gives %s, too", goless(), saw), true
	return true, nil
}

// test looks for the cause of a test's difference. What it did under xdist it also does in one of
// several runs of its package: flakiness. Never there, but alone: order dependence.
func (e *explainer) test(ctx context.Context, f *finding, got *compare.Model) error {
	saw := "none"
	if p := got.Packages[f.Package]; p != nil {
		saw = p.Tests[f.Test].Outcome()
	}
	if found, err := e.needsGo(ctx, f, saw); found || err != nil {
		return err
	}
	runs, at, err := e.repeatUntil(ctx, f.Package, func(m *compare.Model) bool { return outcome(m, f.Package, f.Test) == saw })
	if err != nil {
		return err
	}
	alone, err := e.runAlone(ctx, f.Package, f.Test)
	if err != nil {
		return err
	}
	switch {
	case namesChange(runs, f.Package, f.Test):
		f.cause, f.shown = "flakiness: the names of its siblings change from one run of `go test` to the next", true
	case at >= 0:
		f.cause, f.shown = fmt.Sprintf("flakiness: run %d of `go test` of its package gives %s, too", at+1, saw), true
	case e.otherwiseNamed(ctx, f, alone):
		f.cause, f.shown = "an address in the binary is part of its name: `go test -trimpath` names its siblings otherwise, too", true
	case outcome(alone, f.Package, f.Test) == saw && saw != "none":
		f.cause, f.shown = fmt.Sprintf("order dependence: %d runs of `go test` of its package never give %s, `go test -run` of it alone does", len(runs), saw), true
	}
	return nil
}

// namesChange reports whether the subtest is one of those that no two runs name alike, because an
// address or a random number is part of the name.
func namesChange(runs []*compare.Model, pkg, test string) bool {
	parent, _, isSub := cutLast(test)
	for i, m := range runs {
		if outcome(m, pkg, test) != "none" {
			return false
		}
		if i > 0 && isSub && siblings(m, pkg, parent) != siblings(runs[i-1], pkg, parent) {
			return true
		}
	}
	return false
}

// otherwiseNamed reports whether the names of the subtest and its siblings depend on where things
// are in the binary, which is another one when its sources are elsewhere.
func (e *explainer) otherwiseNamed(ctx context.Context, f *finding, alone *compare.Model) bool {
	parent, _, isSub := cutLast(f.Test)
	if !e.noGo || !isSub {
		return false
	}
	moved, err := e.runAlone(ctx, f.Package, f.Test, "-trimpath")
	if err != nil || outcome(alone, f.Package, f.Test) != "none" && outcome(moved, f.Package, f.Test) != "none" {
		return false
	}
	return siblings(moved, f.Package, parent) != "" && siblings(moved, f.Package, parent) != siblings(alone, f.Package, parent)
}

func cutLast(test string) (parent, name string, found bool) {
	i := strings.LastIndex(test, "/")
	if i < 0 {
		return test, "", false
	}
	return test[:i], test[i+1:], true
}

// siblings are the names of the tests below a test.
func siblings(m *compare.Model, pkg, parent string) string {
	var names []string
	if p := m.Packages[pkg]; p != nil {
		for name := range p.Tests {
			if strings.HasPrefix(name, parent+"/") {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return strings.Join(names, "\n")
}

func (e *explainer) flakyPackage(ctx context.Context, f *finding) error {
	_, at, err := e.repeatUntil(ctx, f.Package, func(m *compare.Model) bool {
		p := m.Packages[f.Package]
		return p != nil && p.Outcome == f.Got
	})
	if at >= 0 {
		f.cause, f.shown = fmt.Sprintf("flakiness: run %d of `go test` of it gives %s, too", at+1, f.Got), true
	}
	return err
}

// outcome of a test in a model, "none" when it is not there.
func outcome(m *compare.Model, pkg, test string) string {
	if p := m.Packages[pkg]; p != nil {
		return p.Tests[test].Outcome()
	}
	return "none"
}

// goless is a command that runs a test binary where no go command is to be found, neither by PATH
// nor by runtime.GOROOT.
func goless() string {
	var dirs []string
	for _, dir := range []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"} {
		if _, err := os.Stat(filepath.Join(dir, "go")); err != nil {
			dirs = append(dirs, dir)
		}
	}
	return "env GOROOT=/nowhere PATH=" + strings.Join(dirs, string(filepath.ListSeparator))
}

// runAlone runs the top-level test that the test belongs to.
func (e *explainer) runAlone(ctx context.Context, pkg, test string, flags ...string) (*compare.Model, error) {
	top, _, _ := strings.Cut(test, "/")
	key := strings.Join(append(flags, pkg+"::"+top), " ")
	if m := e.alone[key]; m != nil {
		return m, nil
	}
	m, err := e.ask(ctx, append(flags[:len(flags):len(flags)], "-run", "^"+regexp.QuoteMeta(top)+"$", pkg)...)
	if err != nil {
		return nil, fmt.Errorf("run %s alone: %w", key, err)
	}
	e.alone[key] = m
	return m, nil
}

// repeatUntil runs the package until a run is found, at most so often as repetitions says, and
// returns all runs of it so far and the index of the first one found, -1 without any. At least two
// runs are returned.
func (e *explainer) repeatUntil(ctx context.Context, pkg string, found func(*compare.Model) bool) ([]*compare.Model, int, error) {
	for {
		runs := e.repeated[pkg]
		at := slices.IndexFunc(runs, found)
		if len(runs) >= repetitions || at >= 0 && len(runs) >= 2 {
			return runs, at, nil
		}
		m, err := e.ask(ctx, pkg)
		if err != nil {
			return nil, -1, fmt.Errorf("repeat %s: %w", pkg, err)
		}
		e.repeated[pkg] = append(runs, m)
	}
}
