package gateway

import (
	"errors"
	"strings"
)

// splitWords splits a command line as a shell does: at blanks, with quotes of both kinds. With
// escapes, a backslash takes the meaning from the next character; without, it is a character like
// others, as in paths of Windows. Nothing is expanded.
func splitWords(line string, escapes bool) ([]string, error) {
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

// quoteWord writes a word for a POSIX shell, on one line whatever it holds, provided that the
// variable nl of the shell holds a newline.
func quoteWord(word string) string {
	word = strings.ReplaceAll(word, "'", `'\''`)
	word = strings.ReplaceAll(word, "\n", `'"$nl"'`)
	return "'" + word + "'"
}
