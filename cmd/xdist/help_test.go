package main

import (
	"errors"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/urfave/cli/v2"
)

// The help of xdist and of each of its commands fits a terminal of 80 columns, and has every flag,
// those of a run in groups.
func TestHelp(t *testing.T) {
	app := newApp(io.Discard, io.Discard)
	shown := map[string]any{"xdist": app}
	flags := map[string][]cli.Flag{"xdist": app.Flags}
	var add func(name string, commands []*cli.Command)
	add = func(name string, commands []*cli.Command) {
		for _, c := range commands {
			if !c.Hidden {
				shown[name+" "+c.Name], flags[name+" "+c.Name] = c, c.Flags
				add(name+" "+c.Name, c.Subcommands)
			}
		}
	}
	add("xdist", app.Commands)
	if len(shown) < 25 {
		t.Fatalf("there are %d commands only", len(shown))
	}
	for name, of := range shown {
		var b strings.Builder
		printHelp(&b, "", of)
		for line := range strings.Lines(b.String()) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > helpWidth {
				t.Errorf("%s: %d columns: %s", name, n, line)
			}
		}
		for _, f := range flags[name] {
			if v, ok := f.(cli.VisibleFlag); ok && v.IsVisible() && !strings.Contains(b.String(), "--"+f.Names()[0]) && !strings.Contains(b.String(), "-"+f.Names()[0]+" ") {
				t.Errorf("%s does not have %s", name, f.Names()[0])
			}
		}
	}
	for _, f := range runFlags() {
		if of := f.(cli.CategorizableFlag); of.IsVisible() && of.GetCategory() == "" {
			t.Errorf("--%s is in no group", f.Names()[0])
		}
	}
}

// What nobody has is an error of usage, with what it may have been.
func TestMeant(t *testing.T) {
	for line, want := range map[string]string{
		"help histroy":            `there is no command "histroy"; did you mean history?`,
		"help net strat":          `there is no command "strat"; did you mean start?`,
		"history --jsn":           `xdist history has no flag "--jsn"; did you mean --json?`,
		"history rnus":            `got "rnus"; did you mean runs?`,
		"cache shwo":              `got "shwo"; did you mean show?`,
		"net strat":               `got "strat"; did you mean start?`,
		"--format pkgnam ./nix":   `--format "pkgnam": want one of xdist, pkgname`,
		"--ci githb ./nix":        `did you mean github?`,
		"--dist lod ./nix":        `--dist "lod": want one of load, `,
		"--format zzzzzz ./nix":   `want one of xdist,`,
		"exec --tx popen --jason": `did you mean --json?`,
	} {
		err := newApp(io.Discard, io.Discard).Run(splitArgs(append([]string{"xdist"}, strings.Fields(line)...)))
		var ended *endedError
		if !errors.As(err, &ended) || ended.status != statusUsage || !strings.Contains(err.Error(), want) {
			t.Errorf("xdist %s: %v, want an error of usage with %q", line, err, want)
		}
		if asked := strings.Contains(err.Error(), "did you mean"); asked != (line != "--format zzzzzz ./nix") {
			t.Errorf("xdist %s: %v", line, err)
		}
	}
}

// Help is help wherever it stands before what is the test binary's.
func TestHelpAnywhere(t *testing.T) {
	for line, want := range map[string]string{
		"--help": "Which tests run", "-h": "Which tests run", "help": "Which tests run", "./... --help": "Which tests run", "-race --help ./...": "Which tests run",
		"ui --help": "--keep", "list ./... --help": "print the test ids", "help cache": "xdist cache: show or prune", "cache --help": "xdist cache: show or prune", "help net start": "start: start a network", "history runs -h": "list the last runs",
	} {
		cli.HelpPrinter = printHelp
		var out strings.Builder
		if err := newApp(&out, io.Discard).Run(splitArgs(append([]string{"xdist"}, strings.Fields(line)...))); err != nil || !strings.Contains(out.String(), want) {
			t.Errorf("xdist %s: %v, printed %q", line, err, out.String())
		}
	}
}
