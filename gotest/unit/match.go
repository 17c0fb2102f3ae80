package unit

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// The types below are those of testing/match.go of Go 1.26 (Copyright 2015 The Go Authors, BSD
// license).

// elements is one alternative of a pattern: a regular expression per level of subtests.
type elements []*regexp.Regexp

// alternatives is a whole -test.run or -test.skip pattern. Its text is kept in raw, alternative by
// alternative.
type alternatives struct {
	alts []elements
	raw  [][]string
}

// Match returns those of names, which are top-level tests, fuzz targets or examples, that a binary
// started with -test.run=run and -test.skip=skip would run. Empty patterns are no filter. A name
// counts when it matches the first element of a run pattern that has elements for subtests too; it
// is skipped only by a pattern without such elements. The order is that of names.
//
// A pattern that does not compile is an error with the text that the testing package would print.
func Match(run, skip string, names []string) ([]string, error) {
	r, err := parse("-test.run", run)
	if err != nil {
		return nil, err
	}
	s, err := parse("-test.skip", skip)
	if err != nil {
		return nil, err
	}
	var matched []string
	for _, name := range names {
		if ok, _ := r.matches(name); run != "" && !ok {
			continue
		}
		if skipped, partial := s.matches(name); skip != "" && skipped && !partial {
			continue
		}
		matched = append(matched, name)
	}
	return matched, nil
}

// RunPattern returns a -test.run pattern that runs those of names that the pattern run matches,
// with the subtests that run asks for, and nothing else. An alternative of run that matches none of
// names is left out. When nothing is left the pattern matches no test.
//
// A run that does not compile is an error with the text that the testing package would print.
func RunPattern(run string, names []string) (string, error) {
	if run == "" {
		return exactly(names), nil
	}
	parsed, err := parse("-test.run", run)
	if err != nil {
		return "", err
	}
	var alts []string
	for i, alt := range parsed.alts {
		var matched []string
		for _, name := range names {
			if alt[0].MatchString(name) {
				matched = append(matched, name)
			}
		}
		if len(matched) > 0 {
			alts = append(alts, strings.Join(append([]string{exactly(matched)}, parsed.raw[i][1:]...), "/"))
		}
	}
	if len(alts) == 0 {
		return exactly(nil), nil
	}
	return strings.Join(alts, "|"), nil
}

// exactly returns a regular expression that matches names and no other string.
func exactly(names []string) string {
	switch len(names) {
	case 0:
		return "^$" // no test has an empty name
	case 1:
		return "^" + regexp.QuoteMeta(names[0]) + "$"
	}
	var b strings.Builder
	b.WriteString("^(")
	for i, name := range names {
		if i > 0 {
			b.WriteByte('|')
		}
		b.WriteString(regexp.QuoteMeta(name))
	}
	b.WriteString(")$")
	return b.String()
}

// parse compiles a pattern. flag is named in errors.
func parse(flag, pattern string) (alternatives, error) {
	raw := splitPattern(pattern)
	p := alternatives{raw: raw}
	for i, parts := range raw {
		var alt elements
		for j, part := range parts {
			part = rewrite(part)
			re, err := regexp.Compile(part)
			if err != nil {
				where := ""
				if len(raw) > 1 {
					where = fmt.Sprintf("alternation %d of ", i)
				}
				return p, fmt.Errorf("testing: invalid regexp for %selement %d of %s (%q): %w", where, j, flag, part, err)
			}
			alt = append(alt, re)
		}
		p.alts = append(p.alts, alt)
	}
	return p, nil
}

// matches reports whether the pattern matches a top-level name (ok), and whether it does so as the
// beginning of a longer one (partial). As in the testing package, the first alternative that
// matches decides.
func (p alternatives) matches(name string) (ok, partial bool) {
	for _, alt := range p.alts {
		if alt[0].MatchString(name) {
			return true, len(alt) > 1
		}
	}
	return false, false
}

// splitPattern cuts a pattern at each | and / that is outside of brackets and parentheses, into
// alternatives of elements.
func splitPattern(s string) [][]string {
	var (
		alts            [][]string
		alt             []string
		square, parenth int
	)
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '[':
			square++
		case ']':
			square = max(square-1, 0) // an unmatched ] is legal
		case '(':
			if square == 0 {
				parenth++
			}
		case ')':
			if square == 0 {
				parenth--
			}
		case '\\':
			i++
		case '/', '|':
			if square != 0 || parenth != 0 {
				continue
			}
			alt = append(alt, s[:i])
			s, i = s[i+1:], -1
			if c == '|' {
				alts, alt = append(alts, alt), nil
			}
		}
	}
	return append(alts, append(alt, s))
}

// rewrite makes of a name or pattern what the testing package makes of it: no white space,
// printable runes only.
func rewrite(s string) string {
	b := []byte{}
	for _, r := range s {
		switch {
		case isSpace(r):
			b = append(b, '_')
		case !strconv.IsPrint(r):
			q := strconv.QuoteRune(r)
			b = append(b, q[1:len(q)-1]...)
		default:
			b = append(b, string(r)...)
		}
	}
	return string(b)
}

// isSpace is the testing package's set, which is not Unicode's class Z.
func isSpace(r rune) bool {
	switch r {
	case '\t', '\n', '\v', '\f', '\r', ' ', 0x85, 0xA0, 0x1680, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000:
		return true
	}
	return 0x2000 <= r && r <= 0x200a
}
