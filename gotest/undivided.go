package gotest

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strconv"
	"strings"
)

// Some tests can tell that their process runs a part of the package only: by the arguments that
// chose them, or because a test before them, which has left the working directory or the
// environment changed, runs elsewhere, or because another process has the address that they listen
// on. Others run twice in one process, and find what the first round has left; and some are judged
// together at their end. The sources show it. What cannot be told for certain counts as such, which
// costs time and no verdict.
//
// Package os is known by its own name; what files that are no tests do is not looked at.

// What undivided answers, beside one for each of chosenBy.
const (
	readsArgs   = "reads os.Args"
	leavesDir   = "changes the working directory and does not restore it"
	leavesEnv   = "changes environment variables and does not restore them"
	judgesAll   = "judges all of its tests in TestMain"
	runsAgain   = "runs its tests more than once in TestMain"
	listensOn   = "listens on "     // and an address
	readsFlag   = "reads the flag " // and its name
	chosenByRun = "test.run"
	chosenBySkp = "test.skip"
)

// suspicions are parts of the text of a file about which undivided may have something to say.
var suspicions = [][]byte{
	[]byte(`"test.`), []byte("`test."), []byte("os.Args"), []byte("os.Chdir("), []byte("os.Setenv("), []byte("os.Unsetenv("), []byte("os.Clearenv("),
	[]byte("func TestMain("), []byte(".Listen"),
}

// suspicious reports whether a file is worth a parser. When it is not, undivided has nothing to say
// about it.
func suspicious(src []byte) bool {
	return slices.ContainsFunc(suspicions, func(s []byte) bool { return bytes.Contains(src, s) })
}

// undivided says why the tests of a package that has this file must all run in one process, or "".
func undivided(file *ast.File) string {
	for _, decl := range file.Decls {
		fn, isFunc := decl.(*ast.FuncDecl)
		if isFunc && (fn.Body == nil || isHelperProcess(fn.Body)) {
			continue
		}
		r := argsReader{allowed: make(map[ast.Node]bool)}
		inspectOwn(decl, r.allow)
		inspectOwn(decl, r.look)
		if r.why != "" {
			return r.why
		}
		if isFunc && fn.Name.Name == "TestMain" && fn.Recv == nil {
			if why := wantsAll(fn); why != "" {
				return why
			}
		}
		if isFunc && fn.Name.Name != "init" && fn.Name.Name != "TestMain" { // those run in every process
			var s stateChanges
			s.collect(fn.Body)
			if why := s.left(); why != "" {
				return why
			}
		}
	}
	if address := ownAddress(file); address != "" {
		return listensOn + address
	}
	return ""
}

// inspectOwn is ast.Inspect without what runs in helper processes only.
func inspectOwn(root ast.Node, visit func(ast.Node)) {
	ast.Inspect(root, func(n ast.Node) bool {
		if n == nil {
			return false
		}
		visit(n)
		// if os.Getenv("HELPER") == "1" { …; os.Exit(0) }
		branch, ok := n.(*ast.IfStmt)
		if !ok || inHelper(branch) != whenTrue || !leaves(branch.Body) {
			return true
		}
		if branch.Else != nil {
			inspectOwn(branch.Else, visit)
		}
		return false
	})
}

// isHelperProcess tells whether a function does something only where an environment variable was
// set for it: its first statement is
//
//	if os.Getenv("GO_WANT_HELPER_PROCESS") != "1" { return }
func isHelperProcess(body *ast.BlockStmt) bool {
	if len(body.List) == 0 {
		return false
	}
	guard, ok := body.List[0].(*ast.IfStmt)
	return ok && inHelper(guard) == whenFalse && leaves(guard.Body)
}

// leaves tells whether a block ends with return, os.Exit or t.Skip.
func leaves(body *ast.BlockStmt) bool {
	if len(body.List) == 0 {
		return false
	}
	switch last := body.List[len(body.List)-1].(type) {
	case *ast.ReturnStmt:
		return true
	case *ast.ExprStmt:
		if call, ok := last.X.(*ast.CallExpr); ok {
			sel, ok := call.Fun.(*ast.SelectorExpr)
			return isOS(call.Fun, "Exit") || ok && strings.HasPrefix(sel.Sel.Name, "Skip")
		}
	}
	return false
}

// helperWhen says on which outcome of a condition an environment variable is set.
type helperWhen int

const (
	unrelated helperWhen = iota
	whenTrue
	whenFalse
)

