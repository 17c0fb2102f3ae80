package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/urfave/cli/v2"

	"github.com/xdist-go/xdist/internal/cmdline"
)

const (
	helpWidth = 80
	// helpColumn is where what is said of a flag or command begins. A longer name has a line of its
	// own.
	helpColumn = 26
)

// Groups of flags, in the order in which the help has them.
const (
	groupGateways = "Gateways"
	groupSpread   = "Which tests run, where and when"
	groupFailures = "Tests that fail, hang or crash"
	groupShown    = "What is shown"
	groupReports  = "Reports"
	groupKept     = "What is kept and known"
	groupFiles    = "Files of other hosts"
	groupOther    = ""
)

var groups = []string{groupGateways, groupSpread, groupFailures, groupShown, groupReports, groupKept, groupFiles, groupOther}

// in puts flags into a group.
func in(group string, flags ...cli.Flag) []cli.Flag {
	for _, f := range flags {
		switch f := f.(type) {
		case *cli.StringFlag:
			f.Category = group
		case *cli.StringSliceFlag:
			f.Category = group
		case *cli.BoolFlag:
			f.Category = group
		case *cli.IntFlag:
			f.Category = group
		case *cli.DurationFlag:
			f.Category = group
		case *cli.GenericFlag:
			f.Category = group
		default:
			panic(fmt.Sprintf("BUG: a flag is a %T", f))
		}
	}
	return flags
}

// helpCommand prints the help of xdist or of a command.
func helpCommand() *cli.Command {
	return &cli.Command{
		Name:      "help",
		Usage:     "say what xdist or a command of it does",
		UsageText: "xdist help [COMMAND [SUBCOMMAND]]",
		HideHelp:  true,
		Action: func(c *cli.Context) error {
			var found *cli.Command
			known := c.App.Commands
			for _, word := range c.Args().Slice() {
				i := slices.IndexFunc(known, func(k *cli.Command) bool { return k.HasName(word) })
				if i < 0 {
					return usageError(fmt.Errorf("xdist help: there is no command %q%s", word, meant(word, commandNames(known), "")))
				}
				found, known = known[i], known[i].Subcommands
			}
			if found == nil {
				printHelp(c.App.Writer, "", c.App)
			} else {
				printHelp(c.App.Writer, "", found)
			}
			return nil
		},
	}
}

func commandNames(commands []*cli.Command) []string {
	var names []string
	for _, c := range commands {
		if !c.Hidden {
			names = append(names, c.Name)
		}
	}
	return names
}

// meant asks whether somebody meant one of the names, which stand behind a prefix; "" when none is
// near.
func meant(word string, names []string, prefix string) string {
	if near := cmdline.Nearest(word, names); near != "" {
		return fmt.Sprintf("; did you mean %s%s?", prefix, near)
	}
	return ""
}

// oneOf refuses a value of a flag that is not among the names.
func oneOf(flag, value string, names []string) error {
	if slices.Contains(names, value) {
		return nil
	}
	return usageError(fmt.Errorf("--%s %q: want one of %s%s", flag, value, strings.Join(names, ", "), meant(value, names, "")))
}

// unknownFlag makes of an error about a flag of a command one that says which it may be.
func unknownFlag(c *cli.Context, err error) error {
	name, ok := strings.CutPrefix(err.Error(), "flag provided but not defined: ")
	if !ok || c == nil || c.Command == nil {
		return usageError(err)
	}
	var names []string
	for _, f := range c.Command.VisibleFlags() {
		names = append(names, f.Names()...)
	}
	return usageError(fmt.Errorf("%s has no flag %q%s", strings.TrimSpace(c.Command.HelpName), "--"+strings.TrimLeft(name, "-"), meant(strings.TrimLeft(name, "-"), names, "--")))
}

// printHelp is cli's HelpPrinter for what is a *cli.App or a *cli.Command. It asks for no template.
func printHelp(w io.Writer, _ string, of any) {
	h := &help{}
	switch of := of.(type) {
	case *cli.App:
		h.text("xdist: " + of.Usage)
		h.usage(of.UsageText)
		h.section("", of.Description)
		h.commands(of.VisibleCommands())
		h.flags(of.VisibleFlags())
	case *cli.Command:
		name := of.HelpName
		if name == "" {
			name = "xdist " + of.Name
		}
		h.text(name + ": " + of.Usage)
		h.usage(of.UsageText)
		h.section("", of.Description)
		h.commands(of.VisibleCommands())
		h.flags(of.VisibleFlags())
	}
	io.WriteString(w, h.String()) // nobody is told of an error, as of any print to the standard output
}

