package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/reporters/failure"
)

// testID is a test that the command line names as reports do: importpath::TestName/sub,
// dir/of/package::TestName, or dir/of/package.TestName.
type testID struct {
	path string // an import path, or a directory that begins with ./
	test string // with its subtests
}

// dotted is the form of the account: a directory, a dot and a test.
var dotted = regexp.MustCompile(`^(.*?[^./])\.((?:Test|Example|Fuzz)(?:[^a-z./][^./]*)?(?:/.*)?)$`)

// testName begins with what package testing looks for.
var testName = regexp.MustCompile(`^(?:Test|Example|Fuzz|Benchmark)(?:$|[^a-z])`)

// parseID reads an argument that stands where a package may, ok is false when it is no id.
func parseID(dir, arg string) (id testID, ok bool) {
	if path, test, found := strings.Cut(arg, "::"); found && path != "" && testName.MatchString(test) {
		return testID{placed(dir, path), test}, true
	}
	if m := dotted.FindStringSubmatch(arg); m != nil {
		path := placed(dir, m[1])
		if _, err := os.Stat(filepath.Join(dir, arg)); err != nil && (path != m[1] || strings.Contains(path, "/")) {
			return testID{path, m[2]}, true
		}
	}
	return testID{}, false
}

// placed is a path as the go command takes it: what is a directory here begins with ./ there, and
// the name of the directory itself is a dot.
func placed(dir, path string) string {
	local := strings.TrimPrefix(path, "./")
	if info, err := os.Stat(filepath.Join(dir, local)); err == nil && info.IsDir() && filepath.IsLocal(local) {
		return "./" + local
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return path
	}
	module, err := modulePath(filepath.Join(abs, "go.mod"))
	if filepath.Base(abs) == path || err == nil && failure.Base(module) == path {
		return "./."
	}
	return path
}

// takeIDs replaces the ids among go test's arguments by their packages and a -run for their tests.
// From the first flag on that is the test binary's own, nothing is an id, as nothing is a package
// for go test. Ids and other packages do not go together: a -run would be for all of them.
func takeIDs(args []string) (rest []string, ids []testID, err error) {
	dir := chdirOf(args)
	running, other, at := false, "", len(args)
	for i := 0; i < len(args); i++ {
		arg := args[i]
		name, _, hasValue := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		switch {
		case arg == "-args" || arg == "--args" || strings.HasPrefix(arg, "-") && !gotest.FlagKnown(strings.TrimPrefix(name, "test.")):
			at = len(rest)
			rest = append(rest, args[i:]...)
			i = len(args)
		case strings.HasPrefix(arg, "-"):
			running = running || name == "run" || name == "test.run"
			rest = append(rest, arg)
			if !hasValue && gotest.FlagTakesValue(name) && i+1 < len(args) {
				i++
				rest = append(rest, args[i])
			}
		default:
			id, ok := parseID(dir, arg)
			if !ok {
				rest, other = append(rest, arg), arg
				continue
			}
			ids = append(ids, id)
			if !slices.Contains(rest, id.path) {
				rest = append(rest, id.path)
			}
		}
	}
	switch {
	case len(ids) == 0:
		return args, nil, nil
	case other != "":
		return nil, nil, fmt.Errorf("%s and the package %s exclude each other: name tests only, or packages with -run", ids[0], other)
	case running:
		return nil, nil, fmt.Errorf("%s and -run exclude each other: both say which tests to run", ids[0])
	}
	return slices.Insert(rest, min(at, len(rest)), "-run="+runPattern(ids)), ids, nil
}

func (id testID) String() string { return id.path + "::" + id.test }

// of reports whether the id's package is this one. dir is what its path is relative to.
func (id testID) of(dir string, p *gotest.Package) bool {
	path := filepath.FromSlash(id.path)
	if id.path == p.ImportPath {
		return true
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	return path == p.Dir || sameFile(path, p.Dir)
}

func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// runPattern matches these tests, and no others of their packages.
func runPattern(ids []testID) string {
	var alternatives []string
	for _, id := range ids {
		var levels []string
		for level := range strings.SplitSeq(id.test, "/") {
			levels = append(levels, "^"+regexp.QuoteMeta(level)+"$")
		}
		if pattern := strings.Join(levels, "/"); !slices.Contains(alternatives, pattern) {
			alternatives = append(alternatives, pattern)
		}
	}
	return strings.Join(alternatives, "|")
}

// chosenIDs leaves of packages the tests that ids name: -run may fit others of them, too. A test
// that does not exist is an error: a run without it would look as if it had passed.
func chosenIDs(ids []testID, dir string, packages []gotest.Package) ([]gotest.Package, error) {
	found := make([]bool, len(ids))
	for i := range packages {
		p, all := &packages[i], len(packages[i].Items)
		var mine []int // of ids
		for n, id := range ids {
			if id.of(dir, p) {
				mine = append(mine, n)
				found[n] = found[n] || p.Err != "" // which is told
			}
		}
		p.Items = slices.DeleteFunc(slices.Clone(p.Items), func(it gotest.Item) bool {
			keep := false
			for _, n := range mine {
				if top, _, _ := strings.Cut(ids[n].test, "/"); top == it.Name {
					found[n], keep = true, true
				}
			}
			return !keep
		})
		p.Partial = p.Partial || len(p.Items) < all
	}
	if n := slices.Index(found, false); n >= 0 {
		return nil, usageError(fmt.Errorf("%s: there is no such test", ids[n]))
	}
	return packages, nil
}