func inHelper(branch *ast.IfStmt) helperWhen {
	variable := "" // v in: if v := os.Getenv("HELPER"); v != ""
	if init, ok := branch.Init.(*ast.AssignStmt); ok && len(init.Lhs) == 1 && isGetenv(init.Rhs[0], "") {
		variable = exprText(init.Lhs[0])
	}
	return inHelperCond(branch.Cond, variable)
}

func inHelperCond(cond ast.Expr, variable string) helperWhen {
	c, ok := ast.Unparen(cond).(*ast.BinaryExpr)
	if !ok {
		return unrelated
	}
	switch c.Op {
	case token.LAND, token.LOR:
		decides := whenTrue
		if c.Op == token.LOR {
			decides = whenFalse
		}
		if inHelperCond(c.X, variable) == decides || inHelperCond(c.Y, variable) == decides {
			return decides
		}
	case token.EQL, token.NEQ:
		value := c.Y
		if !isGetenv(c.X, variable) {
			if value = c.X; !isGetenv(c.Y, variable) {
				return unrelated
			}
		}
		if (c.Op == token.EQL) != (exprText(value) == `""`) {
			return whenTrue
		}
		return whenFalse
	}
	return unrelated
}

func isGetenv(e ast.Expr, variable string) bool {
	if id, ok := e.(*ast.Ident); ok {
		return variable != "" && id.Name == variable
	}
	call, ok := e.(*ast.CallExpr)
	return ok && isOS(call.Fun, "Getenv")
}

// isOS tells whether e is os.name.
func isOS(e ast.Node, name string) bool {
	sel, ok := e.(*ast.SelectorExpr)
	if !ok || sel.Sel.Name != name {
		return false
	}
	id, ok := sel.X.(*ast.Ident)
	return ok && id.Name == "os"
}

// exprText tells simple expressions apart: names, literals, selections, elements and calls. Others
// are equal to none. (go/types can do it for all, and makes the program 2 MB larger.)
func exprText(e ast.Expr) string {
	switch e := ast.Unparen(e).(type) {
	case *ast.Ident:
		return e.Name
	case *ast.BasicLit:
		return e.Value
	case *ast.SelectorExpr:
		return exprText(e.X) + "." + e.Sel.Name
	case *ast.IndexExpr:
		return exprText(e.X) + "[" + exprText(e.Index) + "]"
	case *ast.CallExpr:
		text := exprText(e.Fun) + "("
		for _, arg := range e.Args {
			text += exprText(arg) + ","
		}
		return text + ")"
	}
	return fmt.Sprintf("expression at %d", e.Pos())
}

// argsReader finds what reads the arguments of the process.
type argsReader struct {
	allowed map[ast.Node]bool // mentions of os.Args that tell nothing
	why     string
}

// allow takes note of mentions of os.Args that do not read beyond os.Args[0], and of those that
// save it to restore it later.
func (r *argsReader) allow(n ast.Node) {
	switch n := n.(type) {
	case *ast.FuncDecl:
		r.allowSaved(n.Body)
	case *ast.IndexExpr:
		r.allowed[n.X] = r.allowed[n.X] || isNumber(n.Index, "0")
	case *ast.SliceExpr:
		r.allowed[n.X] = r.allowed[n.X] || isNumber(n.High, "1")
	case *ast.AssignStmt:
		for _, to := range n.Lhs {
			r.allowed[to] = true
		}
	}
}

func isNumber(e ast.Expr, want string) bool {
	lit, ok := e.(*ast.BasicLit)
	return ok && lit.Value == want
}

// look decides about what was not allowed.
func (r *argsReader) look(n ast.Node) {
	if r.why != "" {
		return
	}
	switch n := n.(type) {
	case *ast.SelectorExpr:
		if isOS(n, "Args") && !r.allowed[n] {
			r.why = readsArgs
		}
	case *ast.BasicLit:
		if s, whole := text(n); whole && (s == chosenByRun || s == chosenBySkp) {
			r.why = readsFlag + s
		}
	case *ast.CallExpr: // flag.Lookup("test." + name)
		sel, ok := n.Fun.(*ast.SelectorExpr)
		if !ok || sel.Sel.Name != "Lookup" || len(n.Args) != 1 {
			return
		}
		if s, whole := text(n.Args[0]); whole && (s == chosenByRun || s == chosenBySkp) {
			r.why = readsFlag + s
		} else if !whole && strings.HasPrefix(s, "test.") && (strings.HasPrefix(chosenByRun, s) || strings.HasPrefix(chosenBySkp, s)) {
			r.why = readsFlag + chosenByRun
		}
	}
}

