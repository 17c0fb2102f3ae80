package policy

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// The figures are makespans divided by the bound that no schedule beats: the longest test on the
// fastest node, or the work divided evenly. Processes cost 5 ms and messages 1 ms. "off" is a
// history that is wrong by a factor of up to 3 either way for each test, the median of seeds; the
// worst of them is logged. "1,2,4" are nodes of these speeds in turn; "both" is both.
const wrongHistories = 21

var recorded = []string{"hashicorp-raft", "hashicorp-serf", "grpc-go", "go-std-short"}

// TestLearnedSuites plays the recorded suites with a history, next to the algorithms of
// pytest-xdist, which have none.
func TestLearnedSuites(t *testing.T) {
	t.Logf("%-14s %2s | %5s %5s | %5s %5s %5s %5s | %s", "", "n", "known", "split", "off", "1,2,4", "both", "steal", "pytest-xdist load, worksteal")
	for _, name := range recorded {
		s := readSuite(t, name)
		for _, n := range []int{4, 16, 64} {
			f, m := equal(n), mixed(n)
			known := quotient(playOn(t, Config{}, s.known(exact), f, 0).makespan, s.bound(f))
			split := quotient(playOn(t, Config{}, s.split(n, exact), f, 0).makespan, s.leafBound(f))
			speeds := quotient(playOn(t, Config{}, s.known(exact), m, 0).makespan, s.bound(m))
			steal := quotient(playOn(t, Config{Mode: WorkSteal}, s.known(exact), f, 0).makespan, s.bound(f))
			off, offWorst := wrong(t, s, f)
			both, bothWorst := wrong(t, s, m)
			t.Logf("%-14s %2d | %5.3f %5.3f | %5.3f %5.3f %5.3f %5.3f | %4.2f %4.2f (worst off %.2f, both %.2f)", name, n, known, split, off, speeds, both, steal,
				quotient(peerLoad(s, f), s.bound(f)), quotient(peerWorkSteal(s, f), s.bound(f)), offWorst, bothWorst)
			for _, v := range []struct {
				what       string
				got, limit float64 // a limit of 0 is none
			}{
				{"known", known, 1.03}, {"split", split, 1.10}, {"off", off, 1.15}, {"1,2,4", speeds, 1.15}, {"both", both, 1.15},
				{"pytest-load", quotient(peerLoad(s, f), s.bound(f)), 0}, {"pytest-worksteal", quotient(peerWorkSteal(s, f), s.bound(f)), 0},
			} {
				tellMakespan(t, name, n, v.what, v.got, v.limit)
				if v.limit > 0 && v.got > v.limit {
					t.Errorf("%s on %d nodes, %s: %.3f of the bound, want at most %.2f", name, n, v.what, v.got, v.limit)
				}
			}
		}
	}
}

// tellMakespan tells the benchmark of the project what a run came to, and its limit, in parts of
// the bound.
func tellMakespan(t *testing.T, suite string, nodes int, how string, ratio, limit float64) {
	t.Attr("makespan", fmt.Sprintf("%s %d %s %.4f %.2f", suite, nodes, how, ratio, limit))
}

// wrong is the median and the worst of histories that are wrong by a factor of up to 3.
func wrong(t testing.TB, s suite, f fleet) (mid, worst float64) {
	var all []time.Duration
	for seed := range uint64(wrongHistories) {
		all = append(all, playOn(t, Config{}, s.known(offBy(3, seed)), f, 0).makespan)
	}
	mid = quotient(median(all), s.bound(f))
	return mid, quotient(slices.Max(all), s.bound(f))
}

// TestWrongHistoriesOfDividedTests plays suites with divided tests and histories that are wrong.
func TestWrongHistoriesOfDividedTests(t *testing.T) {
	for _, name := range []string{"hashicorp-raft", "grpc-go"} {
		s := readSuite(t, name)
		for _, n := range []int{4, 16, 64} {
			var all []time.Duration
			for seed := range uint64(wrongHistories) {
				all = append(all, play(t, Config{}, s.split(n, offBy(3, seed)), n, 0).makespan)
			}
			got := quotient(median(all), s.leafBound(equal(n)))
			t.Logf("%-14s %2d: %.3f, worst %.3f", name, n, got, quotient(slices.Max(all), s.leafBound(equal(n))))
			if got > 1.15 {
				t.Errorf("%s on %d nodes: %.3f of the bound over leaves, want at most 1.15", name, n, got)
			}
		}
	}
}

// TestSpeedsAreLearned plays suites on nodes of speeds 1, 2 and 4 that a Policy is told are equal:
// what it sees must make up for most of that. The first long tests are given out before anything
// was seen, so suites are played in which these are not all of the run.
func TestSpeedsAreLearned(t *testing.T) {
	for _, tt := range []struct {
		suite string
		nodes int
		limit float64
	}{{"hashicorp-serf", 4, 1.15}, {"go-std-short", 4, 1.15}} {
		s, f := readSuite(t, tt.suite), mixed(tt.nodes)
		got := quotient(playTold(t, Config{}, s.known(exact), f, equal(tt.nodes), 0).makespan, s.bound(f))
		t.Logf("%-14s %2d: %.3f", tt.suite, tt.nodes, got)
		if got > tt.limit {
			t.Errorf("%s on %d nodes: %.3f of the bound, want at most %.2f", tt.suite, tt.nodes, got, tt.limit)
		}
	}
	p := New(Config{})
	for i, v := range mixed(6) {
		id := NodeID(rune('a' + i))
		p.AddNode(id, Node{Host: string(id)})
		p.AddPackage(Package{ID: PackageID(i), Items: costs(slices.Repeat([]time.Duration{sec}, 30)...)})
		defer func() {
			if got := p.nodes[id].speed() / p.nodes["a"].speed(); got < v/1.3 || got > v*1.3 {
				t.Errorf("node %s is taken to be %.2f as fast as the first, it is %v", id, got, v)
			}
		}()
	}
	for !p.Idle() {
		for i, v := range mixed(6) {
			id := NodeID(rune('a' + i))
			if u, ok := p.Next(id); ok {
				p.Finish(id, passed(u.Items, time.Duration(float64(sec)/v)))
			}
		}
	}
}
