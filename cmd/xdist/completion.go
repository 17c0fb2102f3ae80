package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// completionCommand prints what a shell needs to complete command lines of xdist. It is made from
// the commands and flags that the help is made from.
func completionCommand() *cli.Command {
	return &cli.Command{
		Name:            "completion",
		Usage:           "print the completion for a shell: bash, zsh or fish",
		UsageText:       "xdist completion bash|zsh|fish",
		Description:     "bash: source <(xdist completion bash) in ~/.bashrc\nzsh:  source <(xdist completion zsh) in ~/.zshrc\nfish: xdist completion fish >~/.config/fish/completions/xdist.fish",
		HideHelpCommand: true,
		Action: func(c *cli.Context) error {
			var text string
			var err error
			switch c.Args().First() {
			case "bash":
				text = bashCompletion(c.App)
			case "zsh":
				text = "autoload -Uz compinit bashcompinit && compinit && bashcompinit\n" + bashCompletion(c.App)
			case "fish":
				text, err = c.App.ToFishCompletion()
			default:
				return usageError(errors.New("xdist completion: for which shell? bash, zsh or fish"))
			}
			if err == nil {
				_, err = fmt.Fprint(c.App.Writer, text)
			}
			return err
		},
	}
}

// manCommand prints the manual page.
func manCommand() *cli.Command {
	return &cli.Command{
		Name:            "man",
		Usage:           "print the manual page, for man -l -",
		HideHelpCommand: true,
		Action: func(c *cli.Context) error {
			page, err := c.App.ToManWithSection(1)
			if err == nil {
				_, err = fmt.Fprint(c.App.Writer, page)
			}
			return err
		},
	}
}

// bashCompletion completes commands, the flags of the command that was typed, and else names of
// files and directories.
func bashCompletion(app *cli.App) string {
	var b strings.Builder
	var commands []string
	b.WriteString("# Completion of xdist for bash: source <(xdist completion bash)\n_xdist() {\n\tlocal cur=${COMP_WORDS[COMP_CWORD]} words\n\tcase ${COMP_WORDS[1]} in\n")
	for _, c := range app.VisibleCommands() {
		if c.Name == "help" {
			continue
		}
		commands = append(commands, c.Name)
		words := flagWords(c.VisibleFlags())
		for _, sub := range c.Subcommands {
			words = append(words, sub.Name)
			words = append(words, flagWords(sub.VisibleFlags())...)
		}
		slices.Sort(words)
		fmt.Fprintf(&b, "\t%s) words=%q ;;\n", c.Name, strings.Join(slices.Compact(words), " "))
	}
	fmt.Fprintf(&b, "\t*) words=%q ;;\n\tesac\n", strings.Join(flagWords(app.VisibleFlags()), " "))
	fmt.Fprintf(&b, "\tif [ \"$COMP_CWORD\" = 1 ] && [ \"${cur#-}\" = \"$cur\" ]; then words=%q; fi\n", strings.Join(commands, " "))
	b.WriteString("\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\") $(compgen -f -- \"$cur\"))\n}\ncomplete -o filenames -F _xdist xdist\n")
	return b.String()
}

func flagWords(flags []cli.Flag) []string {
	var words []string
	for _, f := range flags {
		for _, name := range f.Names() {
			if len(name) > 1 {
				words = append(words, "--"+name)
			}
		}
	}
	slices.Sort(words)
	return words
}