// text is what a concatenation begins with, and whether that is all of it.
func text(e ast.Expr) (s string, whole bool) {
	switch e := ast.Unparen(e).(type) {
	case *ast.BasicLit:
		s, err := strconv.Unquote(e.Value)
		return s, err == nil && e.Kind == token.STRING
	case *ast.BinaryExpr:
		left, whole := text(e.X)
		if !whole || e.Op != token.ADD {
			return left, false
		}
		right, whole := text(e.Y)
		return left + right, whole
	}
	return "", false
}

// allowSaved allows `old := os.Args` where old is of use for `os.Args = old` alone.
func (r *argsReader) allowSaved(body *ast.BlockStmt) {
	save := func(name *ast.Ident, value ast.Expr, scope ast.Node) {
		if args := copied(value); isOS(args, "Args") && onlyRestores(name.Name, scope) {
			r.allowed[args] = true
		}
	}
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for i, to := range n.Lhs {
				if name, ok := to.(*ast.Ident); ok && len(n.Lhs) == len(n.Rhs) {
					save(name, n.Rhs[i], body)
				}
			}
		case *ast.ValueSpec:
			for i, value := range n.Values {
				if len(n.Values) == len(n.Names) {
					save(n.Names[i], value, body)
				}
			}
		case *ast.CallExpr:
			for name, value := range parameters(n) {
				save(name, value, n.Fun)
			}
		}
		return true
	})
}

// copied is x in slices.Clone(x), in append([]string{}, x...) and in x.
func copied(e ast.Expr) ast.Expr {
	call, ok := e.(*ast.CallExpr)
	switch {
	case !ok || len(call.Args) == 0:
		return e
	case exprText(call.Fun) == "slices.Clone":
		return call.Args[0]
	case exprText(call.Fun) == "append" && len(call.Args) == 2 && call.Ellipsis.IsValid():
		return call.Args[1]
	}
	return e
}

// parameters are those of a function literal that is called where it stands, with their values.
func parameters(call *ast.CallExpr) map[*ast.Ident]ast.Expr {
	fn, ok := call.Fun.(*ast.FuncLit)
	if !ok || fn.Type.Params.NumFields() != len(call.Args) {
		return nil
	}
	values := make(map[*ast.Ident]ast.Expr)
	for _, field := range fn.Type.Params.List {
		for _, name := range field.Names {
			values[name] = call.Args[len(values)]
		}
	}
	return values
}

// onlyRestores tells whether all that scope does with a variable is to set it, to assign it to
// os.Args, or to use its first element.
func onlyRestores(name string, scope ast.Node) bool {
	fine := make(map[ast.Expr]bool)
	ast.Inspect(scope, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for i, to := range n.Lhs {
				fine[to] = true
				if isOS(to, "Args") && len(n.Lhs) == len(n.Rhs) {
					fine[copied(n.Rhs[i])] = true
				}
			}
		case *ast.ValueSpec:
			for _, id := range n.Names {
				fine[id] = true
			}
		case *ast.Field:
			for _, id := range n.Names {
				fine[id] = true
			}
		case *ast.IndexExpr:
			fine[n.X] = fine[n.X] || isNumber(n.Index, "0")
		case *ast.CallExpr:
			for param, value := range parameters(n) {
				fine[value] = fine[value] || onlyRestores(param.Name, n.Fun)
			}
		}
		return true
	})
	all := true
	ast.Inspect(scope, func(n ast.Node) bool {
		id, ok := n.(*ast.Ident)
		all = all && (!ok || id.Name != name || fine[id])
		return all
	})
	return all
}

// stateChanges are the calls of one function that change what a process has one of.
type stateChanges struct {
	calls []stateCall
	saved map[string]bool // variables that hold what os.Getwd, os.Getenv or os.LookupEnv has said
	later map[string]bool // variables whose function is deferred, returned or given to Cleanup
}

// stateCall is one of them.
type stateCall struct {
	dir      bool   // it is about the working directory; about the environment otherwise
	variable string // of the environment, as an expression; "" for all
	fixed    bool   // the variable is a literal
	value    string // as an expression; "" for Unsetenv and Clearenv
	restores bool   // it comes when the function or the test is over
	scoped   bool   // t.Setenv or t.Chdir: what is there now comes back by itself
}

