package policy

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

func TestTune(t *testing.T) {
	for _, name := range []string{"hashicorp-raft", "hashicorp-serf", "grpc-go", "go-std-short"} {
		s := readSuite(t, name)
		for _, n := range []int{2, 4, 16, 64} {
			b := s.bound(n)
			r := func(p played) float64 { return float64(p.makespan) / float64(b) }
			p := play(t, Config{}, s, n, 0)
			var rs []float64
			units := 0
			for seed := range uint64(41) {
				q := play(t, Config{}, s.shuffled(seed), n, 0)
				rs = append(rs, r(q))
				units += q.units
			}
			slices.Sort(rs)
			bp := play(t, Config{}, s, n, 20*time.Millisecond)
			fmt.Printf("%-15s n=%2d bound %6.2f rec %.3f units %4d | shuf med %.3f p90 %.3f max %.3f units %d | build %.2f %d\n", name, n, b.Seconds(), r(p), p.units, rs[20], rs[36], rs[40], units/41, r(bp), bp.units)
		}
	}
}
