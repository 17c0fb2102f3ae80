package reporters

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/fatih/color"

	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/reporters/failure"
	"github.com/xdist-go/xdist/scheduler/event"
)

// digest is FormatXdist: a line for each package, what failed as it fails, and one account at the
// end.
type digest struct {
	console  *Console
	failures failure.Shared
	account  account
	packages map[string]*digestPackage // that have begun and not ended
	told     map[string]bool           // builds whose text was written, by ImportPath
	again    map[string][]attempt      // attempts that failed and were followed by another one, by test id
}

// attempt is a failed attempt at an item.
type attempt struct {
	number  int
	gateway string
	line    string // where and why
	text    string // what it printed, at most attemptKept bytes
}

const (
	attemptKept  = 64 << 10
	attemptsKept = 100  // of one test
	againKept    = 1000 // tests with attempts that are kept
)

// digestPackage is what the line of a package tells.
type digestPackage struct {
	tests, failed int
	coverage      string
	nothing       bool // no test matched -run
}

func newDigest(c *Console) *digest {
	return &digest{console: c, failures: failure.Share(c.cfg.Failures), packages: map[string]*digestPackage{}, told: map[string]bool{}}
}

func (d *digest) err() error { return nil }

func (d *digest) handle(e event.Event) {
	d.account.learn(e)
	ended := d.failures.See(e)
	t, ok := e.(event.Test)
	if !ok {
		return
	}
	told := d.failed(ended)
	if t.Package == "" {
		return
	}
	p := d.packages[t.Package]
	if p == nil {
		p = &digestPackage{}
		d.packages[t.Package] = p
	}
	p.update(t)
	if t.Terminal() && t.Test == "" {
		delete(d.packages, t.Package)
		if !told {
			d.console.write(d.line(p, t))
		}
	}
}

// failed writes what has ended badly, and reports whether that says all of its package.
func (d *digest) failed(e *failure.Ended) bool {
	switch {
	case e == nil:
		return false
	case e.Again:
		d.console.write(d.console.cfg.Text(d.retried(e)))
		return false
	}
	d.account.failed(e)
	text := e.Text()
	if e.Test.Test == "" && e.Compiler == "" && text == "" { // there is nothing but its line
		return false
	}
	d.console.write(d.block(e, text))
	return e.Test.Test == ""
}

func (p *digestPackage) update(t event.Test) {
	switch {
	case t.Test == "" && t.Action == test2json.ActionOutput:
		if text, ok := strings.CutPrefix(t.Output, "coverage: "); ok {
			p.coverage = strings.TrimSpace(text)
		}
		p.nothing = p.nothing || strings.Contains(t.Output, "no tests to run")
	case t.Terminal() && t.Test != "" && !strings.Contains(t.Test, "/") && !t.Again:
		p.tests++
		if t.Action == test2json.ActionFail {
			p.failed++
		}
	}
}

// line is the package's line, "" for one without test files.
func (d *digest) line(p *digestPackage, t event.Test) string {
	mark := color.GreenString("✓")
	var remarks []string
	switch {
	case t.Action == test2json.ActionFail:
		mark = color.RedString("✖")
		if p.failed > 0 {
			remarks = append(remarks, fmt.Sprintf("%d of %s failed", p.failed, count(p.tests, "test")))
		}
	case t.Action == test2json.ActionSkip:
		return ""
	case p.nothing && p.tests == 0:
		remarks = append(remarks, "no tests to run")
	}
	if p.coverage != "" {
		remarks = append(remarks, p.coverage)
	}
	text := fmt.Sprintf("%s  %s (%s)", mark, d.name(t.Package, ""), took(seconds(t.Elapsed)))
	if len(remarks) > 0 {
		text += "  " + strings.Join(remarks, ", ")
	}
	return text + "\n"
}

