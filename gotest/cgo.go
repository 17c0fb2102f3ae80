package gotest

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/xdist-go/xdist/gotest/test2json"
)

// needsCgo is why a package is Excluded.
const needsCgo = "needs cgo, which is off when code is cross-compiled or there is no C compiler"

// NoCgoError says that packages need cgo and the toolchain has it off, as it does by itself where
// it finds no C compiler.
type NoCgoError struct{ Packages []string }

func newNoCgoError(excluded []Package) *NoCgoError {
	e := new(NoCgoError)
	for _, p := range excluded {
		e.Packages = append(e.Packages, p.ImportPath)
	}
	return e
}

func (e *NoCgoError) Error() string {
	return fmt.Sprintf("build %s: needs cgo, and there is no C compiler", strings.Join(e.Packages, ", "))
}

// withCgo is what go list says when cgo is on, for which it needs no C compiler. The go command
// passes over what build constraints exclude; by comparison it is known what a run for the platform
// leaves out.
type withCgo struct {
	listed []listedPackage
	err    error
}

func listWithCgo(ctx context.Context, cfg ListConfig) withCgo {
	cfg.Export = false
	if cfg.Env == nil {
		cfg.Env = os.Environ()
	}
	cfg.Env = append(slices.Clip(cfg.Env), "CGO_ENABLED=1")
	listed, _, err := runGoList(ctx, cfg) // what it writes to its standard error, go list without cgo writes too
	return withCgo{listed, err}
}

// addExcluded books what is there with cgo only: whole packages into Excluded, test files as
// warnings.
func (l *Listing) addExcluded(with withCgo, without []listedPackage, overlay Overlay) {
	if with.err != nil {
		l.Warnings = append(l.Warnings, fmt.Sprintf("it is not known what is left out because it needs cgo: %v", with.err))
		return
	}
	index := make(map[string]int, len(l.Packages))
	for i, p := range l.Packages {
		index[p.ImportPath] = i
	}
	has := make(map[string]*listedPackage)
	for i := range without {
		if p := &without[i]; p.matched() {
			has[p.ImportPath] = p
		}
	}
	for i := range with.listed {
		p := &with.listed[i]
		if !p.matched() {
			continue
		}
		had := has[p.ImportPath]
		if had == nil {
			tests := TestFiles{Dir: p.Dir, Test: p.TestGoFiles, X: p.XTestGoFiles}
			l.Excluded = append(l.Excluded, Package{
				ImportPath: p.ImportPath, Dir: p.Dir, NoTestFiles: len(p.TestGoFiles)+len(p.XTestGoFiles) == 0,
				Items: Discover([]TestFiles{tests}, overlay)[0].Items,
			})
			continue
		}
		l.Packages[index[p.ImportPath]].NeedsCgo = len(p.CgoFiles) > 0
		if missing := missingFrom(had, p); len(missing) > 0 {
			l.Warnings = append(l.Warnings, fmt.Sprintf("%s: %s %s", p.ImportPath, strings.Join(missing, ", "), needsCgo))
		}
	}
}

// missingFrom are the test files of with that without lacks.
func missingFrom(without, with *listedPackage) []string {
	var missing []string
	for _, name := range slices.Concat(with.TestGoFiles, with.XTestGoFiles) {
		if !slices.Contains(without.TestGoFiles, name) && !slices.Contains(without.XTestGoFiles, name) {
			missing = append(missing, name)
		}
	}
	return missing
}

// excludedEvents are the events of a package that is left out.
func excludedEvents(path string) []test2json.Event {
	now, zero := time.Now(), 0.0
	return []test2json.Event{
		{Time: now, Action: test2json.ActionStart, Package: path},
		{Time: now, Action: test2json.ActionOutput, Package: path, Output: fmt.Sprintf("?   \t%s\t[%s]\n", path, needsCgo)},
		{Time: now, Action: test2json.ActionSkip, Package: path, Elapsed: &zero},
	}
}
