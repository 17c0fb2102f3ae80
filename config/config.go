package config

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/xdist-go/xdist/internal/ownfile"
)

// Name is where the file is below the root of a module or workspace.
const Name = ".config/xdist.toml"

// File is a configuration. The zero value asks for nothing.
type File struct {
	Name      string // for messages; "" when there is none
	Run       []Setting
	Resources map[string]int // how much there is of what tests share; 1 of what is not here
	Tests     []Rule
	Networks  map[string][]string // by name: the specs of their hosts
}

// Setting is the default of a flag.
type Setting struct {
	Flag   string
	Values []string // more than one for flags that may be repeated only
}

// Error is a file that cannot be used.
type Error struct {
	Name   string
	Line   int // 0 when the whole file is meant
	Reason string
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("read configuration %s: %s", e.Name, e.Reason)
	}
	return fmt.Sprintf("read configuration %s:%d: %s", e.Name, e.Line, e.Reason)
}

// Find returns the name of the file of the module in root, or "" when there is none.
func Find(root string) string {
	name := filepath.Join(root, filepath.FromSlash(Name))
	if fi, err := os.Stat(name); err != nil || fi.IsDir() {
		return ""
	}
	return name
}

// maxSize bounds a file, in bytes.
const maxSize = 1 << 20

// Load reads the named file. flags are the flags that can have a default in [run]. What is wrong is
// an *Error, or several that are joined.
func Load(name string, flags []string) (*File, error) {
	text, err := ownfile.Read(name, maxSize)
	if err != nil {
		return nil, unreadable(name, err)
	}
	return parse(name, text, flags)
}

// LoadFound is Load for what Find has found and nobody has named. It refuses a file that somebody
// else than this user and root has made or may write to, and one in such a directory: a file says
// which programs xdist runs, and which files it writes.
func LoadFound(name string, flags []string) (*File, error) {
	text, err := ownfile.ReadOwn(name, maxSize)
	if errors.Is(err, ownfile.ErrShared) {
		err = fmt.Errorf("%w, and it can have xdist run programs; if you trust it, say so by --config %s", err, name)
	}
	if err != nil {
		return nil, unreadable(name, err)
	}
	return parse(name, text, flags)
}

// unreadable names the file once.
func unreadable(name string, err error) error {
	if path, ok := errors.AsType[*os.PathError](err); ok {
		err = path.Err
	}
	return &Error{Name: name, Reason: err.Error()}
}

// document is the file as the TOML library sees it.
type document struct {
	Resources map[string]int `toml:"resources"`
	Tests     []testTable    `toml:"tests"`
	Networks  map[string]struct {
		TX any `toml:"tx"`
	} `toml:"networks"`
}

type testTable struct {
	Match     string `toml:"match"`
	Group     string `toml:"group"`
	Exclusive bool   `toml:"exclusive"`
	Resource  any    `toml:"resource"` // a text or a list
	Requires  any    `toml:"requires"`
	Serial    bool   `toml:"serial"`
	Weight    int    `toml:"weight"`
	Timeout   string `toml:"timeout"`
	Retries   *int   `toml:"retries"`
}

func parse(name string, text []byte, flags []string) (*File, error) {
	// What [run] may hold is known to the caller, and a struct is what the library checks keys
	// against.
	fields := []reflect.StructField{{Name: "Document", Type: reflect.TypeFor[document](), Anonymous: true}}
	settings := make([]reflect.StructField, len(flags))
	for i, flag := range flags {
		settings[i] = reflect.StructField{Name: fmt.Sprintf("F%d", i), Type: reflect.TypeFor[any](), Tag: reflect.StructTag(fmt.Sprintf("toml:%q", flag))}
	}
	fields = append(fields, reflect.StructField{Name: "Run", Type: reflect.StructOf(settings), Tag: `toml:"run"`})
	target := reflect.New(reflect.StructOf(fields))
	dec := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields()
	if err := dec.Decode(target.Interface()); err != nil {
		return nil, syntaxError(name, err)
	}
	doc := target.Elem().Field(0).Interface().(document)
	lines := linesOf(text)
	f := &File{Name: name, Resources: doc.Resources}
	var errs []error
	fail := func(line int, err error) {
		if err != nil {
			errs = append(errs, &Error{name, line, err.Error()})
		}
	}
	for i, flag := range flags {
		if v := target.Elem().Field(1).Field(i).Interface(); v != nil {
			values, err := texts(v)
			fail(lines.key("run", 0, flag), prefixed(flag, err))
			f.Run = append(f.Run, Setting{flag, values})
		}
	}
	for _, resource := range slices.Sorted(maps.Keys(doc.Resources)) {
		if doc.Resources[resource] < 1 {
			fail(lines.key("resources", 0, resource), fmt.Errorf("resource %s: want a number from 1", resource))
		}
	}
	for _, network := range slices.Sorted(maps.Keys(doc.Networks)) {
		table := "networks." + network
		specs, err := texts(doc.Networks[network].TX)
		if doc.Networks[network].TX == nil {
			err = errors.New("a network has tx, a list of the specs of its hosts")
		}
		fail(lines.key(table, 0, "tx"), prefixed(table, err))
		if f.Networks == nil {
			f.Networks = make(map[string][]string)
		}
		f.Networks[network] = specs
	}
	for i, t := range doc.Tests {
		rule, key, err := t.rule()
		fail(lines.key("tests", i, key), prefixed(key, err))
		rule.pos = fmt.Sprintf("%s:%d", name, lines.key("tests", i, ""))
		f.Tests = append(f.Tests, rule)
	}
	return f, errors.Join(errs...)
}

func prefixed(key string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", key, err)
}

// syntaxError makes Errors of what the library says.
func syntaxError(name string, err error) error {
	if strict, ok := errors.AsType[*toml.StrictMissingError](err); ok {
		var errs []error
		for _, e := range strict.Errors {
			line, _ := e.Position()
			errs = append(errs, &Error{name, line, fmt.Sprintf("%s: no such setting", strings.Join(e.Key(), "."))})
		}
		return errors.Join(errs...)
	}
	if e, ok := errors.AsType[*toml.DecodeError](err); ok {
		line, _ := e.Position()
		reason := strings.TrimPrefix(e.Error(), "toml: ")
		if strings.Contains(reason, " into struct field ") { // which is our own affair
			reason = strings.Join(e.Key(), ".") + ": a value of another type is wanted"
		}
		return &Error{name, line, reason}
	}
	return &Error{name, 0, strings.TrimPrefix(err.Error(), "toml: ")}
}

// texts are the values of a setting as a command line would have them.
func texts(v any) ([]string, error) {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	var out []string
	for _, e := range list {
		switch e := e.(type) {
		case string:
			out = append(out, e)
		case int64, bool, float64:
			out = append(out, fmt.Sprint(e))
		default:
			return nil, errors.New("want a text, a number, true or false, or a list of those")
		}
	}
	return out, nil
}
