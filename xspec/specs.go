package xspec

import (
	"encoding"
	"flag"
	"strings"

	"github.com/xdist-go/xdist/internal/cmdline"
)

// Specs are the specifications of a flag that may be given many times, such as -tx 4*popen -tx
// ssh=host: a flag.Value, whose values Expand reads. As one text, such as that of a variable or a
// configuration, they are words: "4*popen 'ssh=-p 22 host'". The zero value is ready for use.
type Specs []Spec

var (
	_ flag.Value               = (*Specs)(nil)
	_ encoding.TextUnmarshaler = (*Specs)(nil)
	_ encoding.TextMarshaler   = Specs{}
	_ encoding.TextUnmarshaler = (*Spec)(nil)
	_ encoding.TextMarshaler   = Spec{}
)

// String implements flag.Value, as MarshalText.
func (s *Specs) String() string {
	if s == nil {
		return ""
	}
	var words []string
	for _, spec := range *s {
		word := spec.String()
		if word == "" || strings.ContainsAny(word, " \t\r\n'\"") {
			word = "'" + strings.ReplaceAll(word, "'", `'"'"'`) + "'"
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

// MarshalText implements encoding.TextMarshaler: the texts with blanks between them, in quotes
// where one has blanks or quotes itself.
func (s Specs) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler: it puts what Expand makes of the words of the
// text in the place of what was there. The words have white space between them, and may be in
// quotes of either kind; a backslash is a character like others. No words are no Specs.
func (s *Specs) UnmarshalText(text []byte) error {
	words, err := cmdline.Split(string(text), false)
	if err != nil {
		return &Error{Spec: string(text), Field: string(text), Reason: err.Error()}
	}
	var specs []Spec
	if len(words) > 0 {
		if specs, err = Expand(words, nil); err != nil {
			return err
		}
	}
	*s = specs
	return nil
}

// Set implements flag.Value: it adds what Expand makes of the text. A second use of an id is an
// error.
func (s *Specs) Set(text string) error {
	more, err := Expand([]string{text}, nil)
	if err != nil {
		return err
	}
	ids := make(map[string]bool)
	for _, spec := range *s {
		ids[spec.ID] = true
	}
	for _, spec := range more {
		if spec.ID != "" && ids[spec.ID] {
			return &Error{Spec: text, Field: "id=" + spec.ID, Reason: "two gateways would have this id"}
		}
	}
	*s = append(*s, more...)
	return nil
}

// UnmarshalText implements encoding.TextUnmarshaler, by Parse.
func (s *Spec) UnmarshalText(text []byte) error {
	parsed, err := Parse(string(text))
	if err == nil {
		*s = parsed
	}
	return err
}

// MarshalText implements encoding.TextMarshaler, as String.
func (s Spec) MarshalText() ([]byte, error) { return []byte(s.text), nil }
