package test2json

import (
	"math"
	"strconv"
	"time"
	"unicode/utf8"
)

// AppendJSON appends the event as cmd/test2json and cmd/go write it, without the newline after it,
// and returns the extended slice: their order of fields, and encoding/json's way of writing times,
// numbers and strings, with <, > and & escaped.
//
// A U+FFFD in what tests print (Output, Key, Value, Path) is written as \ufffd, which is how a byte
// that is not UTF-8 reads in their output. A U+FFFD that the test itself printed stands there
// unescaped, as it does in names; both forms mean the same. A Time or Elapsed that JSON cannot hold
// (a year past 9999, NaN) is left out.
func (e Event) AppendJSON(dst []byte) []byte {
	building := e.Action == ActionBuildOutput || e.Action == ActionBuildFail
	dst = append(dst, '{')
	if building {
		dst = append(dst, `"ImportPath":`...)
		dst = appendString(dst, e.ImportPath, asIs)
		dst = append(dst, ',')
	}
	if isRFC3339(e.Time) {
		dst = append(dst, `"Time":"`...)
		dst = e.Time.AppendFormat(dst, time.RFC3339Nano)
		dst = append(dst, `",`...)
	}
	dst = append(dst, `"Action":`...)
	dst = appendString(dst, e.Action, asIs)
	if !building {
		dst = appendField(dst, `,"ImportPath":`, e.ImportPath)
	}
	dst = appendField(dst, `,"Package":`, e.Package)
	dst = appendField(dst, `,"Test":`, e.Test)
	if e.Elapsed != nil && !math.IsInf(*e.Elapsed, 0) && !math.IsNaN(*e.Elapsed) {
		dst = append(dst, `,"Elapsed":`...)
		dst = appendNumber(dst, *e.Elapsed)
	}
	dst = appendPrinted(dst, `,"Output":`, e.Output)
	dst = appendField(dst, `,"FailedBuild":`, e.FailedBuild)
	dst = appendPrinted(dst, `,"Key":`, e.Key)
	dst = appendPrinted(dst, `,"Value":`, e.Value)
	dst = appendPrinted(dst, `,"Path":`, e.Path)
	return append(dst, '}')
}

// appendField appends a field and its name, or nothing when the value is empty.
func appendField(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	return appendString(append(dst, name...), value, asIs)
}

// appendPrinted is appendField for a value in which bytes that were not UTF-8 have been replaced.
func appendPrinted(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	return appendString(append(dst, name...), value, asReplaced)
}

// AppendString appends s as encoding/json writes a string, with <, > and & escaped.
func AppendString(dst []byte, s string) []byte { return appendString(dst, s, asIs) }

// fffd says what a U+FFFD in a string stands for, and so how it is written.
type fffd int

const (
	asIs       fffd = iota // itself
	asReplaced             // a byte that was not UTF-8
)

// appendString appends s as encoding/json writes it with HTML escaping on.
func appendString(dst []byte, s string, how fffd) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	done := 0 // s[:done] has been appended
	for i := 0; i < len(s); {
		c := s[i]
		if isPlain(c) {
			i++
			continue
		}
		size := 1
		var escape string
		switch {
		case c >= utf8.RuneSelf:
			var r rune
			r, size = utf8.DecodeRuneInString(s[i:])
			switch {
			case r == utf8.RuneError && (size == 1 || how == asReplaced):
				escape = `\ufffd`
			case r == '\u2028':
				escape = `\u2028`
			case r == '\u2029':
				escape = `\u2029`
			}
		case c == '"':
			escape = `\"`
		case c == '\\':
			escape = `\\`
		case c == '\n':
			escape = `\n`
		case c == '\r':
			escape = `\r`
		case c == '\t':
			escape = `\t`
		case c == '\b':
			escape = `\b`
		case c == '\f':
			escape = `\f`
		default:
			dst = append(dst, s[done:i]...)
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
			done = i + 1
		}
		if escape != "" {
			dst = append(dst, s[done:i]...)
			dst = append(dst, escape...)
			done = i + size
		}
		i += size
	}
	dst = append(dst, s[done:]...)
	return append(dst, '"')
}

// isPlain reports whether c stands for itself in a JSON string: ASCII but for ", \, <, >, & and
// control characters.
func isPlain(c byte) bool {
	const (
		low  uint64 = (1<<64 - 1<<' ') &^ (1<<'"' | 1<<'&' | 1<<'<' | 1<<'>') // bit c for c below 64
		high uint64 = (1<<64 - 1) &^ (1 << ('\\' - 64))                       // bit c-64
	)
	if c < 64 {
		return low>>c&1 != 0
	}
	return c < utf8.RuneSelf && high>>(c-64)&1 != 0
}

// appendNumber appends a finite f as encoding/json does: like ECMAScript, and with no 0 before a
// one-digit exponent.
func appendNumber(dst []byte, f float64) []byte {
	if abs := math.Abs(f); abs == 0 || 1e-6 <= abs && abs < 1e21 {
		return strconv.AppendFloat(dst, f, 'f', -1, 64)
	}
	dst = strconv.AppendFloat(dst, f, 'e', -1, 64)
	if n := len(dst); n >= 4 && string(dst[n-4:n-1]) == "e-0" {
		dst = append(dst[:n-2], dst[n-1])
	}
	return dst
}

// isRFC3339 reports whether t is set and RFC 3339 has a form for it.
func isRFC3339(t time.Time) bool {
	if t.IsZero() || t.Year() < 0 || t.Year() > 9999 {
		return false
	}
	_, offset := t.Zone()
	return -24*60*60 < offset && offset < 24*60*60
}
