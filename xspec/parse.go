package xspec

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/xdist-go/xdist/internal/cmdline"
)

// maxNice bounds nice in both directions: niceness runs from -20 to 19, so no larger step has a
// meaning.
const maxNice = 39

// Parse reads one specification. Every error is an *Error.
func Parse(text string) (Spec, error) {
	s := Spec{text: text}
	seen := make(map[string]bool)
	for field := range strings.SplitSeq(text, "//") {
		key, value, hasValue := strings.Cut(field, "=")
		if len(seen) == 0 && !hasValue && strings.Contains(field, "@") {
			key, value, hasValue = "ssh", field, true // user@host
		}
		if reason := badKey(field, key, seen); reason != "" {
			return Spec{}, &Error{Spec: text, Field: field, Reason: reason}
		}
		seen[key] = true
		if strings.ContainsRune(field, 0) {
			return Spec{}, &Error{Spec: text, Field: field, Reason: "holds a NUL byte"}
		}
		if reason := s.set(key, value, hasValue); reason != "" {
			return Spec{}, &Error{Spec: text, Field: field, Reason: reason}
		}
	}
	if field, reason := s.contradiction(); reason != "" {
		return Spec{}, &Error{Spec: text, Field: field, Reason: reason}
	}
	return s, nil
}

// badKey returns what is wrong with the key of this field, or "".
func badKey(field, key string, seen map[string]bool) string {
	switch {
	case field == "":
		return "is empty"
	case key == "":
		return "has no key before ="
	case strings.HasPrefix(key, "_"):
		return "key " + quote(key) + " begins with an underscore"
	case strings.HasPrefix(key, "/"):
		return "has a / where a key must begin: fields are separated by exactly two"
	case !strings.HasPrefix(key, "env:") && strings.Contains(key, "*"):
		return "key " + quote(key) + " holds a *, which is only for a count at the very beginning"
	case seen[key]:
		return "key " + quote(key) + " is given twice"
	}
	return ""
}

// set stores one field and returns what is wrong with it, or "".
func (s *Spec) set(key, value string, hasValue bool) (reason string) {
	if name, ok := strings.CutPrefix(key, "env:"); ok {
		return s.setEnv(name, value, hasValue)
	}
	if name, ok := strings.CutPrefix(key, "label:"); ok {
		return s.setLabel(name, hasValue)
	}
	switch key {
	case "popen":
		if hasValue {
			return "takes no value"
		}
		s.Popen = true
		return ""
	case "insecure":
		if hasValue {
			return "takes no value"
		}
		s.Insecure = true
		return ""
	case "socket":
		s.socket = true
		if !hasValue {
			return "" // installvia chooses the address; contradiction checks that it is there
		}
	case "compress":
		if value != "zstd" {
			return "can only be zstd"
		}
		s.Compress = value
		return ""
	case "exec":
		if words, err := cmdline.Split(value, true); err != nil {
			return err.Error()
		} else if len(words) == 0 {
			return "needs a value"
		}
	case "build":
		if value != "remote" {
			return "can only be remote"
		}
		s.BuildRemote = true
		return ""
	case "nice":
		n, err := strconv.Atoi(value)
		if err != nil || n < -maxNice || n > maxNice {
			return fmt.Sprintf("must be a whole number from %d to %d", -maxNice, maxNice)
		}
		s.Nice = n
		return ""
	}
	p := s.textField(key)
	if p == nil {
		if !hasValue {
			value = "true"
		}
		s.Unknown = append(s.Unknown, Var{key, value})
		return ""
	}
	if value == "" {
		return "needs a value"
	}
	*p = value
	if key == "label" {
		for name := range strings.SplitSeq(value, ",") {
			if reason := s.setLabel(name, false); reason != "" {
				return reason
			}
		}
	}
	return ""
}

func (s *Spec) setEnv(name, value string, hasValue bool) (reason string) {
	switch {
	case name == "":
		return "names no variable"
	case !hasValue:
		return "needs = and a value, which may be empty"
	}
	s.Env = append(s.Env, Var{name, value})
	return ""
}

func (s *Spec) setLabel(name string, hasValue bool) (reason string) {
	switch {
	case name == "":
		return "names no label"
	case hasValue:
		return "takes no value"
	case strings.ContainsAny(name, " \t\r\n"):
		return "a label is one word"
	}
	if !slices.Contains(s.Labels, name) {
		s.Labels = append(s.Labels, name)
	}
	return ""
}

// textField returns where the value of a key that takes one text is kept, or nil for an unknown
// key.
func (s *Spec) textField(key string) *string {
	switch key {
	case "ssh":
		return &s.SSH
	case "socket":
		return &s.Socket
	case "cmd":
		return &s.Cmd
	case "listen":
		return &s.Listen
	case "net":
		return &s.Net
	case "host":
		return &s.Host
	case "label":
		return &s.Label
	case "via":
		return &s.Via
	case "installvia":
		return &s.InstallVia
	case "id":
		return &s.ID
	case "chdir":
		return &s.Chdir
	case "go":
		return &s.Go
	case "goos":
		return &s.GOOS
	case "goarch":
		return &s.GOARCH
	case "exec":
		return &s.Exec
	case "key":
		return &s.Key
	}
	return nil
}

// contradiction finds fields that can never work together.
func (s *Spec) contradiction() (field, reason string) {
	if names := s.transports(); len(names) > 1 {
		return names[1], "cannot be combined with " + names[0]
	}
	switch {
	case s.socket && s.Socket == "" && s.InstallVia == "":
		return "socket", "needs an address, or installvia to choose one"
	case s.InstallVia != "" && !s.socket:
		return "installvia", "is only for socket"
	case s.InstallVia != "" && s.Via != "":
		return "installvia", "cannot be combined with via"
	case s.Host != "" && s.Net == "":
		return "host", "is only for net: it names a host of the network"
	case s.Label != "" && s.Net == "":
		return "label", "is only for net, whose hosts it chooses among; label:NAME gives a gateway a label"
	case s.BuildRemote && s.Popen && s.Via == "":
		return "build", "is for other hosts: what popen runs is built here anyway"
	case s.BuildRemote && s.GOOS != "":
		return "goos", "cannot be combined with build=remote: a host builds for itself"
	case s.BuildRemote && s.GOARCH != "":
		return "goarch", "cannot be combined with build=remote: a host builds for itself"
	case s.ID != "" && (s.ID == s.Via || s.ID == s.InstallVia):
		return "id", "names the gateway that it goes through"
	case s.Listen != "":
		return s.listenContradiction()
	case s.Insecure:
		return "insecure", "is only for listen"
	}
	return "", ""
}

// listenContradiction is contradiction for a Spec that waits for agents. An id may be there: each
// agent that comes gets one in its copy.
func (s *Spec) listenContradiction() (field, reason string) {
	switch {
	case s.Via != "":
		return "via", "cannot be combined with listen, which is for agents that come by themselves"
	case s.Key == "" && !s.Insecure:
		return "listen", "needs key=FILE, or insecure for agents of this host alone"
	case s.Key != "" && s.Insecure:
		return "insecure", "cannot be combined with key"
	}
	return "", ""
}

// quote writes text between quotes as the user typed it, so that a backslash stays one; unprintable
// text is escaped.
func quote(text string) string {
	if slices.ContainsFunc([]rune(text), func(r rune) bool { return !strconv.IsPrint(r) || r == '"' }) {
		return strconv.Quote(text)
	}
	return `"` + text + `"`
}
