package policy

import (
	"container/heap"
	"strconv"
	"testing"
	"time"
)

// played is what a simulated run came to.
type played struct {
	makespan time.Duration
	units    int
	sent     int // binaries
}

const latency = time.Millisecond

// play runs the suite on equal nodes in virtual time. Package i becomes runnable at i*build.
func play(t testing.TB, cfg Config, s suite, n int, build time.Duration) played {
	t.Helper()
	return playOn(t, cfg, s, equal(n), build)
}

// playOn is play for nodes of any speeds.
func playOn(t testing.TB, cfg Config, s suite, f fleet, build time.Duration) played {
	t.Helper()
	return playTold(t, cfg, s, f, f, build)
}

// playTold is playOn for a Policy that is told other speeds than the nodes have.
func playTold(t testing.TB, cfg Config, s suite, f, told fleet, build time.Duration) played {
	t.Helper()
	return playSeen(t, cfg, s, f, told, build, nil)
}

// playWatched is play with somebody who looks after each instant, and returns the makespan.
func playWatched(t testing.TB, s suite, n int, watch func(*simulation)) time.Duration {
	t.Helper()
	return playSeen(t, Config{}, s, equal(n), equal(n), 0, watch).makespan
}

func playSeen(t testing.TB, cfg Config, s suite, f, told fleet, build time.Duration, watch func(*simulation)) played {
	t.Helper()
	sim := &simulation{suite: s, policy: New(cfg), speeds: map[NodeID]float64{}}
	for i, v := range f {
		id := NodeID("gw" + strconv.Itoa(i))
		sim.policy.AddNode(id, Node{Host: "host" + strconv.Itoa(i), Speed: told[i]})
		sim.idle = append(sim.idle, id)
		sim.speeds[id] = v
	}
	for i, p := range s.packages {
		sim.at(time.Duration(i)*build, func() {
			sim.policy.AddPackage(Package{ID: PackageID(i), Items: p.items, Families: p.families})
			sim.policy.Expect(s.left(i + 1))
			if i == len(s.packages)-1 {
				sim.policy.NoMore()
			}
		})
	}
	for sim.step() {
		if watch != nil {
			watch(sim)
		}
	}
	if !sim.policy.Done() {
		t.Fatalf("%s on %d nodes stopped with %d items pending", s.name, len(f), sim.policy.Pending())
	}
	sim.played.makespan = sim.now
	return sim.played
}

// simulation is an event loop with a virtual clock.
type simulation struct {
	suite  suite
	policy *Policy
	now    time.Duration
	events eventHeap
	idle   []NodeID
	speeds map[NodeID]float64
	began  map[NodeID]time.Duration // the unit that it runs, or ran last
	count  int
	ships  *ships // nil when all nodes have all binaries
	played played
}

type event struct {
	at  time.Duration
	seq int
	do  func()
}

func (sim *simulation) at(t time.Duration, do func()) {
	sim.count++
	heap.Push(&sim.events, event{t, sim.count, do})
}

// step handles all events of one instant, then asks for the idle nodes.
func (sim *simulation) step() bool {
	if len(sim.events) == 0 {
		return false
	}
	sim.now = sim.events[0].at
	for len(sim.events) > 0 && sim.events[0].at == sim.now {
		heap.Pop(&sim.events).(event).do()
	}
	idle := sim.idle
	sim.idle = nil
	for _, id := range idle {
		if u, ok := sim.policy.Next(id); ok {
			sim.start(id, u)
		} else {
			sim.idle = append(sim.idle, id)
		}
	}
	return true
}

func (sim *simulation) start(id NodeID, u Unit) {
	p := sim.suite.packages[u.Package]
	out := Outcome{Overhead: p.overhead}
	took := p.overhead + latency + sim.ships.arrives(sim.now, id, u.Package) - sim.now
	for _, item := range u.Items {
		d := time.Duration(float64(p.times[item]) / sim.speeds[id])
		out.Done = append(out.Done, ItemTime{Item: item, Elapsed: d})
		took += d
	}
	if sim.began == nil {
		sim.began = map[NodeID]time.Duration{}
	}
	sim.began[id] = sim.now
	sim.played.units++
	sim.played.sent = sim.ships.count()
	sim.at(sim.now+took, func() {
		sim.policy.Finish(id, out)
		sim.idle = append(sim.idle, id)
	})
}

type eventHeap []event

func (h eventHeap) Len() int { return len(h) }
func (h eventHeap) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].seq < h[j].seq
}
func (h eventHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *eventHeap) Push(x any)   { *h = append(*h, x.(event)) }
func (h *eventHeap) Pop() any {
	old := *h
	e := old[len(old)-1]
	*h = old[:len(old)-1]
	return e
}
