package policy

import (
	"slices"
	"testing"
	"time"
)

// singles is the time that the nodes need when each takes the next single test in order, and
// processes cost nothing. It is a yardstick for bounds that nothing without foreknowledge reaches:
// a long test that comes late in the order starts late.
func (s suite) singles(nodes int) time.Duration {
	free := make([]time.Duration, nodes)
	for _, p := range s.packages {
		for _, d := range p.times {
			i := slices.Index(free, slices.Min(free))
			free[i] += d
		}
	}
	return slices.Max(free)
}

// TestRecordedSuites plays recorded suites without history. Three ratios are printed, to the bound
// that needs foreknowledge: of the recorded order, of the median over shuffled orders, and of
// single tests at no cost in these orders. Units are bounded too: what they cost is 6 ms here, and
// more for real.
//
// Recorded order is the order in which tests ended, so parallel tests that last long are next to
// each other at the end of their package.
func TestRecordedSuites(t *testing.T) {
	const orders, limit = 21, 1.5
	for _, tt := range []struct {
		suite string
		nodes int
		units int
	}{
		{"hashicorp-raft", 2, 60},
		{"hashicorp-raft", 4, 80},
		{"hashicorp-raft", 16, 160},
		{"hashicorp-raft", 64, 157},
		{"hashicorp-serf", 2, 90},
		{"hashicorp-serf", 4, 130},
		{"hashicorp-serf", 16, 220},
		{"hashicorp-serf", 64, 240},
		{"grpc-go", 2, 165},
		{"grpc-go", 4, 180},
		{"grpc-go", 16, 255},
		{"grpc-go", 64, 255},
		{"go-std-short", 2, 2 * 245},
		{"go-std-short", 4, 850},
		{"go-std-short", 16, 2700},
		{"go-std-short", 64, 4000},
	} {
		s := readSuite(t, tt.suite)
		bound := s.bound(equal(tt.nodes))
		got := play(t, Config{}, s, tt.nodes, 0)
		var ours, singles []time.Duration
		for seed := range uint64(orders) {
			other := s.shuffled(seed)
			ours = append(ours, play(t, Config{}, other, tt.nodes, 0).makespan)
			singles = append(singles, other.singles(tt.nodes))
		}
		order, shuffled := quotient(got.makespan, bound), quotient(median(ours), bound)
		t.Logf("%-14s n=%-2d bound %6.2fs: recorded %.2f (singles %.2f), shuffled %.2f (singles %.2f), %4d units of %d packages",
			tt.suite, tt.nodes, bound.Seconds(), order, quotient(s.singles(tt.nodes), bound),
			shuffled, quotient(median(singles), bound), got.units, len(s.packages))
		if tt.nodes > 2 {
			tellMakespan(t, tt.suite, tt.nodes, "no-history", order, limit)
			tellMakespan(t, tt.suite, tt.nodes, "no-history-shuffled", shuffled, limit)
		}
		if order > limit || shuffled > limit || got.units > tt.units {
			t.Errorf("%s on %d nodes: recorded %.3f, shuffled %.3f, want at most %.2f; %d units, want at most %d",
				tt.suite, tt.nodes, order, shuffled, limit, got.units, tt.units)
		}
	}
}

// TestCheapSuites plays suites in which splitting has little to win: it must cost next to nothing.
func TestCheapSuites(t *testing.T) {
	const ms = time.Millisecond
	for _, tt := range []struct {
		name            string
		packages, items int
		each, overhead  time.Duration
		nodes           int
		build           time.Duration
		units           int
		makespan        time.Duration
	}{
		{"one package of quick tests", 1, 500, ms / 10, 5 * ms, 2, 0, 16, 90 * ms},
		{"one package of quick tests, many nodes", 1, 500, ms / 10, 5 * ms, 16, 0, 140, 60 * ms},
		{"many small packages at once", 60, 20, ms, 5 * ms, 2, 0, 75, 900 * ms},
		{"many small packages as they are built", 60, 20, ms, 5 * ms, 2, 100 * ms, 120, 5950 * ms},
		{"an init that costs more than the tests", 1, 127, ms / 10, 11 * ms, 2, 0, 14, 80 * ms},
		{"a TestMain of two seconds", 1, 100, 50 * ms, 2 * time.Second, 4, 0, 6, 8 * time.Second},
		{"one test in each package", 100, 1, 10 * ms, 5 * ms, 4, 0, 100, 450 * ms},
		{"packages without tests", 50, 0, 0, 5 * ms, 4, 0, 50, 80 * ms},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := uniform(tt.packages, tt.items, tt.each, tt.overhead)
			got := play(t, Config{}, s, tt.nodes, tt.build)
			t.Logf("%d units, %v", got.units, got.makespan)
			if got.units > tt.units || got.makespan > tt.makespan {
				t.Errorf("%d units in %v, want at most %d in %v", got.units, got.makespan, tt.units, tt.makespan)
			}
		})
	}
}

// TestLoadScopeUnits plays a suite with LoadScope: one unit per package, whatever it costs.
func TestLoadScopeUnits(t *testing.T) {
	s := readSuite(t, "hashicorp-serf")
	if got := play(t, Config{Mode: LoadScope}, s, 16, 0); got.units != len(s.packages) {
		t.Errorf("%d units of %d packages", got.units, len(s.packages))
	}
}

// TestHeavyTail plays one package whose durations differ by five orders of magnitude, in seeded
// random orders.
func TestHeavyTail(t *testing.T) {
	for _, nodes := range []int{2, 8, 32} {
		var ours, singles []time.Duration
		for seed := range uint64(21) {
			s := heavyTail(seed)
			ours = append(ours, play(t, Config{}, s, nodes, 0).makespan)
			singles = append(singles, s.singles(nodes))
		}
		got := quotient(median(ours), median(singles))
		t.Logf("%d nodes: %.3f of single tests at no cost", nodes, got)
		if got > 1.1 {
			t.Errorf("%d nodes: median makespan is %.3f of single tests at no cost, want at most 1.1", nodes, got)
		}
	}
}

func quotient(a, b time.Duration) float64 { return float64(a) / float64(b) }

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}
