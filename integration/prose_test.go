package integration

import (
	"bufio"
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// proseWidth is how many columns a line of prose may have. A tab counts as 4.
const proseWidth = 100

var (
	listItem   = regexp.MustCompile(`^ *([-*+•]|\d+[.)]) `)
	codeSpan   = regexp.MustCompile("`[^`]*`")
	linkTarget = regexp.MustCompile(`^ {0,3}\[[^\]]+\]: `)
	directive  = regexp.MustCompile(`^//([a-z]+:|nolint|export |line )`)
	generated  = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)
)

// TestProseWidth reads the sources and documents of the module for comments on lines of their own,
// and for paragraphs and lists, that are too wide to read.
func TestProseWidth(t *testing.T) {
	files := 0
	err := filepath.WalkDir("..", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := d.Name()
		if d.IsDir() {
			hidden := strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_")
			if name != ".." && (base == "testdata" || base == "vendor" || hidden) {
				return fs.SkipDir
			}
			return nil
		}
		find := wideComments
		switch filepath.Ext(base) {
		case ".go":
		case ".md":
			find = wideProse
		default:
			return nil
		}
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		files++
		for _, line := range find(b) {
			t.Errorf("%s:%s", filepath.ToSlash(name), line)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 20 {
		t.Errorf("only %d files read: the walk begins in the wrong place", files)
	}
}

// wide reports whether a line of prose is too wide and could be narrower: it has a space to break
// at.
func wide(line, text string) bool {
	columns := utf8.RuneCountInString(line) + 3*strings.Count(line, "\t")
	text = codeSpan.ReplaceAllString(strings.TrimSpace(text), "x")
	return columns > proseWidth && strings.Contains(text, " ") && !strings.Contains(text, "://")
}

// wideComments returns the comments of a Go file that are too wide, each as "LINE: WIDTH: TEXT".
// What stands behind code is not prose, and neither are directives, indented blocks and examples'
// output.
func wideComments(src []byte) []string {
	if generated.Match(src) {
		return nil
	}
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, "x.go", src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return []string{err.Error()}
	}
	lines := strings.Split(string(src), "\n")
	var found []string
	for _, group := range f.Comments {
		inList := false
		for _, c := range group.List {
			n := fset.Position(c.Pos()).Line
			line := lines[n-1]
			text, own := strings.CutPrefix(strings.TrimSpace(line), "//")
			if strings.HasPrefix(strings.ToLower(text), " output:") {
				break
			}
			indented := strings.HasPrefix(text, "  ") || !strings.HasPrefix(text, " ")
			switch {
			case !own || directive.MatchString("//"+text) || strings.HasPrefix(text, " |"):
				continue
			case strings.TrimSpace(text) == "":
				continue
			case listItem.MatchString(text):
				inList = true
			case indented && !inList:
				continue
			case !indented:
				inList = false
			}
			if wide(line, text) {
				found = append(found, fmt.Sprintf("%d: %s", n, strings.TrimSpace(line)))
			}
		}
	}
	return found
}

// wideProse returns the lines of a Markdown file that are too wide, as wideComments does. Tables,
// headings, code and the targets of links are not prose.
func wideProse(src []byte) []string {
	var found []string
	fenced, inList, blank := false, false, true
	scan := bufio.NewScanner(bytes.NewReader(src))
	scan.Buffer(nil, 1<<20)
	for n := 1; scan.Scan(); n++ {
		line := scan.Text()
		text := strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(text, "```"):
			fenced = !fenced
			continue
		case fenced:
			continue
		case text == "":
			blank = true
			continue
		case strings.HasPrefix(text, "|"), strings.HasPrefix(text, "#"), strings.HasPrefix(text, "<"),
			linkTarget.MatchString(line):
			continue
		case listItem.MatchString(line):
			inList = true
		case blank && strings.HasPrefix(line, "    ") && !inList:
			continue // code, and blank stays set for the lines that follow
		case blank && !strings.HasPrefix(line, " "):
			inList = false
		}
		blank = false
		if wide(line, text) {
			found = append(found, fmt.Sprintf("%d: %s", n, text))
		}
	}
	return found
}

// TestProseWidthBites gives the check lines of each kind.
func TestProseWidthBites(t *testing.T) {
	long := strings.Repeat("word ", 25)
	for _, c := range []struct {
		name, text string
		find       func([]byte) []string
		want       int
	}{
		{"comment", "package x\n\n// " + long + "\nvar x int\n", wideComments, 1},
		{"inside", "package x\n\nfunc f() {\n\t// " + long + "\n}\n", wideComments, 1},
		{"list", "package x\n\n// A\n//\n//   - a\n//     " + long + "\nvar x int\n", wideComments, 1},
		{"behind code", "package x\n\nvar x int // " + long + "\n", wideComments, 0},
		{"block", "package x\n\n// A\n//\n//\t" + long + "\nvar x int\n", wideComments, 0},
		{"directive", "package x\n\n//go:generate " + long + "\nvar x int\n", wideComments, 0},
		{"address", "package x\n\n// See https://" + strings.Repeat("x", 100) + "\nvar x int\n", wideComments, 0},
		{"generated", "// Code generated by x. DO NOT EDIT.\n\npackage x\n\n// " + long + "\n", wideComments, 0},
		{"paragraph", "# A\n\n" + long + "\n", wideProse, 1},
		{"item", "- a\n  " + long + "\n", wideProse, 1},
		{"table", "| " + long + "|\n", wideProse, 0},
		{"fence", "```\n" + long + "\n```\n", wideProse, 0},
		{"indented code", "a\n\n    " + long + "\n    " + long + "\n", wideProse, 0},
	} {
		if got := c.find([]byte(c.text)); len(got) != c.want {
			t.Errorf("%s: %q", c.name, got)
		}
	}
}

