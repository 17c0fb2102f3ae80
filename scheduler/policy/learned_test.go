package policy

import (
	"slices"
	"testing"
	"time"
)

var recorded = []string{"hashicorp-raft", "hashicorp-serf", "grpc-go", "go-std-short"}

// TestLearnedSuites plays the recorded suites with a history.
func TestLearnedSuites(t *testing.T) {
	for _, name := range recorded {
		s := readSuite(t, name)
		for _, n := range []int{4, 16, 64} {
			known := quotient(play(t, Config{}, s.known(exact), n, 0).makespan, s.bound(equal(n)))
			sp := s.split(n, exact)
			split := quotient(play(t, Config{}, sp, n, 0).makespan, s.leafBound(equal(n)))
			speeds := quotient(playOn(t, Config{}, s.known(exact), mixed(n), 0).makespan, s.bound(mixed(n)))
			off, offWorst := spread(t, s, equal(n))
			both, bothWorst := spread(t, s, mixed(n))
			t.Logf("%-14s n=%-2d known %.3f split %.3f | speeds %.3f | off %.2f..%.2f | both %.2f..%.2f", name, n, known, split, speeds, off, offWorst, both, bothWorst)
			if known > 1.03 || split > 1.10 || speeds > 1.15 || off > 1.15 || both > 1.15 {
				t.Errorf("%s on %d nodes", name, n)
			}
		}
	}
}

// spread is the median and the worst of histories that are wrong by a factor of up to 3.
func spread(t testing.TB, s suite, f fleet) (mid, worst float64) {
	var all []time.Duration
	for seed := range uint64(41) {
		all = append(all, playOn(t, Config{}, s.known(offBy(3, seed)), f, 0).makespan)
	}
	mid = quotient(median(all), s.bound(f))
	return mid, quotient(slices.Max(all), s.bound(f))
}
