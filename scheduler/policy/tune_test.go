package policy

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestTune(t *testing.T) {
	for k, v := range map[string]*int{"XDsample": &sampleShare, "XDminsample": &minSample, "XDgrain": &grain, "XDgrowth": &growth, "XDshare": &share, "XDover": &maxOverhead, "XDweight": &guessWeight} {
		if s := os.Getenv(k); s != "" {
			fmt.Sscan(s, v)
		}
	}
	if s := os.Getenv("XDtarget"); s != "" {
		defaultTarget, _ = time.ParseDuration(s)
	}
	if s := os.Getenv("XDsurprise"); s != "" {
		surprise, _ = time.ParseDuration(s)
	}
	for _, name := range []string{"hashicorp-raft", "hashicorp-serf", "grpc-go", "go-std-short"} {
		s := readSuite(t, name)
		if v := os.Getenv("XDsuite"); v != "" {
			v, ns, _ := strings.Cut(v, ",")
			n, _ := strconv.Atoi(ns)
			if name == v {
				fmt.Println(play(t, Config{}, s, n, 0))
			}
			continue
		}
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
			var ls []float64
			for seed := range uint64(41) {
				ls = append(ls, float64(list(s.shuffled(seed), n))/float64(b))
			}
			slices.Sort(ls)
			bp := play(t, Config{}, s, n, 20*time.Millisecond)
			fmt.Printf("%-15s n=%2d bound %6.2f rec %.3f units %4d | shuf med %.3f p90 %.3f max %.3f units %d | build %.2f %d | list rec %.2f med %.2f p90 %.2f\n", name, n, b.Seconds(), r(p), p.units, rs[20], rs[36], rs[40], units/41, r(bp), bp.units, float64(list(s, n))/float64(b), ls[20], ls[36])
		}
	}
}

// list hands out single tests in order, without overhead.
func list(s suite, n int) time.Duration {
	free := make([]time.Duration, n)
	for _, p := range s.packages {
		for _, d := range p.times {
			i := 0
			for j := range free {
				if free[j] < free[i] {
					i = j
				}
			}
			free[i] += d
		}
	}
	return slices.Max(free)
}
