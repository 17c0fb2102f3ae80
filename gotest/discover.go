package gotest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"unicode"
	"unicode/utf8"
)

// Kind is what kind of function an Item is.
type Kind string

const (
	KindTest    Kind = "test"
	KindFuzz    Kind = "fuzz" // its seeds are what a run without -fuzz runs
	KindExample Kind = "example"
)

// Item is one top-level function that a test binary runs and reports by its name.
type Item struct {
	Name       string
	Kind       Kind
	File       string      `json:",omitzero"` // that declares it, without its directory; "" when not known
	Directives *Directives `json:",omitzero"` // nil when it has none
}

// Testmain is what a test binary was told to run by the main package that cmd/go generates for it.
type Testmain struct {
	Items       []Item   // in the order in which the binary runs them: tests, fuzz targets, examples
	Benchmarks  []string // in their order
	HasTestMain bool     // the package has a func TestMain(*testing.M)
}

// TestFiles are the files that a package's tests are found in. Names are relative to Dir.
type TestFiles struct {
	Dir  string
	Test []string // of the package itself
	X    []string // of the package's _test package

	// Known says that the names of the tests are known from elsewhere, so that directives and the
	// files that tests are in are all that is wanted. Kinds, benchmarks and TestMain need not be
	// right then.
	Known bool
}

// Discovery is what Discover found in one package, or why cmd/go would refuse to build its test
// binary. Err's text is cmd/go's.
type Discovery struct {
	Testmain
	Serial    bool    // a directive at a package clause, or of any of the tests, says that the tests need each other
	Undivided string  // why all tests must run in one process, "" when nothing says so: "reads os.Args"
	Misplaced []error // directives that mean nothing, each a *DirectiveError
	Err       error
}

// Discover finds the tests of packages in their sources, by the rules by which cmd/go generates
// _testmain.go (cmd/go/internal/load.loadTestFuncs and go/doc.Examples). It returns one Discovery
// for each package, in their order. It reads the files with as many goroutines as there are
// processors to use, and has joined them when it returns.
func Discover(packages []TestFiles, overlay Overlay) []Discovery {
	var sources []testSource
	for _, p := range packages {
		for _, name := range slices.Concat(p.Test, p.X) {
			sources = append(sources, testSource{filepath.Join(p.Dir, name), p.Known})
		}
	}
	files := parseTestFiles(sources, overlay)
	found := make([]Discovery, len(packages))
	for i, p := range packages {
		n := len(p.Test) + len(p.X)
		found[i] = mergeTestFiles(files[:n])
		files = files[n:]
	}
	return found
}

// testSource is a file to be read. See TestFiles.Known.
type testSource struct {
	name  string
	known bool
}

// parseTestFiles parses files at once and returns them in the same order.
func parseTestFiles(sources []testSource, overlay Overlay) []testFile {
	files := make([]testFile, len(sources))
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(len(sources), runtime.GOMAXPROCS(0)) {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(sources); i = int(next.Add(1)) - 1 {
				files[i] = parseTestFile(sources[i], overlay)
			}
		})
	}
	workers.Wait()
	return files
}

// mergeTestFiles makes the binary's lists of those of its files. The first error in file order is
// the one that counts.
func mergeTestFiles(files []testFile) Discovery {
	var d Discovery
	var fuzz, examples []Item
	for _, f := range files {
		if f.testMain && d.HasTestMain && d.Err == nil {
			d.Err = errTwoTestMains
		}
		if d.Err == nil {
			d.Err = f.err
		}
		d.HasTestMain = d.HasTestMain || f.testMain
		d.Items = f.appendItems(d.Items, KindTest, f.tests)
		fuzz = f.appendItems(fuzz, KindFuzz, f.fuzz)
		examples = f.appendItems(examples, KindExample, f.examples)
		d.Serial = d.Serial || f.serial
		d.Undivided = cmp.Or(d.Undivided, f.undivided)
		d.Misplaced = append(d.Misplaced, f.misplaced...)
		d.Benchmarks = append(d.Benchmarks, f.benchmarks...)
	}
	d.Items = append(append(d.Items, fuzz...), examples...)
	return d
}

