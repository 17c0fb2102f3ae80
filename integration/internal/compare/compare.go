package compare

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Depth is how much of two models Compare looks at.
type Depth int

const (
	// Verdicts compares the outcome of every package and every test.
	Verdicts Depth = iota
	// Split compares also each test's actions and output, each build's output, and of a package's
	// own output the lines that there must be as often as in want: the last line, PASS or FAIL, the
	// coverage. It is for a package that may have run in several processes.
	Split
	// Whole compares also all of each package's own output. It is for packages that ran in one
	// process.
	Whole
)

// Difference is one thing that got and want do not agree in.
type Difference struct {
	Package string
	Test    string // "" for the package itself, or for a build
	What    string // outcome, actions, output, build output, stream
	Got     string
	Want    string
}

func (d Difference) String() string {
	id := d.Package
	if d.Test != "" {
		id += "::" + d.Test
	}
	return fmt.Sprintf("%s: %s\n\t got: %q\n\twant: %q", id, d.What, d.Got, d.Want)
}

// comparison is one call of Compare.
type comparison struct {
	depth  Depth
	normal Normal
	diffs  []Difference
}

// Compare returns the differences of got from want to the given depth, sorted by package, test and
// kind. Got's own stream must be without problems; want's may have them. The models are not
// changed.
func Compare(want, got *Model, depth Depth, normal Normal) []Difference {
	c := &comparison{depth: depth, normal: normal}
	for _, p := range got.Problems {
		c.add("", "", "stream", p, "")
	}
	for _, name := range unionKeys(want.Packages, got.Packages) {
		c.pkg(name, want.Packages[name], got.Packages[name])
	}
	if depth >= Split {
		c.builds(want.Builds, got.Builds)
	}
	return c.diffs
}

func unionKeys[V any](a, b map[string]V) []string {
	keys := map[string]bool{}
	for k := range a {
		keys[k] = true
	}
	for k := range b {
		keys[k] = true
	}
	return slices.Sorted(maps.Keys(keys))
}

func (c *comparison) add(pkg, test, what, got, want string) {
	c.diffs = append(c.diffs, Difference{pkg, test, what, got, want})
}

func (c *comparison) pkg(name string, want, got *Package) {
	if want == nil || got == nil {
		present := map[bool]string{true: "no such package", false: "a package"}
		c.add(name, "", "package", present[got == nil], present[want == nil])
		return
	}
	if want.outcome() != got.outcome() {
		c.add(name, "", "outcome", got.outcome(), want.outcome())
	}
	if want.FailedBuild != got.FailedBuild {
		c.add(name, "", "failed build", got.FailedBuild, want.FailedBuild)
	}
	if want.crashed() {
		c.crashedPackage(name, want, got)
	} else {
		for _, test := range unionKeys(want.Tests, got.Tests) {
			c.test(name, test, want, got)
		}
	}
	if c.depth >= Split && !want.lostEnd() {
		c.packageOutput(name, want, got)
	}
}

// crashedPackage compares the tests that had ended when the process did, and looks for the one to
// blame.
func (c *comparison) crashedPackage(name string, want, got *Package) {
	got = got.retold(want)
	for _, test := range slices.Sorted(maps.Keys(want.Tests)) {
		if t := want.Tests[test]; len(t.Outcomes) > 0 && !t.blamed() {
			c.test(name, test, want, got)
			continue
		} else if t.blamed() {
			c.culprit(name, test, t, got.Tests[test])
		}
	}
	suspects := want.suspects()
	failed := func(test string) bool { return got.Tests[test].Outcome() == "fail" }
	if len(suspects) == 0 {
		return
	}
	i := slices.IndexFunc(suspects, failed)
	if i < 0 {
		test := strings.Join(suspects, " or ")
		c.add(name, test, "outcome of the test that ended the process", got.Tests[suspects[0]].Outcome(), "fail")
		return
	}
	c.culprit(name, suspects[i], want.Tests[suspects[i]], got.Tests[suspects[i]])
}

// culprit compares a test that took its process along.
func (c *comparison) culprit(pkg, test string, want, got *Test) {
	if got.Outcome() != "fail" {
		c.add(pkg, test, "outcome of the test that ended the process", got.Outcome(), "fail")
		return
	}
	if g, w := c.normal.Text(got.Output), c.normal.Text(want.Output); c.depth >= Split && !extends(g, w) {
		c.addText(pkg, test, "output of the test that ended the process", g, w)
	}
}

func (c *comparison) test(pkg, test string, wantp, gotp *Package) {
	want, got := wantp.Tests[test], gotp.Tests[test]
	if want.Outcome() != got.Outcome() {
		c.add(pkg, test, "outcome", got.Outcome(), want.Outcome())
	}
	if c.depth < Split || want == nil || got == nil || wantp.lostEnd() {
		if c.depth >= Split && (want == nil) != (got == nil) {
			c.add(pkg, test, "in the stream", fmt.Sprint(got != nil), fmt.Sprint(want != nil))
		}
		return
	}
	actions := func(t *Test) string { return c.normal.Text(strings.Join(t.Actions, " ")) }
	if g, w := actions(got), actions(want); g != w {
		c.add(pkg, test, "actions", g, w)
	}
	if g, w := c.normal.Text(got.Output), c.normal.Text(want.Output); g != w {
		c.addText(pkg, test, "output", g, w)
	}
}

func (c *comparison) packageOutput(name string, want, got *Package) {
	g, w := c.normal.Text(got.Output), c.normal.Text(want.Output)
	if gl, wl := framing(g), framing(w); !slices.Equal(gl, wl) {
		c.add(name, "", "framing lines", strings.Join(gl, "\n"), strings.Join(wl, "\n"))
		return
	}
	if c.depth >= Whole {
		if g != w {
			c.addText(name, "", "output", g, w)
		}
		return
	}
	if missing := lost(g, w); len(missing) > 0 {
		c.add(name, "", "lines lost from the package's output", "", strings.Join(missing, "\n"))
	}
}

func (c *comparison) builds(want, got map[string]string) {
	for _, path := range unionKeys(want, got) {
		g, w := distinct(c.normal.Text(got[path])), distinct(c.normal.Text(want[path]))
		if !slices.Equal(g, w) {
			c.addText(path, "", "build output", strings.Join(g, ""), strings.Join(w, ""))
		}
		if n, m := strings.Count(got[path], "\n"), strings.Count(want[path], "\n"); n > m && m > 0 {
			c.add(path, "", "lines of build output", fmt.Sprint(n), fmt.Sprint(m))
		}
	}
}

// around is how much text, in bytes, a Difference shows on each side of the place where two texts
// part.
const around = 160

// addText adds a difference of two long texts, cut to where they part.
func (c *comparison) addText(pkg, test, what, got, want string) {
	at := 0
	for at < len(got) && at < len(want) && got[at] == want[at] {
		at++
	}
	what = fmt.Sprintf("%s (at byte %d of %d, want %d)", what, at, len(got), len(want))
	c.add(pkg, test, what, excerpt(got, at), excerpt(want, at))
}

func excerpt(s string, at int) string {
	from, to := max(0, at-around), min(len(s), at+around)
	text := s[from:to]
	if from > 0 {
		text = "…" + text
	}
	if to < len(s) {
		text += "…"
	}
	return text
}
