package integration

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/xdist-go/xdist/integration/internal/compare"
)

// onTerminal are the faults that every run of the tests looks at on a terminal.
var onTerminal = []string{"onRequest-flag", "poisonEnv", "needsEarlier-quick", "failing"}

// TestSplittingOnTerminal runs the modules for somebody who looks at a terminal. The exit status
// and the counts must be those of go test. With -splitting.full it is all of them, in all modes.
func TestSplittingOnTerminal(t *testing.T) {
	for _, f := range splitFaults {
		if !*splittingFull && !slices.Contains(onTerminal, f.name) {
			continue
		}
		cells := []place{{4, "load"}}
		if *splittingFull {
			cells = places(0)
		}
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			w := newSplitWork(t, f)
			model, goEnded := goTest(t, w.fresh(t), w.env(t), f.args...)
			for _, p := range cells {
				t.Run(p.String(), func(t *testing.T) { w.onTerminal(t, model, goEnded, p) })
			}
		})
	}
}

// onTerminal runs a module in one cell of the matrix, on a terminal.
func (w *splitWork) onTerminal(t *testing.T, model *compare.Model, goEnded ended, p place) {
	term := openTerminal(t)
	cmd := term.startIn(w.fresh(t), append(w.env(t), "CI="), xdist(t), append(p.flags(), w.fault.args...)...)
	term.awaitMatch(closing)
	err := cmd.Wait()
	if !w.fault.uncounted {
		counts := itemCounts(model)
		want := counted{counts["pass"] + counts["skip"] + counts["fail"], counts["skip"], counts["fail"]}
		if got := countedOn(t, term.screen); got != want {
			t.Errorf("got %+v, want %+v; screen:\n%s", got, want, term.screen)
		}
	}
	if status := cmd.ProcessState.ExitCode(); (status == 0) != (goEnded.status == 0) {
		t.Errorf("exit status %d, go test has %d: %v; screen:\n%s", status, goEnded.status, err, term.screen)
	}
}

// itemCounts are those of the top-level tests of a run of go test.
func itemCounts(m *compare.Model) map[string]int {
	counts := map[string]int{}
	for _, p := range m.Packages {
		for name, t := range p.Tests {
			if n := len(t.Outcomes); n > 0 && !strings.Contains(name, "/") {
				counts[t.Outcomes[n-1]]++
			}
		}
	}
	return counts
}

// counted is the line with the sums at the end of a run.
type counted struct{ tests, skipped, failures int }

// closing is the end of the closing line: "PASS  3 tests   1s (build 90ms, tests 910ms on 2
// gateways)". Warnings speak of gateways too.
var closing = regexp.MustCompile(` on \d+ gateways?\)`)

var doneLine = regexp.MustCompile(`(?:PASS|FAIL|NOT DONE)\S*  (?:(\d+) of )?(\d+) tests?(?:, \d+ of them crashed)?(?:, (\d+) skipped)?`)

func countedOn(t *testing.T, screen string) counted {
	t.Helper()
	m := doneLine.FindStringSubmatch(screen)
	if m == nil {
		t.Fatalf("no line has the sums; screen:\n%s", screen)
	}
	var c counted
	for i, n := range []*int{&c.failures, &c.tests, &c.skipped} {
		if m[i+1] != "" {
			fmt.Sscan(m[i+1], n)
		}
	}
	return c
}
