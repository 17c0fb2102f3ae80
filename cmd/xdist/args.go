package main

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/internal/cmdline"
)

// subcommands are the first words that are not a package.
var subcommands = []string{"agent", "cache", "clean", "completion", "doctor", "exec", "handoff", "help", "history", "join", "keygen", "list", "man", "merge", "net", "serve", "show", "ui", "version"}

// splitArgs sorts a command line into xdist's own flags and go test's, and returns it as
//
//	xdist [subcommand] [xdist flags] -- [packages] [go test flags]
//
// Before the first package xdist's flags are known with one dash or two; go test's flags may stand
// there too. From the first package on the line is go test's, where -n, -x or -debug mean what they
// mean there or are the test binary's; xdist's own flags are known in their two-dash form only.
// What follows -args is the test binary's alone, and so is what follows -- behind a package; what
// follows -- before the first one is go test's.
func splitArgs(args []string) []string {
	program, rest := args[0], args[1:]
	out := []string{program}
	if len(rest) > 0 && (rest[0] == "--version" || rest[0] == "-version") {
		rest = append([]string{"version"}, rest[1:]...)
	}
	if len(rest) > 0 && slices.Contains(subcommands, rest[0]) && !isPackageNet(rest) {
		out = append(out, rest[0])
		if rest[0] == "join" {
			return append(out, flagsFirst(joinFlags(), rest[1:])...)
		}
		if rest[0] == "net" && len(rest) > 1 {
			return append(append(out, rest[1]), flagsFirst(netFlags(), rest[2:])...)
		}
		if rest[0] != "list" && rest[0] != "ui" {
			return append(out, rest[1:]...)
		}
		rest = rest[1:]
	}
	own, subcommand := ownFlags(), slices.Clone(out[1:])
	if slices.Contains(subcommand, "ui") {
		own[flagKeep] = false
	}
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
		case isOwn && (name == "help" || name == "h") && (!inPackages || strings.HasPrefix(arg, "--")):
			return slices.Concat([]string{program, "help"}, subcommand)
		case arg == "--" && !inPackages: // as gotestsum has it: go test's arguments follow
			return append(append(append(out, "--"), forGo...), rest[1:]...)
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

// isPackageNet reports whether the first word is the standard library's package net: what follows
// is none of what xdist net does then.
func isPackageNet(args []string) bool {
	return args[0] == "net" && len(args) > 1 && !slices.Contains(netWords, args[1])
}

// netWords may follow xdist net.
var netWords = []string{"start", "run", "add", "remove", "list", "status", "stop", "install", "uninstall", "help", "--help", "-h"}

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
			return checkWord(arg)
		}
		name, _, hasValue := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		if ours := inGotestsum[name]; ours != "" {
			return usageError(fmt.Errorf("flag %q is gotestsum's: %s", arg, ours))
		}
		if !gotest.FlagKnown(name) {
			return usageError(fmt.Errorf("flag %q is neither xdist's nor go test's%s (see xdist help); a flag of the test binary's own goes behind the packages", arg, didYouMean(name)))
		}
		if gotest.FlagTakesValue(name) && !hasValue {
			i++
		}
	}
	return nil
}

// didYouMean suggests a flag for one that nobody has.
func didYouMean(name string) string {
	names := gotest.FlagNames()
	for own := range ownFlags() {
		names = append(names, own)
	}
	slices.Sort(names)
	if near := cmdline.Nearest(name, names); near != "" {
		return fmt.Sprintf("; did you mean --%s?", near)
	}
	return ""
}

// checkWord rejects a word that is no package here and looks like one of xdist's commands.
func checkWord(arg string) error {
	if strings.ContainsAny(arg, "./\\-:") {
		return nil
	}
	near := cmdline.Nearest(arg, subcommands)
	if near == "" || near == arg {
		return nil
	}
	if out, err := exec.Command("go", "list", "-find", arg).CombinedOutput(); err == nil || len(out) == 0 {
		return nil // it is a package
	}
	return usageError(fmt.Errorf("%q is no package; did you mean the command xdist %s? (A directory is ./%s.)", arg, near, arg))
}
