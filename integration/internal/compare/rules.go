package compare

import (
	"maps"
	"slices"
	"strings"
)

// This file has the rules by which got may differ from want. Each is one function.

// outcome is the package's outcome; where the stream has no end of the package, what its last line
// says, wherever it was attributed to. `go test` loses the end when a test closes standard output:
// the ok line then counts as the test's.
func (p *Package) outcome() string {
	if p.Outcome != "" {
		return p.Outcome
	}
	found := ""
	look := func(s string) {
		for line := range strings.Lines(s) {
			switch {
			case strings.HasPrefix(line, "ok  \t"):
				found = "pass"
			case strings.HasPrefix(line, "FAIL\t"):
				found = "fail"
			}
		}
	}
	look(p.Output)
	for _, t := range p.Tests {
		look(t.Output)
	}
	return found
}

// lostEnd reports whether that happened. The outputs and actions of such a package say nothing of
// the tests.
func (p *Package) lostEnd() bool { return p.ends == 0 }

// crashed reports whether the package's process ended before the testing package said PASS or FAIL:
// by a panic, a signal, a timeout, an exit. A test without an end in such a package may have any
// outcome in got.
func (p *Package) crashed() bool {
	if p.outcome() != "fail" || p.buildFailed() {
		return false
	}
	return !slices.ContainsFunc(strings.Split(p.Output, "\n"), func(line string) bool {
		line = strings.TrimSuffix(line, "\r")
		return line == "PASS" || line == "FAIL"
	})
}

// Unreached are, by package, the tests that have a verdict in got and none in want because there
// the package's process ended first. Compare lets them have any verdict, so a report has to name
// them.
func Unreached(want, got *Model) map[string][]string {
	unreached := map[string][]string{}
	for name, p := range want.Packages {
		if !p.crashed() || got.Packages[name] == nil {
			continue
		}
		for test, t := range got.Packages[name].Tests {
			if len(t.Outcomes) > 0 && p.Tests[test].Outcome() == "none" {
				unreached[name] = append(unreached[name], test)
			}
		}
		slices.Sort(unreached[name])
	}
	return unreached
}

// suspects are the top-level tests that ran when the process of a crashed package ended: at least
// one of them must have failed in got. There is none when a test has been blamed already.
func (p *Package) suspects() []string {
	var running []string
	for name, t := range p.Tests {
		if strings.Contains(name, "/") {
			continue
		}
		if t.blamed() {
			return nil
		}
		if t.started() && len(t.Outcomes) == 0 {
			running = append(running, name)
		}
	}
	slices.Sort(running)
	return running
}

// blamed reports whether the test failed with the panic in its output.
func (t *Test) blamed() bool {
	if !slices.Contains(t.Outcomes, "fail") {
		return false
	}
	return strings.HasPrefix(t.Output, "panic: ") || strings.Contains(t.Output, "\npanic: ")
}

// lastWords is the test whose output has the end of the process, and that output without and from
// there.
func (p *Package) lastWords() (test, before, words string) {
	for _, name := range slices.Sorted(maps.Keys(p.Tests)) {
		output := p.Tests[name].Output
		if i := strings.Index("\n"+output, "\npanic: "); i >= 0 {
			return name, output[:i], output[i:]
		}
	}
	return "", "", ""
}

// retold is p with the end of the process in the output of the test that has it in want, when both
// tests are parallel: it is printed by the runtime, and counts as the output of whichever of them
// said the last word before.
func (p *Package) retold(want *Package) *Package {
	to, _, _ := want.lastWords()
	from, before, words := p.lastWords()
	parallel := func(name string) bool {
		t := p.Tests[name]
		return t != nil && slices.Contains(t.Actions, "pause")
	}
	if from == to || !parallel(from) || !parallel(to) {
		return p
	}
	c := *p
	c.Tests = maps.Clone(p.Tests)
	teller, listener := *p.Tests[from], *p.Tests[to]
	teller.Output = before
	listener.Output += words
	c.Tests[from], c.Tests[to] = &teller, &listener
	return &c
}

// extends reports whether got is want with something added at the end, which is what a test that
// took its process along may have: the reason that the runner gives. What follows a goroutine dump
// is not compared.
func extends(got, want string) bool {
	before, _, cut := strings.Cut(want, dump)
	if cut {
		want = before
	}
	for _, reason := range []string{"signal: ", "exit status "} { // cmd/go's own line, attributed to whoever ran last
		lines := strings.SplitAfter(strings.TrimSuffix(want, "\n"), "\n")
		if last := lines[len(lines)-1]; !cut && strings.HasPrefix(last, reason) {
			want = strings.Join(lines[:len(lines)-1], "")
		}
	}
	return strings.HasPrefix(got, want)
}

// framing are the lines of a package's output that a split package has as often as an unsplit one,
// in order.
func framing(output string) []string {
	var lines []string
	for line := range strings.Lines(output) {
		line = strings.TrimRight(line, "\r\n")
		switch {
		case line == "PASS", line == "FAIL", strings.HasPrefix(line, "ok  \t"), strings.HasPrefix(line, "FAIL\t"), strings.HasPrefix(line, "?   \t"),
			strings.HasPrefix(line, "coverage: "), strings.HasPrefix(line, "-test.shuffle "):
			lines = append(lines, line)
		}
	}
	return lines
}

// lost are the lines of want that a split package's output does not have at all. It may have them
// more often, as each of its processes runs init and TestMain.
func lost(got, want string) []string {
	have := map[string]bool{}
	for line := range strings.Lines(got) {
		have[strings.TrimSpace(line)] = true
	}
	var missing []string
	for line := range strings.Lines(want) {
		if line = strings.TrimSpace(line); !have[line] {
			missing = append(missing, line)
		}
	}
	return missing
}

// distinct are the lines of a build's output without repetitions: cmd/go prints the error of a
// package that several others depend on once for each.
func distinct(output string) []string {
	var lines []string
	seen := map[string]bool{}
	for line := range strings.Lines(output) {
		if !seen[line] {
			seen[line] = true
			lines = append(lines, line)
		}
	}
	return lines
}
