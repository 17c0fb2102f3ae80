package config

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/xdist-go/xdist/gotest"
)

// Rule asks for the same for all tests that match a pattern.
type Rule struct {
	Match string // as given: "packages::tests"
	Asks  gotest.Directives

	packages *regexp.Regexp
	tests    *regexp.Regexp // nil matches every test
	pos      string
}

// Matches tells whether the rule is for a test.
func (r *Rule) Matches(importPath, test string) bool {
	return r.packages.MatchString(importPath) && (r.tests == nil || r.tests.MatchString(test))
}

// compile reads the pattern: a package pattern as the go command has it, "..." for any text, and
// behind "::" a regular expression for the names of tests, which has to match a part of them, as
// that of -run.
func (r *Rule) compile() error {
	pkgs, tests, ok := strings.Cut(r.Match, "::")
	if r.Match == "" {
		return errors.New("is missing; want PACKAGES or PACKAGES::TESTS")
	}
	if pkgs == "" {
		pkgs = "..."
	}
	text := regexp.QuoteMeta(path.Clean(pkgs))
	text = strings.ReplaceAll(text, `\.\.\.`, `.*`)
	if trunk, ok := strings.CutSuffix(text, `/.*`); ok {
		text = trunk + `(/.*)?` // as for the go command
	}
	var err error
	if r.packages, err = regexp.Compile("^" + text + "$"); err != nil {
		return err
	}
	if ok {
		r.tests, err = regexp.Compile(tests)
	}
	return err
}

// rule makes a Rule of a table. The error is one of the returned key.
func (t *testTable) rule() (r Rule, key string, err error) {
	r = Rule{Match: t.Match}
	if err := r.compile(); err != nil {
		return r, "match", err
	}
	type setting struct{ key, value string }
	var asked []setting
	if t.Group != "" {
		asked = append(asked, setting{"group", t.Group})
	}
	if t.Exclusive {
		asked = append(asked, setting{"exclusive", ""})
	}
	if t.Serial {
		asked = append(asked, setting{"serial", ""})
	}
	if t.Weight != 0 {
		asked = append(asked, setting{"weight", strconv.Itoa(t.Weight)})
	}
	if t.Timeout != "" {
		asked = append(asked, setting{"timeout", t.Timeout})
	}
	if t.Retries != nil {
		asked = append(asked, setting{"retries", strconv.Itoa(*t.Retries)})
	}
	for _, list := range []struct {
		key string
		v   any
	}{{"resource", t.Resource}, {"requires", t.Requires}} {
		if list.v == nil {
			continue
		}
		values, err := texts(list.v)
		if err != nil {
			return r, list.key, err
		}
		for _, v := range values {
			asked = append(asked, setting{list.key, v})
		}
	}
	if len(asked) == 0 {
		return r, "match", errors.New("asks for nothing")
	}
	for _, a := range asked {
		if err := r.Asks.Set(a.key, a.value); err != nil {
			return r, a.key, err
		}
	}
	return r, "", nil
}

// Resolve gives each item of packages all that is asked for it, in its Directives and its package's
// Serial. Rules are taken in their order: a later one overrules an earlier one, and the directives
// of the test itself overrule all; resources and labels add up. A resource of which a test wants
// more than there is is an error that says where it is asked for. What packages and items share is
// replaced, not changed.
func (f *File) Resolve(packages []gotest.Package) error {
	var errs []error
	for i := range packages {
		p := &packages[i]
		items := make([]gotest.Item, len(p.Items))
		for k, it := range p.Items {
			d := f.asked(p.ImportPath, it)
			if d != nil {
				p.Serial = p.Serial || d.Serial
				errs = append(errs, f.limit(d, gotest.ID(p.ImportPath, it.Name))...)
			}
			it.Directives = d
			items[k] = it
		}
		if p.Items != nil {
			p.Items = items
		}
	}
	return errors.Join(errs...)
}

// asked is all that is asked for an item; nil for nothing.
func (f *File) asked(importPath string, it gotest.Item) *gotest.Directives {
	var sum *gotest.Directives
	add := func(d gotest.Directives, pos string) {
		if sum == nil {
			sum = &gotest.Directives{}
		}
		d.Pos = pos
		sum.Overrule(d)
	}
	for i := range f.Tests {
		if r := &f.Tests[i]; r.Matches(importPath, it.Name) {
			add(r.Asks, r.pos)
		}
	}
	if it.Directives != nil {
		add(*it.Directives, it.Directives.Pos)
	}
	return sum
}

// limit fills in how much there is of the resources.
func (f *File) limit(d *gotest.Directives, id string) (errs []error) {
	for i := range d.Resources {
		r := &d.Resources[i]
		r.Limit = max(1, f.Resources[r.Name])
		if r.Units > r.Limit {
			errs = append(errs, &gotest.DirectiveError{Pos: d.Pos, Text: "resource " + r.Name,
				Reason: fmt.Sprintf("%s takes %d of it and there is %d; [resources] in %s says how much there is", id, r.Units, r.Limit, Name)})
		}
	}
	return errs
}
