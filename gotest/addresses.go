package gotest

import (
	"go/ast"
	"go/token"
	"strings"
)

// listeners are functions that listen, with the place of the address among their arguments.
var listeners = map[string]int{
	"net.Listen": 1, "net.ListenPacket": 1, "tls.Listen": 1, "http.ListenAndServe": 0, "http.ListenAndServeTLS": 0,
}

// ownAddress is an address that only one process of a host can listen on and that a file listens
// on, or "". The file says it where it listens, or in a constant or variable of its own.
func ownAddress(file *ast.File) (address string) {
	values := packageStrings(file)
	inspectOwn(file, func(n ast.Node) {
		call, ok := n.(*ast.CallExpr)
		if !ok || address != "" {
			return
		}
		at, ok := listeners[exprText(call.Fun)]
		if !ok || at >= len(call.Args) {
			return
		}
		s, whole := text(call.Args[at])
		if !whole {
			s = values[exprText(call.Args[at])]
		}
		if takesPort(s) || at == 1 && strings.HasPrefix(exprText(call.Args[0]), `"unix`) && s != "" && s != "@" {
			address = s
		}
	})
	return address
}

// takesPort tells whether an address has a port of its own, and not any that is free.
func takesPort(address string) bool {
	colon := strings.LastIndexByte(address, ':')
	return colon >= 0 && strings.Trim(address[colon+1:], "0") != ""
}

// packageStrings are the constants and variables of a file, outside of functions, that are strings.
func packageStrings(file *ast.File) map[string]string {
	values := make(map[string]string)
	for _, decl := range file.Decls {
		gen, ok := decl.(*ast.GenDecl)
		if !ok || gen.Tok != token.CONST && gen.Tok != token.VAR {
			continue
		}
		for _, spec := range gen.Specs {
			vs, ok := spec.(*ast.ValueSpec)
			if !ok || len(vs.Values) != len(vs.Names) {
				continue
			}
			for i, name := range vs.Names {
				if s, whole := text(vs.Values[i]); whole {
					values[name.Name] = s
				}
			}
		}
	}
	return values
}
