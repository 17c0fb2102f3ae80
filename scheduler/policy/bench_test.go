package policy

import (
	"container/heap"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"
)

// BenchmarkPlan plays runs of up to a million tests on 1,000 nodes, in packages of 500, and reports
// what the Policy costs a test. The tests last from 1 ms to 1 s, and a history knows them, knows
// nothing, or the nodes share them out and steal; with "sent" and "slow" binaries of 20 MB have to
// be sent to every host.
func BenchmarkPlan(b *testing.B) {
	for _, how := range []struct {
		name  string
		mode  Mode
		known bool
		link  float64 // to every host, bytes per second
	}{{"known", Load, true, 0}, {"unknown", Load, false, 0}, {"worksteal", WorkSteal, true, 0}, {"sent", Load, true, 10e6}, {"slow", Load, true, 1e6}} {
		for _, tests := range []int{1_000, 10_000, 100_000, 1_000_000} {
			b.Run(fmt.Sprintf("%s/%d", how.name, tests), func(b *testing.B) {
				s := many(tests, how.known)
				for b.Loop() {
					playQuickly(b, Config{Mode: how.mode}, s, 1000, how.link)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/1000/float64(b.N*tests), "µs/test")
			})
		}
	}
}

// BenchmarkShape runs 200,000 tests on 1,000 nodes, in packages of different sizes.
func BenchmarkShape(b *testing.B) {
	for _, bb := range []struct{ packages, items int }{{1, 200000}, {400, 500}, {100000, 2}} {
		b.Run(fmt.Sprintf("%dx%d", bb.packages, bb.items), func(b *testing.B) {
			s := uniform(bb.packages, bb.items, time.Millisecond, 5*time.Millisecond)
			for b.Loop() {
				playQuickly(b, Config{}, s, 1000, 0)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/1000/float64(b.N*bb.packages*bb.items), "µs/test")
		})
	}
}

// many is a suite of n tests whose durations differ by three orders of magnitude.
func many(n int, known bool) suite {
	r := rand.New(rand.NewPCG(1, 7))
	const size = 500
	s := suite{name: "many"}
	for range n / size {
		p := uniform(1, size, 0, 5*time.Millisecond).packages[0]
		for i := range p.times {
			p.times[i] = time.Duration(float64(time.Millisecond) * math.Pow(10, 3*r.Float64()*r.Float64()))
			if known {
				p.items[i].Cost = p.times[i]
			}
		}
		s.packages = append(s.packages, p)
	}
	return s
}

// playQuickly plays a suite with little besides the Policy: an idle node asks once after each event
// until there is nothing for it.
func playQuickly(b *testing.B, cfg Config, s suite, nodes int, link float64) {
	p := New(cfg)
	sim := &simulation{suite: s, policy: p, speeds: map[NodeID]float64{}}
	if link > 0 {
		sim.ships = newShips(20e6)
	}
	for i := range nodes {
		id := NodeID(strconv.Itoa(i))
		host := strconv.Itoa(i / 4)
		in := Node{Host: host}
		if link > 0 {
			in.Store = host
			p.SetLink(host, link)
			sim.ships.link[host], sim.ships.host[id] = link, host
		}
		p.AddNode(id, in)
		sim.speeds[id] = 1
		sim.idle = append(sim.idle, id)
	}
	for i, pk := range s.packages {
		p.AddPackage(Package{ID: PackageID(i), Items: pk.items, Size: 20e6})
	}
	p.NoMore()
	for {
		idle := sim.idle
		sim.idle = nil
		for _, id := range idle {
			if u, ok := p.Next(id); ok {
				sim.start(id, u)
			} else if link > 0 {
				sim.idle = append(sim.idle, id)
			} else {
				break // the nodes are alike: there is nothing for the others either
			}
		}
		if len(sim.events) == 0 {
			break
		}
		sim.now = sim.events[0].at
		for len(sim.events) > 0 && sim.events[0].at == sim.now {
			heap.Pop(&sim.events).(event).do()
		}
	}
	if !p.Done() {
		b.Fatalf("%d items left", p.Pending())
	}
}
