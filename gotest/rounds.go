package gotest

import (
	"go/ast"
	"go/token"
)

// wantsAll says why all tests must run under one call of a TestMain, or "".
func wantsAll(fn *ast.FuncDecl) string {
	if fn.Type.Params.NumFields() != 1 || len(fn.Type.Params.List[0].Names) != 1 {
		return ""
	}
	r := rounds{call: fn.Type.Params.List[0].Names[0].Name + ".Run()"}
	r.block(fn.Body, 0)
	switch {
	case r.most > 1: // on some way through it
		return runsAgain
	case r.judges(fn.Body):
		return judgesAll
	}
	return ""
}

// judges tells whether a function puts a number of its own in the place of what the call has
// returned. Where that is for an error, of a teardown for example, every process has its own.
func (r *rounds) judges(body *ast.BlockStmt) bool {
	codes, found := make(map[string]bool), false
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.IfStmt:
			return !mentions(n.Cond, "err")
		case *ast.AssignStmt:
			for i, to := range n.Lhs {
				if len(n.Lhs) != len(n.Rhs) {
					break
				}
				if r.count(n.Rhs[i]) > 0 {
					codes[exprText(to)] = true
				}
				lit, ok := n.Rhs[i].(*ast.BasicLit)
				found = found || ok && lit.Kind == token.INT && lit.Value != "0" && codes[exprText(to)]
			}
		}
		return true
	})
	return found
}

func mentions(root ast.Node, name string) bool {
	found := false
	ast.Inspect(root, func(n ast.Node) bool {
		id, ok := n.(*ast.Ident)
		found = found || ok && id.Name == name
		return !found
	})
	return found
}

// rounds counts the calls of one function.
type rounds struct {
	call string // as exprText has it
	most int    // on one way
}

// block returns how often the function was called at the end of a block, before which it was so
// often.
func (r *rounds) block(b *ast.BlockStmt, before int) int {
	for _, stmt := range b.List {
		before = r.stmt(stmt, before)
	}
	return before
}

func (r *rounds) stmt(stmt ast.Stmt, before int) int {
	defer func() { r.most = max(r.most, before) }()
	switch s := stmt.(type) {
	case *ast.BlockStmt:
		before = r.block(s, before)
	case *ast.IfStmt:
		before += r.count(s.Init) + r.count(s.Cond)
		without := before
		if s.Else != nil {
			without = r.stmt(s.Else, before)
		}
		if with := r.block(s.Body, before); !leaves(s.Body) {
			without = max(with, without)
		}
		before = without
	case *ast.ForStmt:
		before += 2 * r.count(s)
	case *ast.RangeStmt:
		before += 2 * r.count(s)
	default:
		before += r.count(s)
	}
	return before
}

// count is how often a node mentions the call.
func (r *rounds) count(n ast.Node) int {
	calls := 0
	if n != nil {
		ast.Inspect(n, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok && exprText(call) == r.call {
				calls++
			}
			return true
		})
	}
	return calls
}
