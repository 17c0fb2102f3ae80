package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
)

// learnedSuites are the modules of the comparison with a history, each with the part of go test's
// time that the second run may take.
func learnedSuites() []learnedSuite {
	return []learnedSuite{{raft, 0.15}, {serf, 0.25}, {grpc, 0.5}}
}

// mostMissed is by how much of its time the end of a run may be missed at half of it.
const mostMissed = 0.15

type learnedSuite struct {
	module
	bound float64
}

// learned compares go test with runs of an xdist that has run each suite once. The first run begins
// with an empty store, finds go's own caches warm, and has no limit here.
func (b *bench) learned(ctx context.Context) (*table, error) {
	runs := b.count(3)
	t := &table{
		title: fmt.Sprintf("learned: the second run of xdist --tx %d*popen next to go test -count=1 (%d runs each)", wideGateways, runs),
		head:  []string{"suite", "go test", "xdist", "ratio", "limit", ""},
	}
	if runs < 5 {
		t.note("runs: %d instead of five: one run of go test on these suites takes minutes; -runs 5 makes five", runs)
	}
	for _, s := range learnedSuites() {
		p, err := b.teach(ctx, s.module, runs)
		if err != nil {
			return t, err
		}
		t.compare(s.name+", first run", inSeconds, walls(p.peer), walls(p.first), limit{})
		t.compare(s.name+", second run", inSeconds, walls(p.peer), walls(p.second), atMost(s.bound))
		if len(p.missed) > 0 {
			t.add(s.name+", its end at half of it", "", fmt.Sprintf("missed by %.2f", p.missed.median()), "", atMost(mostMissed).String(), t.judge(atMost(mostMissed), p.missed.median()))
		} else {
			t.miss("%s: no run said when it would end", s.name)
		}
		repeat := func(packages []string) (verdicts, error) { return b.runPackages(ctx, s.module, packages) }
		if err := p.account(t, s.module, repeat); err != nil {
			return t, err
		}
	}
	return t, nil
}

// lessons are runs of go test, each with a first and a second run of xdist over the same module,
// and by how much of its time the second one had missed its end, as the plan had it at half of
// that.
type lessons struct {
	peer, first, second []timing
	missed              sample
}

// teach runs go test, and xdist twice with a store that was empty before, in turns, after one run
// of go test that is not counted.
func (b *bench) teach(ctx context.Context, m module, runs int) (lessons, error) {
	dir, err := b.fetch(ctx, m)
	if err != nil {
		return lessons{}, err
	}
	b.progress("%s: warming go's caches", m.name)
	if _, err := b.run(ctx, dir, slices.Concat([]string{"go", "test", "-run", "^$"}, m.args())...); err != nil {
		return lessons{}, err
	}
	var l lessons
	for i := range runs {
		b.progress("%s: run %d of %d", m.name, i+1, runs)
		peer, err := b.run(ctx, dir, slices.Concat([]string{"go", "test", "-json"}, m.args())...)
		if err != nil {
			return lessons{}, err
		}
		first, second, foreseen, err := b.runTwice(ctx, dir, m)
		if err != nil {
			return lessons{}, err
		}
		if foreseen > 0 {
			l.missed = append(l.missed, math.Abs(foreseen-1))
		}
		l.peer, l.first, l.second = append(l.peer, peer), append(l.first, first), append(l.second, second)
	}
	return l, nil
}

// runTwice runs xdist with a new store, and again with what is in it then: what it has learned, and
// the test binaries. foreseen is what the history says of the second one.
func (b *bench) runTwice(ctx context.Context, dir string, m module) (first, second timing, foreseen float64, err error) {
	store, remove, err := b.emptyStore()
	if err != nil {
		return timing{}, timing{}, 0, err
	}
	defer remove()
	argv := b.xdistCommand(m, append(wideFlags(), "--json"), store)
	if first, err = b.run(ctx, dir, argv...); err != nil {
		return timing{}, timing{}, 0, err
	}
	if second, err = b.run(ctx, dir, argv...); err != nil {
		return timing{}, timing{}, 0, err
	}
	runs, err := b.run(ctx, dir, "env", "XDIST_CACHE="+store, b.xdist, "history", "runs", "--json")
	if err != nil {
		return timing{}, timing{}, 0, err
	}
	text, err := os.ReadFile(runs.log)
	if err != nil {
		return timing{}, timing{}, 0, err
	}
	var told []struct{ Foreseen float64 } // the last run first
	if err := json.Unmarshal(text, &told); err != nil || len(told) != 2 {
		return timing{}, timing{}, 0, fmt.Errorf("xdist history runs says %q (%w)", text, err)
	}
	return first, second, told[0].Foreseen, nil
}

// runPackages runs go test on some packages of a module once more.
func (b *bench) runPackages(ctx context.Context, m module, packages []string) (verdicts, error) {
	dir, err := b.fetch(ctx, m)
	if err != nil {
		return nil, err
	}
	b.progress("%s: verdicts differ; go test runs %s again", m.name, strings.Join(packages, " "))
	all := m.args()
	run, err := b.run(ctx, dir, slices.Concat([]string{"go", "test", "-json"}, all[:len(all)-1], packages)...)
	if err != nil {
		return nil, err
	}
	v, err := readVerdicts([]timing{run})
	if err != nil {
		return nil, err
	}
	return v[0], nil
}

// account notes what differs between the verdicts, which is worth a limit where it is more than
// chance. repeat runs packages once more with go test.
func (l lessons) account(t *table, m module, repeat func(packages []string) (verdicts, error)) error {
	if m.skips() {
		t.note("%s: without %s on both sides, because %s", m.name, m.unfit.pattern, m.unfit.reason)
	}
	peer, err := readVerdicts(l.peer)
	if err != nil {
		return err
	}
	for _, side := range []struct {
		what string
		runs []timing
	}{{"first", l.first}, {"second", l.second}} {
		for _, r := range side.runs {
			if !comparable(r.status) {
				t.miss("%s: the %s run of xdist ended with status %d and has no verdict:\n%s", m.name, side.what, r.status, lastLines(r.log, 15))
				return nil
			}
		}
		ours, err := readVerdicts(side.runs)
		if err == nil {
			peer, err = repeated(peer, ours, repeat)
		}
		if err != nil {
			return err
		}
		differ(t, fmt.Sprintf("%s, %s run", m.name, side.what), peer, ours)
	}
	return nil
}
