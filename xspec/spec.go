package xspec

import (
	"slices"
	"strings"

	"github.com/xdist-go/xdist/internal/cmdline"
)

// Spec is one validated specification. The zero value is the empty specification: it has no
// transport and its String is "". A Spec is a value; nobody changes its slices after Parse returned
// it.
type Spec struct {
	text string

	// Popen says that the agent is a child process of the controller.
	Popen bool
	// SSH holds the options and the destination as given: "-p 22 user@host". Empty when not given.
	SSH string
	// Socket is the address of a listening agent, host:port. With InstallVia it may be empty.
	Socket string
	// Cmd is a command line whose standard input and output lead to an agent.
	Cmd string
	// Net is the name of the deployment network whose host the agent is to be on.
	Net string
	// Listen is the address, host:port, at which the controller waits for agents that connect by
	// themselves, any number of them.
	Listen string

	// Via is the id of the gateway through which this one is opened.
	Via string
	// InstallVia is the id of the gateway that starts the socket server to connect to.
	InstallVia string

	// Host is the id of the host in the network Net. Empty lets the network choose among its hosts:
	// by Label, and by GOOS and GOARCH without Exec.
	Host string
	// Label is what the network's host must have: a label, or several with commas between them. The
	// gateway has them then, among its Labels.
	Label string

	// ID is the gateway's id; empty lets the group choose.
	ID string
	// Chdir is the agent's working directory, created when missing; relative to the agent's start
	// directory.
	Chdir string
	// Nice is added to the niceness of the agent. 0 when not given.
	Nice int
	// Env holds the variables to set before the agent's process starts, in the order given.
	Env []Var

	// Go is the Go toolchain to build with.
	Go string
	// GOOS and GOARCH say for which platform to build; empty means the agent's own.
	GOOS, GOARCH string
	// BuildRemote says that programs for the gateway's host are built there, with the Go that is
	// there.
	BuildRemote bool
	// Exec is the wrapper, such as an emulator, to run built programs under: a command line, of
	// which ExecWords has the words.
	Exec string
	// Compress is how the bytes between the two sides are compressed: zstd, or empty for not at
	// all.
	Compress string
	// Key names the secret or identity that a transport authenticates with.
	Key string
	// Insecure says that Listen takes agents without a Key.
	Insecure bool

	// Labels are words by which gateways are chosen, in the order of the text: each is for its
	// user to give a meaning, such as gpu.
	Labels []string
	// Unknown holds the fields with keys that have no meaning here, in the order given.
	Unknown []Var

	socket bool
}

// Var is a key and its value. A key without a value, a flag, has the value "true".
type Var struct{ Name, Value string }

// String returns the text that Parse was given.
func (s Spec) String() string { return s.text }

// Equal reports whether the texts of both are the same. Specs that mean the same but are written in
// another order are not equal.
func (s Spec) Equal(t Spec) bool { return s.text == t.text }

// WithID returns a copy of s that has the given id, written as a last field of its text. It returns
// an *Error when s has an id already or the id cannot be written.
func (s Spec) WithID(id string) (Spec, error) {
	return s.With("id", id)
}

// With returns a copy of s with one field more, at the end of its text. It returns an *Error when s
// has the key already or the field cannot be written.
func (s Spec) With(key, value string) (Spec, error) {
	text := key + "=" + value
	if s.text != "" {
		text = s.text + "//" + text
	}
	if strings.Contains(value, "//") {
		return Spec{}, &Error{Spec: text, Field: key, Reason: "a value cannot hold //"}
	}
	return Parse(text)
}

// HasTransport reports whether s says how to reach an agent at all.
func (s Spec) HasTransport() bool { return len(s.transports()) > 0 }

// SharesFiles reports whether the agent works in the controller's own directory on the same file
// system, so that paths of the one mean the same to the other: a popen that changes no directory
// and is not opened via another gateway.
func (s Spec) SharesFiles() bool { return s.Popen && s.Chdir == "" && s.Via == "" }

// ExecWords returns the words of Exec, split as a shell does, with quotes and escapes.
func (s Spec) ExecWords() []string {
	words, err := cmdline.Split(s.Exec, true)
	if err != nil {
		return []string{s.Exec} // Parse lets none of these pass
	}
	return words
}

// Lookup returns the value of the unknown field with this key.
func (s Spec) Lookup(key string) (value string, ok bool) {
	i := slices.IndexFunc(s.Unknown, func(v Var) bool { return v.Name == key })
	if i < 0 {
		return "", false
	}
	return s.Unknown[i].Value, true
}

// transports returns the names of the transports that s names, in a fixed order.
func (s Spec) transports() []string {
	var names []string
	for _, t := range []struct {
		name string
		set  bool
	}{{"popen", s.Popen}, {"ssh", s.SSH != ""}, {"socket", s.socket}, {"cmd", s.Cmd != ""}, {"net", s.Net != ""}, {"listen", s.Listen != ""}} {
		if t.set {
			names = append(names, t.name)
		}
	}
	return names
}

// Error says what is wrong with a specification. It is the only type of error of this package,
// apart from errors of a caller's own function, which Expand wraps in it.
type Error struct {
	Spec   string // the whole text
	Field  string // the field or key at fault, as given; may be empty
	Reason string // what is wrong with it
	Err    error  // the cause, when another function failed; else nil
}

// Error implements error.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("parse spec ")
	b.WriteString(quote(e.Spec))
	b.WriteString(": field ")
	b.WriteString(quote(e.Field))
	b.WriteString(": ")
	b.WriteString(e.Reason)
	if e.Err != nil {
		b.WriteString(": ")
		b.WriteString(e.Err.Error())
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }
