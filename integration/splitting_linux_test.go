package integration

import (
	"fmt"
	"regexp"
	"testing"
)

// TestSplittingOnTerminal runs some of the modules for somebody who looks at a terminal, where
// failures are verified at the end. The exit status and the counts must be those of go test.
func TestSplittingOnTerminal(t *testing.T) {
	for _, name := range []string{"onRequest-flag", "poisonEnv", "needsEarlier-quick", "failing"} {
		f := splitFaultOf(t, name)
		p := place{4, "load"}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if reason := f.known(p); reason != "" && !*splittingKnown {
				t.Skipf("skipped: known to differ: %s", reason)
			}
			w := newSplitWork(t, f)
			model, goEnded := goTest(t, w.fresh(t), w.env(t), f.args...)
			counts := model.Counts()
			want := counted{counts["pass"] + counts["skip"] + counts["fail"], counts["skip"], counts["fail"]}

			term := openTerminal(t)
			cmd := term.startIn(w.fresh(t), append(w.env(t), "CI="), xdist(t), append(p.flags(), f.args...)...)
			term.await(" items: ")
			err := cmd.Wait()
			if got := countedOn(t, term.screen); got != want {
				t.Errorf("got %+v, want %+v; screen:\n%s", got, want, term.screen)
			}
			if status := cmd.ProcessState.ExitCode(); (status == 0) != (goEnded.status == 0) {
				t.Errorf("exit status %d, go test has %d: %v; screen:\n%s", status, goEnded.status, err, term.screen)
			}
		})
	}
}

func splitFaultOf(t *testing.T, name string) splitFault {
	t.Helper()
	for _, f := range splitFaults {
		if f.name == name {
			return f
		}
	}
	t.Fatalf("there is no %s", name)
	return splitFault{}
}

// counted is the line with the sums at the end of a run.
type counted struct{ tests, skipped, failures int }

var doneLine = regexp.MustCompile(`DONE (\d+) tests?(?:, (\d+) skipped)?(?:, (\d+) failures?)?`)

func countedOn(t *testing.T, screen string) counted {
	t.Helper()
	m := doneLine.FindStringSubmatch(screen)
	if m == nil {
		t.Fatalf("no line says DONE; screen:\n%s", screen)
	}
	var c counted
	for i, n := range []*int{&c.tests, &c.skipped, &c.failures} {
		if m[i+1] != "" {
			fmt.Sscan(m[i+1], n)
		}
	}
	return c
}
