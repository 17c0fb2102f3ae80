package xspec

import (
	"encoding"
	"flag"
	"strings"
)

// Specs are the specifications of a flag that may be given many times, such as -tx 4*popen -tx
// ssh=host: a flag.Value, whose values Expand reads. The zero value is ready for use.
type Specs []Spec

var (
	_ flag.Value               = (*Specs)(nil)
	_ encoding.TextUnmarshaler = (*Spec)(nil)
	_ encoding.TextMarshaler   = Spec{}
)

// String implements flag.Value: the texts, with blanks between them.
func (s *Specs) String() string {
	var texts []string
	if s != nil {
		for _, spec := range *s {
			texts = append(texts, spec.String())
		}
	}
	return strings.Join(texts, " ")
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