func (f *testFile) appendItems(items []Item, kind Kind, names []string) []Item {
	for _, name := range names {
		items = append(items, Item{name, kind, f.name, f.directives[name]})
	}
	return items
}

// testFile is what one _test.go file adds to the binary, up to its first error.
type testFile struct {
	name                              string // without its directory
	tests, fuzz, examples, benchmarks []string

	directives map[string]*Directives // by the name of what has them
	serial     bool
	misplaced  []error
	undivided  string // see Discovery.Undivided

	testMain bool
	err      error
}

var errTwoTestMains = errors.New("multiple definitions of TestMain")

func parseTestFile(source testSource, overlay Overlay) testFile {
	name := source.name
	src, err := overlay.readFile(name)
	if err != nil {
		return testFile{err: err}
	}
	directed := bytes.Contains(src, []byte("xdist:"))
	suspect := suspicious(src)
	if source.known && !directed && !suspect {
		return testFile{name: filepath.Base(name), tests: namesAtLineStarts(src)}
	}
	// Comments are of use for the output of examples and for directives only, and they cost a tenth
	// of the time.
	mode := parser.SkipObjectResolution
	if directed || bytes.Contains(src, []byte("Example")) {
		mode |= parser.ParseComments
	}
	fset := token.NewFileSet()
	parsed, err := parser.ParseFile(fset, name, src, mode)
	if err != nil {
		var list scanner.ErrorList
		if errors.As(err, &list) && len(list) > 0 {
			err = list[0] // the first is what cmd/go reports; the others tend to follow from it
		}
		return testFile{err: err}
	}
	f := testFile{name: filepath.Base(name)}
	for _, decl := range parsed.Decls {
		if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil {
			if f.err = f.add(fset, fn); f.err != nil {
				return f
			}
		}
	}
	for _, decl := range parsed.Decls {
		if fn, ok := decl.(*ast.FuncDecl); ok && isRunExample(fn, parsed.Comments) {
			f.examples = append(f.examples, fn.Name.Name)
		}
	}
	f.direct(fset, parsed)
	if suspect {
		f.undivided = undivided(parsed)
	}
	return f
}

// namesAtLineStarts finds what look like tests, fuzz targets and examples, in a thirtieth of the
// time that a parser takes.
func namesAtLineStarts(src []byte) []string {
	const intro = "\nfunc "
	var names []string
	for {
		at := bytes.Index(src, []byte(intro))
		if at < 0 {
			return names
		}
		src = src[at+len(intro):]
		end := bytes.IndexByte(src, '(')
		if end < 0 {
			return names
		}
		name := string(src[:end])
		if isTest(name, "Test") || isTest(name, "Fuzz") || isTest(name, "Example") {
			names = append(names, name)
		}
	}
}

// direct gives what was found its directives.
func (f *testFile) direct(fset *token.FileSet, parsed *ast.File) {
	if len(parsed.Comments) == 0 {
		return
	}
	run := make(map[string]bool)
	for _, name := range slices.Concat(f.tests, f.fuzz, f.examples) {
		run[name] = true
	}
	owners := make(map[*ast.CommentGroup]string)
	for _, decl := range parsed.Decls {
		if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Doc != nil && run[fn.Name.Name] {
			owners[fn.Doc] = fn.Name.Name
		}
	}
	f.directives, f.serial, f.misplaced = directives(fset, parsed, owners)
	for _, d := range f.directives {
		f.serial = f.serial || d.Serial
	}
}

// add takes a function that is no method to the list it belongs to, if any.
func (f *testFile) add(fset *token.FileSet, fn *ast.FuncDecl) error {
	name := fn.Name.Name
	list, arg := (*[]string)(nil), ""
	switch {
	case name == "TestMain" && isTestFunc(fn, "T"):
		f.tests = append(f.tests, name)
		return nil
	case name == "TestMain":
		if err := checkTestFunc(fset, fn, "M"); err != nil {
			return err
		}
		if f.testMain {
			return errTwoTestMains
		}
		f.testMain = true
		return nil
	case isTest(name, "Test"):
		list, arg = &f.tests, "T"
	case isTest(name, "Benchmark"):
		list, arg = &f.benchmarks, "B"
	case isTest(name, "Fuzz"):
		list, arg = &f.fuzz, "F"
	default:
		return nil
	}
	if err := checkTestFunc(fset, fn, arg); err != nil {
		return err
	}
	*list = append(*list, name)
	return nil
}