// retried keeps a failed attempt and returns a line for it. What it printed comes when the test has
// its verdict.
func (d *digest) retried(e *failure.Ended) string {
	a := attempt{number: e.Attempt, gateway: e.Gateway, line: d.why(e)}
	a.text = failure.Plain(e.Text())
	if len(a.text) > attemptKept {
		a.text = strings.ToValidUTF8(a.text[:attemptKept], "") + "\n[… the rest is left out here …]\n"
	}
	id := e.ID()
	if d.again == nil {
		d.again = map[string][]attempt{}
	}
	if len(d.again[id]) < attemptsKept && (d.again[id] != nil || len(d.again) < againKept) {
		d.again[id] = append(d.again[id], a)
	}
	return fmt.Sprintf("%s %s  %s  attempt %d: %s\n", color.YellowString("AGAIN"), d.name(e.Package, e.Test.Test), e.Gateway, e.Attempt, a.line)
}

// why is where and why the first of the failures of an item was.
func (d *digest) why(e *failure.Ended) string {
	f := e.Findings[0]
	if place := d.console.sources.Place(f.Package, f.Place); place != "" {
		return place + ": " + f.Place.Message
	}
	return cmp.Or(f.Place.Message, "it says nothing")
}

// block is what has failed with the text that it printed, and what earlier attempts said that is
// not the same.
func (d *digest) block(e *failure.Ended, text string) string {
	title := fmt.Sprintf("%s  %s", color.RedString("FAIL"), d.name(e.Package, e.Test.Test))
	if why := e.Findings[0].Unbuilt; why != "" {
		title += " [" + why + "]"
	} else {
		title += fmt.Sprintf(" (%s)", took(seconds(e.Elapsed)))
	}
	if e.Gateway != "" {
		title += "  " + e.Gateway
	}
	if e.Attempt > 1 {
		title += fmt.Sprintf("  attempt %d", e.Attempt)
	}
	var b strings.Builder
	told, why := false, d.why(e)
	for _, a := range d.again[e.ID()] {
		if a.line == why {
			fmt.Fprintf(&b, "    attempt %d on %s failed alike\n", a.number, a.gateway)
			continue
		}
		fmt.Fprintf(&b, "    attempt %d on %s:\n%s", a.number, a.gateway, a.text)
		told = true
	}
	if told {
		fmt.Fprintf(&b, "    attempt %d:\n", e.Attempt)
	}
	delete(d.again, e.ID())
	if e.Compiler != "" && !d.told[e.FailedBuild] {
		d.told[e.FailedBuild] = true
		b.WriteString(e.Compiler)
	}
	b.WriteString(text)
	return d.console.cfg.Fold(title, b.String())
}

// flaky is what the attempts printed that failed before one that did not.
func (d *digest) flaky(items []event.ItemSeconds) string {
	var b strings.Builder
	for _, it := range items {
		if it.Verdict != event.Flaky {
			continue
		}
		if b.Len() == 0 {
			fmt.Fprintf(&b, "\n=== %s\n", color.YellowString("Flaky"))
		}
		pkg, test, _ := strings.Cut(it.ID, "::")
		fmt.Fprintf(&b, "%s (failed %s, passed on %s)\n", d.name(pkg, test), times(it.Failures), it.Gateway)
		for _, a := range d.again[it.ID] {
			fmt.Fprintf(&b, "    attempt %d on %s:\n%s", a.number, a.gateway, a.text)
		}
	}
	return b.String()
}

func (d *digest) end(e *event.RunEnded) string {
	if e == nil {
		return ""
	}
	return d.console.cfg.Text(d.flaky(e.Summary.Durations) + d.account.text(e, d))
}

// name is a test, or a package, as people are told of it: `dir/of/package.TestX` from the working
// directory, where the package is below it.
func (d *digest) name(pkg, test string) string {
	name := d.console.sources.Name(pkg)
	if test != "" {
		name += "." + failure.Plain(test)
	}
	return name
}

// took is a time as the report has it: with two digits that matter.
func took(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d >= 10*time.Second:
		d = d.Round(time.Second)
	case d >= time.Second:
		d = d.Round(100 * time.Millisecond)
	default:
		d = d.Round(time.Millisecond)
	}
	return shortDuration(d)
}

// shortDuration leaves out what is zero at the end: 1m0s is 1m.
func shortDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
