package xspec

import (
	"fmt"
	"strconv"
	"strings"
)

// maxCopies bounds what one text can ask for: more agents than this on one host is a slip of the
// hand.
const maxCopies = 4096

// Expand reads the specifications of a command line in order. A text that begins with "N*" gives N
// copies of the Spec that follows, and "auto*" as many as auto says for it; auto is called once for
// each such text, in order, and may block. A nil auto makes "auto*" an error. The result is never
// empty: when the texts ask for no gateway at all that is an error too, as is an id that two Specs
// would have. Every error is an *Error.
func Expand(texts []string, auto func(Spec) (int, error)) ([]Spec, error) {
	var specs []Spec
	ids := make(map[string]bool)
	for _, text := range texts {
		count, rest, err := multiplier(text)
		if err != nil {
			return nil, err
		}
		spec, err := Parse(rest)
		if err != nil {
			return nil, err
		}
		if spec.Listen != "" && rest != text {
			return nil, &Error{Spec: text, Field: strings.TrimSuffix(text, rest), Reason: "a listener takes any number of agents: say how many with -n where they join (xdist join -n N)"}
		}
		if count == autoCount {
			if count, err = askAuto(text, spec, auto); err != nil {
				return nil, err
			}
		}
		for range count {
			if spec.ID != "" && ids[spec.ID] {
				return nil, &Error{Spec: text, Field: "id=" + spec.ID, Reason: "two gateways would have this id"}
			}
			ids[spec.ID] = true
			specs = append(specs, spec)
		}
	}
	if len(specs) == 0 {
		return nil, &Error{Spec: strings.Join(texts, " "), Reason: "asks for no gateway at all"}
	}
	return specs, nil
}

// Proxies reads specifications of gateways that serve only to be gone through. Each needs an id, by
// which others name it, and none can be multiplied. No texts give no Specs. Every error is an
// *Error.
func Proxies(texts []string) ([]Spec, error) {
	var specs []Spec
	ids := make(map[string]bool)
	for _, text := range texts {
		spec, err := Parse(text)
		switch {
		case err != nil:
			return nil, err
		case spec.ID == "":
			return nil, &Error{Spec: text, Field: "id", Reason: "a proxy needs id=, so that via= can name it"}
		case ids[spec.ID]:
			return nil, &Error{Spec: text, Field: "id=" + spec.ID, Reason: "two gateways would have this id"}
		}
		ids[spec.ID] = true
		specs = append(specs, spec)
	}
	return specs, nil
}

// autoCount stands for a count that is not known yet.
const autoCount = -1

// multiplier cuts "N*" or "auto*" off the text. A star counts only ahead of the first "=" or "/",
// because values may hold stars.
func multiplier(text string) (count int, rest string, err error) {
	i := strings.IndexAny(text, "*=/")
	if i < 0 || text[i] != '*' {
		return 1, text, nil
	}
	number, rest := text[:i], text[i+1:]
	if number == "auto" {
		return autoCount, rest, nil
	}
	n, err := strconv.Atoi(number)
	if err != nil || n < 0 || n > maxCopies {
		return 0, "", &Error{Spec: text, Field: text[:i+1],
			Reason: fmt.Sprintf("the count must be auto or a whole number from 0 to %d", maxCopies)}
	}
	return n, rest, nil
}

func askAuto(text string, spec Spec, auto func(Spec) (int, error)) (int, error) {
	if auto == nil {
		return 0, &Error{Spec: text, Field: "auto*", Reason: "cannot be counted here"}
	}
	n, err := auto(spec)
	if err != nil {
		return 0, &Error{Spec: text, Field: "auto*", Reason: "count usable cores", Err: err}
	}
	if n < 0 || n > maxCopies {
		return 0, &Error{Spec: text, Field: "auto*", Reason: fmt.Sprintf("count %d is not from 0 to %d", n, maxCopies)}
	}
	return n, nil
}
