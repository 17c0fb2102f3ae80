package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/xdist-go/xdist/gotest"
)

// subcommands are the first words that are not a package.
var subcommands = []string{"agent", "cache", "clean", "doctor", "handoff", "help", "history", "join", "keygen", "list", "merge", "serve", "version"}

// splitArgs sorts a command line into xdist's own flags and go test's, and returns it as
//
//	xdist [subcommand] [xdist flags] -- [packages] [go test flags]
//
// Before the first package xdist's flags are known with one dash or two; go test's flags may stand
// there too. From the first package on the line is go test's, where -n, -x or -debug mean what they
// mean there or are the test binary's; xdist's own flags are known in their two-dash form only.
// What follows -args is the test binary's alone.
func splitArgs(args []string) []string {
	program, rest := args[0], args[1:]
	out := []string{program}
	if len(rest) > 0 && slices.Contains(subcommands, rest[0]) {
		out = append(out, rest[0])
		if rest[0] == "join" {
			return append(out, joinArgs(rest[1:])...)
		}
		if rest[0] != "list" {
			return append(out, rest[1:]...)
		}
		rest = rest[1:]
	}
	own := ownFlags()
	var forGo []string
	inPackages := false
	for len(rest) > 0 {
		arg := rest[0]
		name, _, hasValue := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		takesValue, isOwn := own[name]
		if name == "shuffle" && !strings.HasPrefix(arg, "--") {
			isOwn = false // go test's, which has a value of its own
		}
		switch {
		case arg == "-args" || arg == "--args" || arg == "--":
			return append(append(append(out, "--"), forGo...), rest...)
		case !strings.HasPrefix(arg, "-") || arg == "-":
			inPackages = true
			forGo, rest = append(forGo, arg), rest[1:]
		case isOwn && (!inPackages || strings.HasPrefix(arg, "--")):
			out, rest = append(out, arg), rest[1:]
			if takesValue && !hasValue && len(rest) > 0 {
				out, rest = append(out, rest[0]), rest[1:]
			}
		default:
			forGo, rest = append(forGo, arg), rest[1:]
			if !inPackages && !hasValue && gotest.FlagTakesValue(name) && len(rest) > 0 {
				forGo, rest = append(forGo, rest[0]), rest[1:]
			}
		}
	}
	return append(append(out, "--"), forGo...)
}

// ownFlags maps the names of xdist's flags to whether they take a value.
func ownFlags() map[string]bool {
	own := make(map[string]bool)
	for _, f := range append(runFlags(), cli.HelpFlag) {
		_, isBool := f.(*cli.BoolFlag)
		if generic, ok := f.(*cli.GenericFlag); ok {
			value, ok := generic.Value.(interface{ IsBoolFlag() bool })
			isBool = ok && value.IsBoolFlag()
		}
		for _, name := range f.Names() {
			own[name] = !isBool
		}
	}
	return own
}

// checkUnknown rejects a flag before the packages that neither xdist nor go test has. go test would
// hand it to every test binary, which is never what a misspelt --flag was meant for.
func checkUnknown(args []string) error {
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if !strings.HasPrefix(arg, "-") || arg == "-" || arg == "--" || arg == "-args" || arg == "--args" {
			return nil
		}
		name, _, hasValue := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		if !gotest.FlagKnown(name) {
			return usageError(fmt.Errorf("flag %q is neither xdist's nor go test's (see xdist help); a flag of the test binary's own goes behind the packages", arg))
		}
		if gotest.FlagTakesValue(name) && !hasValue {
			i++
		}
	}
	return nil
}