func (s *stateChanges) collect(body *ast.BlockStmt) {
	s.saved, s.later = make(map[string]bool), make(map[string]bool)
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.DeferStmt:
			s.noteLater(n.Call.Fun)
		case *ast.ReturnStmt:
			s.noteLater(n.Results...)
		case *ast.CallExpr:
			if isCleanup(n) {
				s.noteLater(n.Args...)
			}
		case *ast.AssignStmt:
			if call, ok := n.Rhs[0].(*ast.CallExpr); ok && (isOS(call.Fun, "Getwd") || isOS(call.Fun, "Getenv") || isOS(call.Fun, "LookupEnv")) {
				s.saved[exprText(n.Lhs[0])] = true
			}
		}
		return true
	})
	s.walk(body, false)
}

func (s *stateChanges) noteLater(exprs ...ast.Expr) {
	for _, e := range exprs {
		if id, ok := e.(*ast.Ident); ok {
			s.later[id.Name] = true
		}
	}
}

func isCleanup(call *ast.CallExpr) bool {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	return ok && strings.HasSuffix(sel.Sel.Name, "Cleanup")
}

// walk collects the calls in order. later says that they come when the function, or the test, is
// over.
func (s *stateChanges) walk(root ast.Node, later bool) {
	ast.Inspect(root, func(n ast.Node) bool {
		if n == root {
			return true
		}
		switch n := n.(type) {
		case *ast.IfStmt:
			if inHelper(n) == whenTrue && leaves(n.Body) {
				if n.Else != nil {
					s.walk(n.Else, later)
				}
				return false
			}
		case *ast.DeferStmt, *ast.ReturnStmt:
			s.walk(n, later || !isReturnedCall(n))
			return false
		case *ast.AssignStmt:
			for i, e := range n.Rhs {
				_, isFunc := e.(*ast.FuncLit)
				s.walk(&ast.ExprStmt{X: e}, later || isFunc && len(n.Lhs) == len(n.Rhs) && s.later[exprText(n.Lhs[i])])
			}
			return false
		case *ast.CallExpr:
			s.call(n, later)
			if isCleanup(n) {
				s.walk(n, true)
				return false
			}
		}
		return true
	})
}

// isReturnedCall tells whether n returns what a call answers, and no function.
func isReturnedCall(n ast.Node) bool {
	ret, ok := n.(*ast.ReturnStmt)
	return ok && !slices.ContainsFunc(ret.Results, func(e ast.Expr) bool { _, ok := e.(*ast.FuncLit); return ok })
}

func (s *stateChanges) call(n *ast.CallExpr, later bool) {
	sel, ok := n.Fun.(*ast.SelectorExpr)
	if !ok {
		return
	}
	c := stateCall{restores: later, scoped: !isOS(sel, sel.Sel.Name)}
	switch args := n.Args; {
	case sel.Sel.Name == "Chdir" && len(args) == 1:
		c.dir, c.value = true, exprText(args[0])
	case sel.Sel.Name == "Setenv" && len(args) == 2:
		c.variable, c.value = exprText(args[0]), exprText(args[1])
		_, c.fixed = args[0].(*ast.BasicLit)
	case sel.Sel.Name == "Unsetenv" && len(args) == 1 && !c.scoped:
		c.variable = exprText(args[0])
		_, c.fixed = args[0].(*ast.BasicLit)
	case sel.Sel.Name == "Clearenv" && !c.scoped:
	default:
		return
	}
	s.calls = append(s.calls, c)
}

// left says what the function leaves changed, or "".
func (s *stateChanges) left() string {
	for i, c := range s.calls {
		switch {
		case c.restores || c.scoped || s.restored(i):
		case c.dir:
			return leavesDir
		default:
			return leavesEnv
		}
	}
	return ""
}

// restored tells whether what call i changes is put back by another one, or call i does that
// itself.
func (s *stateChanges) restored(i int) bool {
	c := s.calls[i]
	for k, other := range s.calls {
		same := other.variable == c.variable
		switch {
		case k == i || other.dir != c.dir:
		case other.restores && (c.dir || !other.fixed || same), // of an expression it is not known which variable it is
			k < i && other.scoped && same,
			k > i && same && s.putsBack(other),
			k < i && same && !other.restores && s.putsBack(c):
			return true
		}
	}
	return false
}

// putsBack tells whether a call in the course of the function looks like the second one of two.
func (s *stateChanges) putsBack(c stateCall) bool {
	return s.saved[c.value] || c.value == "" && c.variable != ""
}
