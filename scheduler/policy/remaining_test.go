package policy

import (
	"math"
	"slices"
	"testing"
	"time"
)

// What is left is bound by the unit that ends last, by an even share, or by what cannot be shared.
func TestRemaining(t *testing.T) {
	const s = time.Second
	for _, tt := range []struct {
		name     string
		cfg      Config
		packages []Package
		nodes    []string
		runs     []NodeID // who asks for a unit, in this order
		ran      time.Duration
		want     time.Duration
	}{
		{"an even share", Config{}, []Package{{Items: costs(s, s, s, s)}}, []string{"a@x", "b@y"}, nil, 0, 2 * s},
		{"the longest", Config{}, []Package{{Items: costs(9*s, s, s)}}, []string{"a@x", "b@y"}, nil, 0, 9 * s},
		{"the longest runs", Config{}, []Package{{Items: costs(9*s, s, s)}}, []string{"a@x", "b@y"}, []NodeID{"a"}, 4 * s, 5 * s},
		{"it runs longer than it was to", Config{}, []Package{{Items: costs(9*s, s, s)}}, []string{"a@x", "b@y"}, []NodeID{"a"}, 40 * s, s},
		{"one process at a time", Config{}, []Package{{Items: costs(s, s, s, s), Spread: Serial}}, []string{"a@x", "b@y"}, nil, 0, 4 * s},
		{"few at a time", Config{PerHost: 1}, []Package{{Items: costs(s, s, s, s)}}, []string{"a@x", "b@x"}, nil, 0, 4 * s},
		{"nothing is left", Config{}, nil, []string{"a@x"}, nil, 0, 0},
		{"nobody is there", Config{}, []Package{{Items: costs(s)}}, nil, nil, 0, -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			story := newStory(t, tt.cfg)
			story.add(tt.nodes...)
			for _, p := range tt.packages {
				story.AddPackage(p)
			}
			story.NoMore()
			for _, id := range tt.runs {
				story.Next(id)
			}
			got, ok := story.Remaining(func(NodeID) time.Duration { return tt.ran })
			if ok != (tt.want >= 0) || ok && (got < tt.want-50*time.Millisecond || got > tt.want+50*time.Millisecond) {
				t.Errorf("%v, %v, want %v", got, ok, tt.want)
			}
		})
	}
}

// At half of a run of a suite that is known the Policy knows when it will have ended, also where
// each test takes up to a fifth more or less than it did.
func TestRemainingOfRecordedSuites(t *testing.T) {
	for _, name := range recorded {
		s := readSuite(t, name)
		for _, n := range []int{1, 4, 16, 64} {
			exactly := foreseenAtHalf(t, s.known(exact), n)
			var about []float64
			for seed := range uint64(wrongHistories) {
				about = append(about, math.Abs(foreseenAtHalf(t, s.known(offBy(1.2, seed)), n)-1))
			}
			slices.Sort(about)
			t.Logf("%-14s %2d: %.3f of the time; with wrong histories off by %.3f at most, and by %.3f in the middle", name, n, exactly, about[len(about)-1], about[len(about)/2])
			if n > 1 {
				tellMakespan(t, name, n, "end", about[len(about)/2], mostOff)
			}
			if math.Abs(exactly-1) > 0.03 || about[len(about)/2] > mostOff {
				t.Errorf("%s on %d nodes: %.3f, with wrong histories off by %.3f", name, n, exactly, about[len(about)/2])
			}
		}
	}
}

// mostOff is by how much of its time the end of a run may be missed at half of it.
const mostOff = 0.15

// foreseenAtHalf plays a suite and returns how long the run was to take as the Policy saw it at
// half of the time, by how long it took.
func foreseenAtHalf(t *testing.T, s suite, n int) float64 {
	t.Helper()
	type foreseen struct{ at, left time.Duration }
	var all []foreseen
	end := playWatched(t, s, n, func(sim *simulation) {
		left, ok := sim.policy.Remaining(func(id NodeID) time.Duration { return sim.now - sim.began[id] })
		if ok {
			all = append(all, foreseen{sim.now, left})
		}
	})
	last := foreseen{}
	for _, f := range all {
		if f.at <= end/2 {
			last = f
		}
	}
	return float64(last.at+last.left) / float64(end)
}
