package gotest

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"
)

// actionsFlag makes the go command leave an account of what it has done. It has been there since Go
// 1.10 and is not documented.
const actionsFlag = "-debug-actiongraph"

// action is one thing that the go command has done. Its fields are those of
// cmd/go/internal/work.actionJSON.
type action struct {
	Mode    string
	Package string // plain import path, also of a test variant
	BuildID string
	Deps    []int // what had to be done before, by index
	Cmd     []string
}

// actions is the go command's account of a build.
type actions struct {
	all     []action
	links   map[string]int // of test binaries, by the import path of the generated main package
	reports map[string]int // what reports a package, by its import path
}

// readActions reads what `go test` wrote on actionsFlag.
func readActions(name string) (*actions, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read the account of the build: %w", err)
	}
	a := &actions{links: make(map[string]int), reports: make(map[string]int)}
	if err := json.Unmarshal(data, &a.all); err != nil {
		return nil, fmt.Errorf("read the account of the build: %w", err)
	}
	for i, act := range a.all {
		for _, dep := range act.Deps {
			if dep < 0 || dep >= len(a.all) {
				return nil, fmt.Errorf("read the account of the build: action %d needs %d of %d", i, dep, len(a.all))
			}
		}
		switch act.Mode {
		case "link":
			a.links[act.Package] = i
		case "test run":
			a.reports[act.Package] = i
		}
	}
	return a, nil
}

// linked returns what went into the test binary of a package, but for the generated main package.
func (a *actions) linked(path string) (made linked, ok bool) {
	i, ok := a.links[path+".test"]
	if !ok || len(a.all[i].Cmd) == 0 {
		return made, false
	}
	for _, word := range strings.Fields(strings.Join(a.all[i].Cmd, " ")) {
		if value, found := strings.CutPrefix(word, "-X=runtime.godebugDefault="); found {
			made.godebug = value
			break
		}
	}
	made.ids, ok = a.buildIDs(a.all[i].Deps)
	return made, ok
}

// compiled returns the build ids of a package that has no test binary and of all that it imports.
func (a *actions) compiled(path string) (made linked, ok bool) {
	i, ok := a.reports[path]
	if !ok {
		return made, false
	}
	needs := a.all[i].Deps
	if len(needs) == 1 && a.all[needs[0]].Mode == "test barrier" { // since Go 1.26 it stands before what the report needs
		needs = a.all[needs[0]].Deps
	}
	for _, dep := range needs { // the others are vet, and what the report has to wait for
		if act := a.all[dep]; act.Mode == "build" && act.Package == path {
			made.ids, ok = a.buildIDs(a.closure(dep))
			return made, ok
		}
	}
	return made, false
}

// closure returns action i and what had to be done before it.
func (a *actions) closure(i int) []int {
	seen := make([]bool, len(a.all))
	todo := []int{i}
	var found []int
	for len(todo) > 0 {
		next := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if !seen[next] {
			seen[next] = true
			found = append(found, next)
			todo = append(todo, a.all[next].Deps...)
		}
	}
	return found
}

// buildIDs returns those of the packages that were compiled among some actions. It is false when
// one has none, or two are of a name.
func (a *actions) buildIDs(among []int) (map[string]string, bool) {
	ids := make(map[string]string)
	for _, i := range among {
		act := a.all[i]
		if act.Mode != "build" || act.Package == "unsafe" {
			continue
		}
		if id, twice := ids[act.Package]; act.BuildID == "" || twice && id != act.BuildID {
			return nil, false
		}
		ids[act.Package] = act.BuildID
	}
	return ids, len(ids) > 0
}

// builtKey is the link key of what a build that began at a time made of a package, "" when it has
// none. main is the testmainSum of the generated main package, "" without test files. The key is
// that of a listing with Export of the same sources and settings. Where a source of the package or
// of another package of the listing that went into it, or a setting, changed since the build began
// there is none: vet may have seen another version than the compiler.
func (l *Listing) builtKey(p Package, main string, acts *actions, began time.Time) string {
	in := l.inputs
	listed := in.packages[p.ImportPath]
	if in.refused || p.Err != "" || listed == nil || p.NoTestFiles != (main == "") {
		return ""
	}
	made, ok := acts.compiled(p.ImportPath)
	if !p.NoTestFiles {
		made, ok = acts.linked(p.ImportPath)
	}
	if made.main = main; !ok {
		return ""
	}
	began = began.Add(-clockSlack)
	for _, name := range in.moduleFiles {
		if changeTime(name).After(began) {
			return ""
		}
	}
	for name := range made.ids {
		if in.packages[name] != nil && in.changeOf(name, false).After(began) {
			return ""
		}
	}
	if in.changeOf(p.ImportPath, false).After(began) {
		return "" // its external test alone may be in the binary
	}
	return in.hashKey(listed, made)
}
