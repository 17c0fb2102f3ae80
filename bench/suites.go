package main

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
)

// suites are the modules of the everyday comparison; the sum of their medians has a limit of its
// own.
var suites = []module{cobra, gin, toml, text}

// storeState is what xdist finds in its store.
type storeState int

const (
	warmStore  storeState = iota // every test binary of a run before
	emptyStore                   // nothing
)

// warmSuites compares runs after which nothing was changed.
func (b *bench) warmSuites(ctx context.Context) (*table, error) {
	t := &table{title: "suites: xdist -n 2 next to go test -count=1, nothing changed since the last run"}
	return t, b.compareSuites(ctx, t, warmStore, atMost(1.05), atMost(0.9))
}

// firstRuns compares runs of an xdist that has never seen these modules, with go's own caches warm.
func (b *bench) firstRuns(ctx context.Context) (*table, error) {
	t := &table{title: "first: xdist -n 2 with an empty store next to go test -count=1"}
	return t, b.compareSuites(ctx, t, emptyStore, limit{}, atMost(1.1))
}

func (b *bench) compareSuites(ctx context.Context, t *table, state storeState, each, together limit) error {
	runs := b.count(5)
	t.title += fmt.Sprintf(" (%d runs each)", runs)
	t.head = []string{"suite", "go test", "xdist", "ratio", "limit", ""}
	var peerSum, ourSum float64
	var peerCPU, ourCPU float64
	for _, m := range suites {
		pairs, err := b.alternate(ctx, m, []string{"-n", "2"}, state, runs)
		if err != nil {
			return err
		}
		t.compare(m.name, inSeconds, pairs.peerWall(), pairs.ourWall(), each)
		pairs.account(t, m)
		peerSum += pairs.peerWall().median()
		ourSum += pairs.ourWall().median()
		peerCPU += cpus(pairs.peer).median()
		ourCPU += cpus(pairs.ours).median()
	}
	ratio := ourSum / peerSum
	t.add("sum of medians", inSeconds.show(peerSum)+" s", inSeconds.show(ourSum)+" s",
		fmt.Sprintf("%.2f", ratio), together.String(), t.judge(together, ratio))
	t.add("CPU time", inSeconds.show(peerCPU)+" s", inSeconds.show(ourCPU)+" s", fmt.Sprintf("%.2f", ourCPU/peerCPU))
	return nil
}

// pairs are runs of go test and of xdist over one module that took turns.
type pairs struct{ peer, ours []timing }

// alternate runs go test and xdist in turns, after one run of each that is not counted.
func (b *bench) alternate(ctx context.Context, m module, xdistFlags []string, state storeState, runs int) (pairs, error) {
	dir, err := b.fetch(ctx, m)
	if err != nil {
		return pairs{}, err
	}
	store, remove, err := b.emptyStore()
	if err != nil {
		return pairs{}, err
	}
	defer remove()
	var p pairs
	for i := range runs + 1 {
		b.progress("%s: run %d of %d", m.name, i, runs)
		peer, err := b.run(ctx, dir, slices.Concat([]string{"go", "test"}, m.args())...)
		if err != nil {
			return pairs{}, err
		}
		ours, err := b.runXdist(ctx, dir, m, xdistFlags, store, state)
		if err != nil {
			return pairs{}, err
		}
		if i > 0 {
			p.peer, p.ours = append(p.peer, peer), append(p.ours, ours)
		}
	}
	return p, nil
}

// runXdist runs xdist with the given store, or with an empty one of its own.
func (b *bench) runXdist(ctx context.Context, dir string, m module, flags []string, store string, state storeState) (timing, error) {
	if state == emptyStore {
		fresh, remove, err := b.emptyStore()
		if err != nil {
			return timing{}, err
		}
		defer remove()
		store = fresh
	}
	return b.run(ctx, dir, b.xdistCommand(m, flags, store)...)
}

func (b *bench) xdistCommand(m module, flags []string, store string) []string {
	return slices.Concat([]string{b.xdist, "--cache-dir", store}, flags, m.args())
}

func (p pairs) peerWall() sample { return walls(p.peer) }
func (p pairs) ourWall() sample  { return walls(p.ours) }

func walls(runs []timing) sample {
	var s sample
	for _, r := range runs {
		s = append(s, r.wall.Seconds())
	}
	return s
}

func cpus(runs []timing) sample {
	var s sample
	for _, r := range runs {
		s = append(s, r.cpu.Seconds())
	}
	return s
}

// account notes runs that did not pass. The time of a run with another verdict than go test's is
// worth nothing.
func (p pairs) account(t *table, m module) {
	if m.skips() {
		t.note("%s: without %s on both sides, because %s", m.name, m.unfit.pattern, m.unfit.reason)
	}
	peerFails, ourFails := failures(p.peer), failures(p.ours)
	for _, r := range p.ours {
		if !comparable(r.status) {
			t.miss("%s: xdist ended with status %d and has no verdict:\n%s", m.name, r.status, lastLines(r.log, 15))
			return
		}
	}
	switch {
	case len(ourFails) > 0 && len(peerFails) == 0:
		t.miss("%s: %d of %d runs of xdist failed (%s) and none of go test:\n%s", m.name, len(ourFails), len(p.ours),
			failedTests(ourFails), lastLines(ourFails[0].log, 15))
	case len(ourFails) == 0 && len(peerFails) == len(p.peer):
		t.miss("%s: every run of go test failed and none of xdist:\n%s", m.name, lastLines(peerFails[0].log, 15))
	case failedCounts(p.ours).median() > slices.Max(failedCounts(p.peer)):
		t.miss("%s: most runs of xdist failed more tests (%s) than any run of go test (%s)", m.name, failedTests(ourFails), failedTests(peerFails))
	case len(peerFails) > 0:
		t.note("%s: %d of %d runs of go test failed (%s) and %d of %d of xdist (%s)", m.name,
			len(peerFails), len(p.peer), failedTests(peerFails), len(ourFails), len(p.ours), failedTests(ourFails))
	}
}

func failures(runs []timing) []timing {
	return slices.DeleteFunc(slices.Clone(runs), func(r timing) bool { return r.status == 0 })
}

// failLine is how a failed test is told by go test, with or without -json, and in the summary of
// xdist.
var failLine = regexp.MustCompile(`(?:--- FAIL: |=== FAIL: \S+ )((?:Test|Example|Fuzz)[^\s"\\]*)`)

// failedTests names the tests that the logs of these runs say to have failed, for a note.
func failedTests(runs []timing) string {
	var names []string
	for _, r := range runs {
		log, err := os.ReadFile(r.log)
		if err != nil {
			return err.Error()
		}
		for _, m := range failLine.FindAllSubmatch(log, -1) {
			names = append(names, string(m[1]))
		}
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), " ")
}

// failedCounts is how many tests failed in each run. A flaky suite fails some on both sides; a run
// that fails many more is over too soon to be compared.
func failedCounts(runs []timing) sample {
	var s sample
	for _, r := range runs {
		s = append(s, float64(len(strings.Fields(failedTests([]timing{r})))))
	}
	return s
}

// comparable reports whether an exit status of xdist is a verdict on the tests: passed, failed,
// build failed.
func comparable(status int) bool { return status == 0 || status == 1 || status == 3 }
