package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// RemoteError is the failure of code on the other side of a channel or call: what its handler
// returned, the panic that ended it, or what the peer passed to CloseWith. errors.Is finds in it
// the errors that both sides know: those of io/fs, of contexts, exec.ErrNotFound, net.ErrClosed,
// syscall.ECONNREFUSED and EADDRINUSE whatever system the other side has, and what RegisterError
// names; errors.As finds the types of RegisterErrorType. It is never io.EOF, which is the orderly
// end of a channel.
type RemoteError struct {
	Text  string   `cbor:"1,keyasint"`
	Stack string   `cbor:"2,keyasint,omitempty"` // goroutine stack of a panic, else empty
	Kinds []string `cbor:"3,keyasint,omitempty"` // names of the registered errors that it is
	Type  string   `cbor:"4,keyasint,omitempty"` // name of the registered type that it has
	Value []byte   `cbor:"5,keyasint,omitempty"` // of that type, encoded
}

// Error returns the remote text, with the stack below it when there is one.
func (e *RemoteError) Error() string {
	if e.Stack == "" {
		return "remote: " + e.Text
	}
	return "remote: " + e.Text + "\n" + strings.TrimRight(e.Stack, "\n")
}

// Unwrap returns the errors that it is, as far as this program knows them.
func (e *RemoteError) Unwrap() []error {
	kinds, types := knownErrors()
	errs := ofKinds(e.Kinds, kinds)
	if t, ok := types[e.Type]; ok && len(e.Value) > 0 {
		if err := t.decode(Item(e.Value)); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// ofKinds returns the errors that have these names, as far as they are known.
func ofKinds(names []string, known map[string]error) []error {
	var errs []error
	for _, name := range names {
		if err := known[name]; err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// errorType is a type of errors that cross the wire with their fields.
type errorType struct {
	find   func(error) (any, bool) // in the tree of an error
	decode func(Item) error        // nil when it cannot be
}

// known are the errors that keep their kind across the wire.
var known = struct {
	mu     sync.Mutex // guards the fields below
	errors map[string]error
	types  map[string]errorType
}{
	errors: map[string]error{
		"fs.ErrNotExist": fs.ErrNotExist, "fs.ErrExist": fs.ErrExist, "fs.ErrPermission": fs.ErrPermission,
		"fs.ErrInvalid": fs.ErrInvalid, "fs.ErrClosed": fs.ErrClosed,
		"context.Canceled": context.Canceled, "context.DeadlineExceeded": context.DeadlineExceeded,
		"os.ErrDeadlineExceeded": os.ErrDeadlineExceeded, "io.ErrUnexpectedEOF": io.ErrUnexpectedEOF,
		"errors.ErrUnsupported": errors.ErrUnsupported, "exec.ErrNotFound": exec.ErrNotFound, "net.ErrClosed": net.ErrClosed,
		"syscall.ECONNREFUSED": syscall.ECONNREFUSED, "syscall.EADDRINUSE": syscall.EADDRINUSE,
	},
	types: make(map[string]errorType),
}

// knownErrors returns copies, since asking an error what it is runs code of others.
func knownErrors() (map[string]error, map[string]errorType) {
	known.mu.Lock()
	defer known.mu.Unlock()
	return maps.Clone(known.errors), maps.Clone(known.types)
}

// RegisterError makes errors.Is find err in a RemoteError whose cause, on the other side, is or
// wraps the error that is registered there by the same name. Both sides call it, before gateways
// are opened or served. It panics when the name is taken.
func RegisterError(name string, err error) {
	known.mu.Lock()
	defer known.mu.Unlock()
	if known.errors[name] != nil || err == nil || errors.Is(err, io.EOF) {
		panic(fmt.Sprintf("gateway: register error %q: the name is taken, or the error is nil or io.EOF", name))
	}
	known.errors[name] = err
}

// RegisterErrorType makes errors.As find an E in a RemoteError whose cause, on the other side, is
// or wraps one. The exported fields of E cross the wire as CBOR, up to 16 KiB of them. Both sides
// call it, before gateways are opened or served. It panics when the name is taken.
func RegisterErrorType[E error](name string) {
	known.mu.Lock()
	defer known.mu.Unlock()
	if _, taken := known.types[name]; taken || name == "" {
		panic(fmt.Sprintf("gateway: register error type %q: the name is taken", name))
	}
	known.types[name] = errorType{
		find: func(err error) (any, bool) {
			e, ok := errors.AsType[E](err)
			return e, ok && !isNil(e)
		},
		decode: func(it Item) error {
			var e E
			if it.Decode(&e) != nil || isNil(e) {
				return nil
			}
			return e
		},
	}
}

// isNil reports whether an error is a nil pointer of its type, whose methods need not work.
func isNil(err error) bool {
	v := reflect.ValueOf(err)
	return !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil()
}

// maxErrorText is the length in bytes to which each of text, stack and value of a RemoteError is
// cut: together they fit a control frame.
const maxErrorText = 16 << 10

// maxKinds is how many kinds of an error are told.
const maxKinds = 32

// remoteError makes what the peer is told of err, whose methods are the user's and may panic, as
// those of a nil pointer do that was returned as an error.
func remoteError(err error) (re *RemoteError) {
	defer func() {
		if p := recover(); p != nil {
			re = &RemoteError{Text: fmt.Sprintf("an error of type %T, whose method panics: %v", err, p)}
		}
	}()
	re = &RemoteError{Text: cut(err.Error(), maxErrorText)}
	if p, ok := errors.AsType[*panicError](err); ok {
		re.Stack = cut(p.stack, maxErrorText)
		return re
	}
	kinds, types := knownErrors()
	re.Kinds = kindsOf(err, kinds)
	for name, t := range types {
		if v, ok := t.find(err); ok {
			if it, encodeErr := NewItem(v); encodeErr == nil && len(it) <= maxErrorText && len(name) < 128 {
				re.Type, re.Value = name, it
				break
			}
		}
	}
	return re
}

// kindsOf returns the names of the known errors that err is.
func kindsOf(err error, known map[string]error) []string {
	var names []string
	for name, kind := range known {
		if len(names) < maxKinds && len(name) < 128 && (errors.Is(err, kind) || systemErrors[name] != nil && errors.Is(err, systemErrors[name])) {
			names = append(names, name)
		}
	}
	return names
}

// relayedKinds are the kinds of an error that an agent has met when it did what the controller
// might have done itself. The contexts are the agent's own and mean nothing there.
func relayedKinds(err error) []string {
	kinds, _ := knownErrors()
	return slices.DeleteFunc(kindsOf(err, kinds), func(name string) bool { return strings.HasPrefix(name, "context.") })
}

// relayed is such an error as the controller sees it.
func relayed(text string, kinds []string) *relayedError {
	known, _ := knownErrors()
	return &relayedError{text: text, is: errors.Join(ofKinds(kinds, known)...)}
}

func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n] + " …"
}