// TestArchitectureNamesWhatIsThere looks for the files, functions and tests that ARCHITECTURE.md
// names.
func TestArchitectureNamesWhatIsThere(t *testing.T) {
	text, err := os.ReadFile("../ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	places := regexp.MustCompile(`((?:[a-z0-9]+/)+[a-z_0-9]+\.go)(?:: (\w+))?`).FindAllStringSubmatch(string(text), -1)
	if len(places) < 10 {
		t.Errorf("only %d files are named", len(places))
	}
	for _, place := range places {
		src, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(place[1])))
		if err != nil {
			t.Error(err)
		}
		declared := regexp.MustCompile(`(?m)^func (\(.*?\) )?` + place[2] + `\(`)
		if place[2] != "" && !declared.Match(src) {
			t.Errorf("%s has no %s", place[1], place[2])
		}
	}
	tests := declaredTests(t)
	for _, name := range regexp.MustCompile(`\b(Test[A-Z]\w+) \|`).FindAllStringSubmatch(string(text), -1) {
		if !tests[name[1]] {
			t.Errorf("there is no %s", name[1])
		}
	}
}

// TestSecurityNamesTests looks up the tests that SECURITY.md has for each threat, and
// docs/library.md for what the library can do.
func TestSecurityNamesTests(t *testing.T) {
	tests := declaredTests(t)
	for _, page := range []string{"../SECURITY.md", "../docs/library.md"} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		names := regexp.MustCompile(`\b(?:Test|Fuzz|Example)[A-Z]\w+`).FindAllString(string(text), -1)
		if len(names) < 30 {
			t.Errorf("%s names only %d tests", page, len(names))
		}
		for _, name := range names {
			if !tests[name] {
				t.Errorf("%s: there is no %s", page, name)
			}
		}
	}
}

// declaredTests are the names of the tests, fuzz targets and examples of the module.
func declaredTests(t *testing.T) map[string]bool {
	t.Helper()
	tests := make(map[string]bool)
	err := filepath.WalkDir("..", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && d.Name() == "testdata" {
			return fs.SkipDir
		}
		if !strings.HasSuffix(name, "_test.go") {
			return nil
		}
		src, err := os.ReadFile(name)
		for _, m := range regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Example)\w+)`).FindAllSubmatch(src, -1) {
			tests[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return tests
}

// TestLibraryKnowsNothingOfTests reads what the packages that any program may use say of themselves
// and of what they export: they are for more than tests.
func TestLibraryKnowsNothingOfTests(t *testing.T) {
	word := regexp.MustCompile(`(?i)\b(tests?|testing|suites?|flaky)\b`)
	comments := 0
	for _, pkg := range []string{"../xspec", "../gateway", "../gateway/keyed", "../network", "../rsync"} {
		names, err := filepath.Glob(filepath.Join(pkg, "*.go"))
		if err != nil || len(names) == 0 {
			t.Fatalf("%s has no sources, %v", pkg, err)
		}
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			fset := token.NewFileSet()
			file, err := parser.ParseFile(fset, name, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range exportedDocs(file) {
				comments++
				if found := word.FindString(c.Text()); found != "" {
					t.Errorf("%s says %q: %s", fset.Position(c.Pos()), found, c.Text())
				}
			}
		}
	}
	if comments < 200 {
		t.Errorf("only %d comments were found", comments)
	}
}

// exportedDocs are the comments of a package, and of what is exported with all fields and methods
// that are.
func exportedDocs(file *ast.File) []*ast.CommentGroup {
	docs := []*ast.CommentGroup{file.Doc}
	if ast.FileExports(file) {
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GenDecl:
				docs = append(docs, n.Doc)
			case *ast.FuncDecl:
				docs = append(docs, n.Doc)
			case *ast.TypeSpec:
				docs = append(docs, n.Doc, n.Comment)
			case *ast.ValueSpec:
				docs = append(docs, n.Doc, n.Comment)
			case *ast.Field:
				docs = append(docs, n.Doc, n.Comment)
			}
			return true
		})
	}
	return slices.DeleteFunc(docs, func(c *ast.CommentGroup) bool { return c == nil })
}