// isTest tells whether name is prefix, or prefix followed by a rune that is not a lower case
// letter.
func isTest(name, prefix string) bool {
	rest, ok := strings.CutPrefix(name, prefix)
	if !ok || rest == "" {
		return ok
	}
	r, _ := utf8.DecodeRuneInString(rest)
	return !unicode.IsLower(r)
}

// isTestFunc tells whether fn takes one *arg or *anything.arg, and returns nothing. How testing was
// imported is not known here.
func isTestFunc(fn *ast.FuncDecl, arg string) bool {
	params := fn.Type.Params.List
	if fn.Type.Results != nil && len(fn.Type.Results.List) > 0 || len(params) != 1 || len(params[0].Names) > 1 {
		return false
	}
	ptr, ok := params[0].Type.(*ast.StarExpr)
	if !ok {
		return false
	}
	switch x := ptr.X.(type) {
	case *ast.Ident:
		return x.Name == arg
	case *ast.SelectorExpr:
		return x.Sel.Name == arg
	}
	return false
}

func checkTestFunc(fset *token.FileSet, fn *ast.FuncDecl, arg string) error {
	name, why := fn.Name.Name, ""
	if !isTestFunc(fn, arg) {
		why = fmt.Sprintf("must be: func %s(%s *testing.%s)", name, strings.ToLower(arg), arg)
	}
	if fn.Type.TypeParams.NumFields() > 0 {
		why = "test functions cannot have type parameters"
	}
	if why == "" {
		return nil
	}
	return fmt.Errorf("%s: wrong signature for %s, %s", fset.Position(fn.Pos()), name, why)
}

// isRunExample tells whether fn is an example that is run, and not compiled only: one with a
// comment at its end that tells its output.
func isRunExample(fn *ast.FuncDecl, comments []*ast.CommentGroup) bool {
	if fn.Recv != nil || !isTest(fn.Name.Name, "Example") || fn.Body == nil {
		return false
	}
	if len(fn.Type.Params.List) > 0 || fn.Type.Results != nil && len(fn.Type.Results.List) > 0 {
		return false
	}
	var last *ast.CommentGroup
	for _, c := range comments {
		if c.Pos() < fn.Body.Pos() {
			continue
		}
		if c.End() > fn.Body.End() {
			break
		}
		last = c
	}
	return last != nil && outputComment.MatchString(last.Text())
}

// outputComment is go/doc's.
var outputComment = regexp.MustCompile(`(?i)^[[:space:]]*(unordered )?output:`)

// Overlay maps the absolute names of files to the files that stand for them, "" for none: the
// content of the go command's -overlay. Nil overlays nothing.
type Overlay map[string]string

// ReadOverlay reads the JSON file of -overlay. dir is the directory that the go command works in:
// the names in the file are relative to it. An empty name is a nil Overlay.
func ReadOverlay(name, dir string) (Overlay, error) {
	if name == "" {
		return nil, nil
	}
	abs := func(name string) string {
		if name == "" || filepath.IsAbs(name) {
			return filepath.FromSlash(name)
		}
		return filepath.Join(dir, name)
	}
	data, err := os.ReadFile(abs(name))
	if err != nil {
		return nil, fmt.Errorf("read overlay: %w", err)
	}
	var file struct{ Replace map[string]string }
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, fmt.Errorf("read overlay %q: %w", name, err)
	}
	overlay := make(Overlay, len(file.Replace))
	for from, to := range file.Replace {
		overlay[filepath.Clean(abs(from))] = abs(to)
	}
	return overlay, nil
}

func (o Overlay) readFile(name string) ([]byte, error) {
	to, ok := o[filepath.Clean(name)]
	switch {
	case !ok:
		return os.ReadFile(name)
	case to == "":
		return nil, &os.PathError{Op: "open", Path: name, Err: os.ErrNotExist}
	}
	return os.ReadFile(to)
}
