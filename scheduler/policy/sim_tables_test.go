package policy

import (
	"slices"
	"testing"
	"time"
)

// singles is the time that the nodes need when each takes the next single test in order, and processes cost nothing. It is a yardstick for
// bounds that nothing without foreknowledge reaches: a long test that comes late in the order starts late.
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

// TestRecordedSuites plays recorded suites without history. Three ratios are printed, to the bound that needs
// foreknowledge: of the recorded order, of the median over shuffled orders, and of single tests at no cost in these orders.
//
// Recorded order is the order in which tests ended, so parallel tests that last long come last in their package. In go-std-short on 16 nodes the longest
// one, as long as the whole run should be, is the last of its package and starts late; grpc-go on 4 nodes has its second longest package last.
func TestRecordedSuites(t *testing.T) {
	const orders = 21
	for _, tt := range []struct {
		suite    string
		nodes    int
		recorded float64 // makespan to bound
		shuffled float64 // median makespan to median of single tests at no cost
		units    int
	}{
		{"hashicorp-raft", 2, 1.20, 1.05, 60},
		{"hashicorp-raft", 4, 1.15, 1.05, 80},
		{"hashicorp-raft", 16, 1.05, 1.02, 160},
		{"hashicorp-raft", 64, 1.05, 1.02, 157},
		{"hashicorp-serf", 2, 1.15, 1.05, 90},
		{"hashicorp-serf", 4, 1.25, 1.06, 130},
		{"hashicorp-serf", 16, 1.55, 1.15, 200},
		{"hashicorp-serf", 64, 1.05, 1.02, 240},
		{"grpc-go", 2, 1.15, 1.08, 165},
		{"grpc-go", 4, 1.40, 1.05, 180},
		{"grpc-go", 16, 1.10, 1.05, 255},
		{"grpc-go", 64, 1.05, 1.02, 255},
		{"go-std-short", 2, 1.05, 1.05, 245 * 3 / 2},
		{"go-std-short", 4, 1.20, 1.05, 600},
		{"go-std-short", 16, 2.05, 1.08, 1800},
		{"go-std-short", 64, 2.00, 1.10, 4000},
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
		recorded, shuffled, yardstick := quotient(got.makespan, bound), median(ours), median(singles)
		t.Logf("%-14s n=%-2d bound %6.2fs: recorded %.2f (singles %.2f), shuffled %.2f (singles %.2f), %4d units of %d packages",
			tt.suite, tt.nodes, bound.Seconds(), recorded, quotient(s.singles(tt.nodes), bound),
			quotient(shuffled, bound), quotient(yardstick, bound), got.units, len(s.packages))
		if recorded > tt.recorded || quotient(shuffled, yardstick) > tt.shuffled || got.units > tt.units {
			t.Errorf("%s on %d nodes: recorded %.3f, want at most %.2f; shuffled to singles %.3f, want at most %.2f; %d units, want at most %d",
				tt.suite, tt.nodes, recorded, tt.recorded, quotient(shuffled, yardstick), tt.shuffled, got.units, tt.units)
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
		{"one package of quick tests, many nodes", 1, 500, ms / 10, 5 * ms, 16, 0, 120, 60 * ms},
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

// TestHeavyTail plays one package whose durations differ by five orders of magnitude, in seeded random orders.
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
