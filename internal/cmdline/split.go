// Package cmdline splits command lines into words, finds what a mistyped word may have meant, and
// makes text of others fit for a terminal. It is pure, and its functions may be called
// concurrently.
//
// Limits: no expansion, and none of a shell's operators and comments.
package cmdline

import (
	"errors"
	"strings"
)

// Split splits a command line as a shell does: at blanks, with quotes of both kinds. With escapes,
// a backslash takes the meaning from the next character. Without, it is a character like others, as
// in paths of Windows. Nothing is expanded. A quote that is not closed is an error, and so is an
// escape at the end.
func Split(line string, escapes bool) ([]string, error) {
	var words []string
	var word strings.Builder
	in := false // a word, which may be empty as ""
	quote := rune(0)
	escaped := false
	for _, r := range line {
		switch {
		case escaped:
			if quote == '"' && !strings.ContainsRune("\\\"$`\n", r) {
				word.WriteRune('\\')
			}
			word.WriteRune(r)
			escaped = false
		case escapes && r == '\\' && quote != '\'':
			escaped, in = true, true
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, in = r, true
		case strings.ContainsRune(" \t\r\n", r):
			if in {
				words = append(words, word.String())
				word.Reset()
				in = false
			}
		default:
			word.WriteRune(r)
			in = true
		}
	}
	switch {
	case quote != 0:
		return nil, errors.New("a quote is not closed")
	case escaped:
		return nil, errors.New("it ends with a backslash")
	case in:
		words = append(words, word.String())
	}
	return words, nil
}

// Printable replaces with blanks what could change a terminal: control characters, of both sets.
func Printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, text)
}

// Join is the command line of words for a POSIX shell, on which Split with escapes gives them back.
func Join(words []string) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = word
		if word == "" || strings.ContainsFunc(word, special) {
			quoted[i] = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
		}
	}
	return strings.Join(quoted, " ")
}

// special reports whether a shell may take a character for more than itself.
func special(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("%+,-./:=@_", r))
}
