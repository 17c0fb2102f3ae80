package gotest

import (
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Directives are what a test asks of those who run it, by comments of its own such as
//
//	//xdist:resource db:2
//
// or by a configuration. The zero value asks for nothing. Whoever has one may read it; nobody
// changes one that is in an Item.
type Directives struct {
	Group     string        // all tests of a group, of whatever package, run on one node; "" is no group
	Exclusive bool          // nothing else runs on the host meanwhile
	Resources []Resource    // taken all at once; each name once
	Requires  []string      // labels that the node must have; each once
	Serial    bool          // the tests of its package need each other: one process of the package at a time
	Weight    int           // how many nodes' worth of its host it takes; 0 when not given
	Timeout   time.Duration // of one attempt; 0 when not given, negative is none
	Retries   int           // how often it may run again when it fails; 0 when not given, negative is never

	Pos string // "file:line" of the first directive, for messages
}

// Resource is how much of a thing that tests share is taken.
type Resource struct {
	Name  string
	Units int // at least 1
	Limit int // how much there is; 0 in what Discover returns, which cannot know
}

// DirectiveError is a comment or a setting that looks like a directive and is none.
type DirectiveError struct {
	Pos    string // "file:line", "" when the caller knows
	Text   string // as given
	Reason string
}

func (e *DirectiveError) Error() string {
	if e.Pos == "" {
		return fmt.Sprintf("%s: %s", e.Text, e.Reason)
	}
	return fmt.Sprintf("%s: %s: %s", e.Pos, e.Text, e.Reason)
}

// directiveNames are all there are, in the order in which messages list them.
const directiveNames = "group, exclusive, resource, requires, serial, weight, timeout, retries"

// Set adds a directive: its name, and its argument as text. A bad one changes nothing; the error is
// a sentence without name and argument. What holds one value can be given once; resource and
// requires add up.
func (d *Directives) Set(name, arg string) error {
	if fields := strings.Fields(arg); len(fields) > 1 {
		return fmt.Errorf("want one word, and there are %d", len(fields))
	}
	arg = strings.TrimSpace(arg)
	switch name {
	case "exclusive":
		return setFlag(&d.Exclusive, arg)
	case "serial":
		return setFlag(&d.Serial, arg)
	case "group", "resource", "requires", "weight", "timeout", "retries":
		if arg == "" {
			return fmt.Errorf("wants a value")
		}
	default:
		return fmt.Errorf("no such directive; there are %s", directiveNames)
	}
	return d.setValue(name, arg)
}

func (d *Directives) setValue(name, arg string) error {
	switch name {
	case "group":
		return setOnce(&d.Group, arg, nil)
	case "resource":
		return d.addResource(arg)
	case "requires":
		return d.addLabel(arg)
	case "weight":
		n, err := strconv.Atoi(arg)
		if err != nil || n < 1 {
			err = fmt.Errorf("want a number from 1")
		}
		return setOnce(&d.Weight, n, err)
	case "timeout":
		t, err := time.ParseDuration(arg)
		switch {
		case err != nil || t < 0:
			err = fmt.Errorf("want a duration such as 90s or 5m, 0 for none")
		case t == 0:
			t = -1
		}
		return setOnce(&d.Timeout, t, err)
	default:
		n, err := strconv.Atoi(arg)
		switch {
		case err != nil || n < 0:
			err = fmt.Errorf("want a number, 0 for never")
		case n == 0:
			n = -1
		}
		return setOnce(&d.Retries, n, err)
	}
}

func setFlag(to *bool, arg string) error {
	if arg != "" {
		return fmt.Errorf("takes no value")
	}
	*to = true
	return nil
}

func setOnce[T comparable](to *T, value T, err error) error {
	var zero T
	if err == nil && *to != zero {
		err = fmt.Errorf("is given twice")
	}
	if err == nil {
		*to = value
	}
	return err
}

func (d *Directives) addResource(arg string) error {
	r := Resource{Name: arg, Units: 1}
	if name, units, ok := strings.Cut(arg, ":"); ok {
		n, err := strconv.Atoi(units)
		if err != nil || n < 1 {
			return fmt.Errorf("want NAME or NAME:N with a number from 1")
		}
		r = Resource{Name: name, Units: n}
	}
	if r.Name == "" {
		return fmt.Errorf("want NAME or NAME:N, and there is no name")
	}
	for _, had := range d.Resources {
		if had.Name == r.Name {
			return fmt.Errorf("resource %s is given twice", r.Name)
		}
	}
	d.Resources = append(d.Resources, r)
	return nil
}

func (d *Directives) addLabel(label string) error {
	for _, had := range d.Requires {
		if had == label {
			return fmt.Errorf("label %s is given twice", label)
		}
	}
	d.Requires = append(d.Requires, label)
	return nil
}

// directivePrefix begins a directive, at the beginning of a comment and without a space, as those
// of Go.
const directivePrefix = "//xdist:"

// directives finds those of a file: of the tests, by name, and whether its package clause says
// serial. owners are the doc comments of what a test binary runs. A directive that stands anywhere
// else, where it would do nothing, is an error.
func directives(fset *token.FileSet, f *ast.File, owners map[*ast.CommentGroup]string) (of map[string]*Directives, serial bool, errs []error) {
	for _, group := range f.Comments {
		name, isTest := owners[group]
		for _, c := range group.List {
			text, ok := strings.CutPrefix(c.Text, directivePrefix)
			if !ok && !isTest || !ok && !misspelt(c.Text) {
				continue
			}
			key, arg := text, ""
			if i := strings.IndexFunc(text, unicode.IsSpace); i >= 0 {
				key, arg = text[:i], text[i:]
			}
			at := fset.Position(c.Pos())
			pos := fmt.Sprintf("%s:%d", at.Filename, at.Line)
			var err error
			switch {
			case !ok:
				err = fmt.Errorf("a directive begins with %s, without a space", directivePrefix)
			case isTest:
				if of == nil {
					of = make(map[string]*Directives)
				}
				if of[name] == nil {
					of[name] = &Directives{Pos: pos}
				}
				err = of[name].Set(key, arg)
			case group == f.Doc && key == "serial" && strings.TrimSpace(arg) == "":
				serial = true
			case group == f.Doc:
				err = fmt.Errorf("only %sserial can stand at the package clause", directivePrefix)
			default:
				err = fmt.Errorf("stands where it does nothing; its place is the doc comment of a test, fuzz target or example")
			}
			if err != nil {
				errs = append(errs, &DirectiveError{pos, strings.TrimSpace(c.Text), err.Error()})
			}
		}
	}
	return of, serial, errs
}

// misspelt tells whether a comment is a directive but for a space: "// xdist:serial". Prose that
// begins with the name of the program is none.
func misspelt(comment string) bool {
	text, ok := strings.CutPrefix(strings.TrimLeftFunc(strings.TrimPrefix(comment, "//"), unicode.IsSpace), "xdist:")
	if !ok {
		return false
	}
	word, _, _ := strings.Cut(text, " ")
	for name := range strings.SplitSeq(directiveNames, ", ") {
		if word == name {
			return true
		}
	}
	return false
}

// Overrule adds what d asks for and replaces what it says otherwise. Slices are not shared with
// what d was.
func (d *Directives) Overrule(by Directives) {
	if by.Group != "" {
		d.Group = by.Group
	}
	if by.Weight != 0 {
		d.Weight = by.Weight
	}
	if by.Timeout != 0 {
		d.Timeout = by.Timeout
	}
	if by.Retries != 0 {
		d.Retries = by.Retries
	}
	d.Exclusive = d.Exclusive || by.Exclusive
	d.Serial = d.Serial || by.Serial
	d.Resources, d.Requires = slices.Clone(d.Resources), slices.Clone(d.Requires)
	for _, r := range by.Resources {
		at := slices.IndexFunc(d.Resources, func(had Resource) bool { return had.Name == r.Name })
		if at < 0 {
			d.Resources = append(d.Resources, r)
		} else {
			d.Resources[at] = r
		}
	}
	for _, label := range by.Requires {
		if !slices.Contains(d.Requires, label) {
			d.Requires = append(d.Requires, label)
		}
	}
	d.Pos = by.Pos
}