// help is a text of lines that fit.
type help struct{ strings.Builder }

// text adds paragraphs. Lines that begin with a space stay lines; all others are filled.
func (h *help) text(text string) {
	for i, paragraph := range strings.Split(strings.TrimRight(text, "\n"), "\n\n") {
		if i > 0 {
			h.WriteByte('\n')
		}
		if !strings.Contains("\n"+paragraph, "\n ") {
			h.line("", paragraph, "")
			continue
		}
		for line := range strings.Lines(paragraph) {
			words := strings.TrimLeft(line, " ")
			indent := line[:len(line)-len(words)]
			// What follows a gap hangs below its first line.
			hang := indent
			if i := strings.LastIndex(strings.TrimSpace(words), "  "); i >= 0 {
				hang += strings.Repeat(" ", i+2)
			}
			h.line(indent, strings.TrimRight(words, "\n"), hang)
		}
	}
}

// line adds words, filled, the first line behind first and all others behind hang. Gaps of several
// spaces stay.
func (h *help) line(first, words, hang string) {
	line := first
	for i, word := range strings.Split(strings.ReplaceAll(words, "\n", " "), " ") {
		switch {
		case i == 0:
			line += word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > helpWidth && strings.TrimSpace(line) != "":
			h.WriteString(strings.TrimRight(line, " ") + "\n")
			line = hang + word
		default:
			line += " " + word
		}
	}
	h.WriteString(strings.TrimRight(line, " ") + "\n")
}

func (h *help) section(title, text string) {
	if text == "" {
		return
	}
	h.WriteByte('\n')
	if title != "" {
		h.WriteString(title + ":\n")
	}
	h.text(text)
}

func (h *help) usage(text string) {
	if text == "" {
		return
	}
	h.WriteString("\nUsage:\n")
	for line := range strings.Lines(text) {
		h.line("   ", strings.TrimSpace(line), "      ")
	}
}

func (h *help) commands(all []*cli.Command) {
	for i, c := range all {
		if i == 0 {
			h.WriteString("\nCommands:\n")
		}
		h.entry(c.Name, c.Usage)
	}
}

// flags adds the flags by their groups.
func (h *help) flags(all []cli.Flag) {
	for _, group := range groups {
		first := true
		for _, f := range all {
			of, ok := f.(cli.CategorizableFlag)
			if !ok || of.GetCategory() != group {
				continue
			}
			if first {
				h.WriteString("\n" + cmp.Or(group, "Flags") + ":\n")
				first = false
			}
			h.entry(flagHelp(f.(cli.DocGenerationFlag)))
		}
	}
}

// flagHelp is a flag as it is written, and what is said of it.
func flagHelp(f cli.DocGenerationFlag) (name, says string) {
	says = f.GetUsage()
	placeholder := ""
	if before, rest, ok := strings.Cut(says, "`"); ok {
		word, after, _ := strings.Cut(rest, "`")
		placeholder, says = word, before+word+after
	}
	var names []string
	for _, n := range f.Names() {
		dashes := "--"
		if len(n) == 1 {
			dashes = "-"
		}
		names = append(names, dashes+n)
	}
	name = strings.Join(names, ", ")
	if f.TakesValue() {
		if placeholder == "" {
			placeholder = "VALUE"
		}
		name += " " + placeholder
	}
	if text := f.GetDefaultText(); text != "" && text != "0" && text != "0s" && f.TakesValue() {
		says += " (default: " + strings.Trim(text, `"`) + ")"
	}
	if vars := f.GetEnvVars(); len(vars) > 0 {
		says += " [$" + strings.Join(vars, ", $") + "]"
	}
	return name, says
}

// entry adds a name with what is said of it in a column.
func (h *help) entry(name, says string) {
	hang := strings.Repeat(" ", helpColumn)
	if len(name)+3+2 > helpColumn {
		h.WriteString("   " + name + "\n")
		h.line(hang, says, hang)
		return
	}
	h.line(fmt.Sprintf("   %-*s", helpColumn-3, name), says, hang)
}
