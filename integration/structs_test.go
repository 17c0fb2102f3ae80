package integration

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What a struct of package scheduler may have of its own. What it embeds counts as one field, and
// for itself.
const (
	mostFields = 16
	mostBools  = 2
)

// TestStructsAreGroups holds the records of package scheduler and of what is below it to groups of
// fields that somebody owns. Exported ones that only set options may have more.
func TestStructsAreGroups(t *testing.T) {
	options := map[string]bool{"scheduler.Config": true}
	checked := 0
	root := filepath.Join("..", "scheduler")
	err := filepath.WalkDir(root, func(name string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return err
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			s, ok := spec.Type.(*ast.StructType)
			if !ok || options[f.Name.Name+"."+spec.Name.Name] {
				return true
			}
			checked++
			if fields, bools := sizeOf(s); fields > mostFields || bools > mostBools {
				t.Errorf("%s: %s has %d fields and %d bools, at most %d and %d are allowed: make groups, or one state of several bools",
					fset.Position(spec.Pos()), spec.Name.Name, fields, bools, mostFields, mostBools)
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if checked < 50 {
		t.Errorf("%d structs were looked at", checked)
	}
}

func sizeOf(s *ast.StructType) (fields, bools int) {
	for _, f := range s.Fields.List {
		n := max(1, len(f.Names))
		fields += n
		if id, ok := f.Type.(*ast.Ident); ok && id.Name == "bool" {
			bools += n
		}
	}
	return fields, bools
}
