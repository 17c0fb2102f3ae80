package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"gotest.tools/gotestsum/testjson"
)

// wideGateways is how many gateways the slow suites are spread over. Their tests mostly wait, so
// that it may be far more than there are cores.
const wideGateways = 16

// wide compares suites whose tests mostly wait. raft is held to what its longest test and its total
// allow, serf to go test.
func (b *bench) wide(ctx context.Context) (*table, error) {
	runs := b.count(3)
	t := &table{
		title: fmt.Sprintf("wide: xdist --tx %d*popen with an empty store (%d runs each)", wideGateways, runs),
		head:  []string{"suite", "peer", "xdist", "ratio", "limit", ""},
	}
	if runs < 5 {
		t.note("runs: %d instead of five: one run of go test on raft and serf takes minutes; -runs 5 makes five", runs)
	}
	if err := b.wideRaft(ctx, t, runs); err != nil {
		return t, err
	}
	return t, b.wideSerf(ctx, t, runs)
}

func wideFlags() []string { return []string{"--tx", fmt.Sprintf("%d*popen", wideGateways)} }

// wideRaft compares with the best that is possible without splitting a test: the longest test, or
// all of them evenly spread, and the build.
func (b *bench) wideRaft(ctx context.Context, t *table, runs int) error {
	dir, err := b.fetch(ctx, raft)
	if err != nil {
		return err
	}
	build := slices.Concat([]string{"go", "test", "-run", "^$"}, raft.args())
	if _, err := b.run(ctx, dir, build...); err != nil { // warms go's caches
		return err
	}
	var p pairs
	var ideal, longest, total, built sample
	for i := range runs {
		b.progress("raft: run %d of %d", i+1, runs)
		bare, err := b.run(ctx, dir, build...)
		if err != nil {
			return err
		}
		peer, err := b.run(ctx, dir, slices.Concat([]string{"go", "test", "-json"}, raft.args())...)
		if err != nil {
			return err
		}
		ours, err := b.runXdist(ctx, dir, raft, wideFlags(), "", emptyStore)
		if err != nil {
			return err
		}
		w, err := readWeights(peer.log)
		if err != nil {
			return err
		}
		p.peer, p.ours = append(p.peer, peer), append(p.ours, ours)
		ideal = append(ideal, (w.ideal(wideGateways) + bare.wall).Seconds())
		longest, total = append(longest, w.longest.Seconds()), append(total, w.total.Seconds())
		built = append(built, bare.wall.Seconds())
	}
	t.compare("raft, ideal", inSeconds, ideal, p.ourWall(), atMost(1.15))
	t.compare("raft, go test", inSeconds, p.peerWall(), p.ourWall(), limit{})
	t.note("raft: the ideal is max(longest test %s, all tests %s / %d) + build %s",
		inSeconds.summary(longest), inSeconds.summary(total), wideGateways, inSeconds.summary(built))
	p.account(t, raft)
	return nil
}

func (b *bench) wideSerf(ctx context.Context, t *table, runs int) error {
	p, err := b.alternate(ctx, serf, wideFlags(), emptyStore, runs)
	if err != nil {
		return err
	}
	t.compare("serf, go test", inSeconds, p.peerWall(), p.ourWall(), atMost(0.4))
	p.account(t, serf)
	return nil
}

// weights are how long the tests of a suite took, without the waiting of parallel ones for their
// turn.
type weights struct{ longest, total time.Duration }

// ideal is the shortest time in which n processes could run them.
func (w weights) ideal(n int) time.Duration { return max(w.longest, w.total/time.Duration(n)) }

// readWeights reads them from a file that go test -json has written; its standard error may be in
// it.
func readWeights(file string) (weights, error) {
	f, err := os.Open(file)
	if err != nil {
		return weights{}, fmt.Errorf("read the times of the tests: %w", err)
	}
	defer f.Close()
	return scanWeights(f)
}

func scanWeights(r io.Reader) (weights, error) {
	exec, err := testjson.ScanTestOutput(testjson.ScanConfig{Stdout: r, IgnoreNonJSONOutputLines: true})
	if err != nil {
		return weights{}, fmt.Errorf("read the times of the tests: %w", err)
	}
	var w weights
	for _, name := range exec.Packages() {
		pkg := exec.Package(name)
		for _, tc := range slices.Concat(pkg.Passed, pkg.Failed, pkg.Skipped) {
			if strings.Contains(tc.Test.Name(), "/") { // in its parent's time
				continue
			}
			w.total += tc.Elapsed
			w.longest = max(w.longest, tc.Elapsed)
		}
	}
	if w.total == 0 {
		return weights{}, fmt.Errorf("read the times of the tests: no test took any time")
	}
	return w, nil
}
