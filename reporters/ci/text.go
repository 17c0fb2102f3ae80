package ci

import (
	"crypto/rand"
	"strings"
	"unicode"
)

// apart stands where a command must not begin: a zero-width space, which nobody sees.
const apart = "\u200b"

// Text makes of what tests have printed what the service shows and does not obey: a test of a
// program for a CI service prints commands, too. Text without commands stays as it is. Jenkins has
// none.
//
//	GitHub      ::name…:: behind blanks at most, and ##[name] anywhere
//	Azure       ##vso[…] and ##[name] anywhere
//	TeamCity    ##teamcity[…] anywhere
//	Buildkite   ---, +++, ~~~ and ^^^ with a blank behind them, at the start of a line
//	GitLab      section_start: and section_end: anywhere
func (s Service) Text(output string) string {
	switch s {
	case GitHub:
		output = broken(output, "##[", 2)
		if !strings.Contains(output, "::") {
			return output
		}
		return eachLine(output, func(line string) string {
			command := strings.TrimLeftFunc(line, unicode.IsSpace)
			if !strings.HasPrefix(command, "::") {
				return line
			}
			return line[:len(line)-len(command)] + apart + command
		})
	case Azure:
		return broken(broken(output, "##vso[", 2), "##[", 2)
	case TeamCity:
		return broken(output, "##teamcity[", 2)
	case GitLab:
		return broken(broken(output, "section_start:", len("section_")), "section_end:", len("section_"))
	case Buildkite:
		return eachLine(output, func(line string) string {
			for _, header := range []string{"--- ", "+++ ", "~~~ ", "^^^ "} {
				if strings.HasPrefix(line, header) {
					return " " + line
				}
			}
			return line
		})
	}
	return output
}

// broken puts something into each command, behind its first n bytes.
func broken(output, command string, n int) string {
	if !strings.Contains(output, command) {
		return output
	}
	return strings.ReplaceAll(output, command, command[:n]+apart+command[n:])
}

func eachLine(text string, change func(line string) string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(change(line))
	}
	return b.String()
}

// unheard is a text between commands that have GitHub take none from it, which leave the text as it
// is. The word that ends this is one that no test knows.
func unheard(text string) string {
	if GitHub.Text(text) == text {
		return text
	}
	if !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	token := rand.Text()
	return "::stop-commands::" + token + "\n" + text + "::" + token + "::\n"
}
