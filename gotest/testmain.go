package gotest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
)

// ParseTestmain reads a _testmain.go, the main package that cmd/go generates for a test binary
// (cmd/go/internal/load.testmainTmpl). It is what the binary really holds, so that what was found
// in the sources can be held against it. A source that has not the form that cmd/go gives it is an
// error, never a shorter list.
func ParseTestmain(src []byte) (Testmain, error) {
	var tm Testmain
	file, err := parser.ParseFile(token.NewFileSet(), "_testmain.go", src, parser.SkipObjectResolution)
	if err != nil {
		return tm, fmt.Errorf("parse the generated main package: %w", err)
	}
	lists := make(map[string][]string)
	for _, decl := range file.Decls {
		switch d := decl.(type) {
		case *ast.GenDecl:
			if d.Tok == token.VAR {
				err = addTestLists(lists, d)
			}
		case *ast.FuncDecl:
			if d.Name.Name == "main" && d.Body != nil {
				tm.HasTestMain = callsTestMain(d.Body)
			}
		}
		if err != nil {
			return Testmain{}, fmt.Errorf("read the generated main package: %w", err)
		}
	}
	for _, name := range []string{"tests", "benchmarks", "fuzzTargets", "examples"} {
		if _, ok := lists[name]; !ok {
			return Testmain{}, fmt.Errorf("read the generated main package: it has no list of %s", name)
		}
	}
	var f testFile
	tm.Items = f.appendItems(tm.Items, KindTest, lists["tests"])
	tm.Items = f.appendItems(tm.Items, KindFuzz, lists["fuzzTargets"])
	tm.Items = f.appendItems(tm.Items, KindExample, lists["examples"])
	tm.Benchmarks = lists["benchmarks"]
	return tm, nil
}

// addTestLists takes the lists of a declaration like
//
//	var tests = []testing.InternalTest{ {"TestX", _test.TestX}, … }
func addTestLists(lists map[string][]string, decl *ast.GenDecl) error {
	for _, spec := range decl.Specs {
		vs, ok := spec.(*ast.ValueSpec)
		if !ok || len(vs.Names) != 1 || len(vs.Values) != 1 {
			continue
		}
		outer, ok := vs.Values[0].(*ast.CompositeLit)
		if !ok {
			continue
		}
		name := vs.Names[0].Name
		names := []string(nil)
		for i, elt := range outer.Elts {
			inner, ok := elt.(*ast.CompositeLit)
			if !ok || len(inner.Elts) < 2 {
				return fmt.Errorf("element %d of %s is no pair of a name and a function", i, name)
			}
			lit, ok := inner.Elts[0].(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return fmt.Errorf("element %d of %s has no name", i, name)
			}
			text, err := strconv.Unquote(lit.Value)
			if err != nil {
				return fmt.Errorf("element %d of %s: %w", i, name, err)
			}
			names = append(names, text)
		}
		lists[name] = names
	}
	return nil
}

// callsTestMain looks for _test.TestMain(m) or _xtest.TestMain(m).
func callsTestMain(body *ast.BlockStmt) bool {
	for _, stmt := range body.List {
		if expr, ok := stmt.(*ast.ExprStmt); ok {
			if call, ok := expr.X.(*ast.CallExpr); ok {
				if sel, ok := call.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "TestMain" {
					return true
				}
			}
		}
	}
	return false
}
